import { ExecutorError, firstLine } from '../../error.js';
import { environment, loadKoffi, type Koffi } from '../native.js';

/** The functions of the driver API used here, with the types of their arguments (CUDA Driver API reference manual). */
const FUNCTIONS = {
  cuInit: ['uint32_t'],
  cuDriverGetVersion: ['void *'],
  cuDeviceGetCount: ['void *'],
  cuDeviceGet: ['void *', 'int32_t'],
  cuDeviceGetName: ['void *', 'int32_t', 'int32_t'],
  cuDeviceGetAttribute: ['void *', 'int32_t', 'int32_t'],
  cuDevicePrimaryCtxRetain: ['void *', 'int32_t'],
  cuCtxSetCurrent: ['void *'],
  cuModuleLoadData: ['void *', 'void *'],
  cuModuleGetFunction: ['void *', 'void *', 'const char *'],
  cuFuncSetAttribute: ['void *', 'int32_t', 'int32_t'],
  cuTensorMapEncodeTiled: [
    ...['void *', 'int32_t', 'uint32_t', 'uint64_t', 'void *', 'void *', 'void *', 'void *'],
    ...['int32_t', 'int32_t', 'int32_t', 'int32_t'],
  ],
  cuMemAlloc_v2: ['void *', 'size_t'],
  cuMemFree_v2: ['uint64_t'],
  cuMemGetInfo_v2: ['void *', 'void *'],
  cuMemHostAlloc: ['void *', 'size_t', 'uint32_t'],
  cuMemFreeHost: ['void *'],
  cuMemcpyHtoDAsync_v2: ['uint64_t', 'void *', 'size_t', 'void *'],
  cuMemcpyDtoHAsync_v2: ['void *', 'uint64_t', 'size_t', 'void *'],
  cuMemcpyDtoDAsync_v2: ['uint64_t', 'uint64_t', 'size_t', 'void *'],
  cuStreamCreate: ['void *', 'uint32_t'],
  cuStreamSynchronize: ['void *'],
  cuEventCreate: ['void *', 'uint32_t'],
  cuEventRecord: ['void *', 'void *'],
  cuEventQuery: ['void *'],
  cuEventSynchronize: ['void *'],
  cuEventDestroy_v2: ['void *'],
  cuStreamBeginCapture_v2: ['void *', 'int32_t'],
  cuStreamEndCapture: ['void *', 'void *'],
  cuGraphInstantiateWithFlags: ['void *', 'void *', 'uint64_t'],
  cuGraphLaunch: ['void *', 'void *'],
  cuGraphExecDestroy: ['void *'],
  cuGraphDestroy: ['void *'],
  cuLaunchKernel: [
    ...['void *', 'uint32_t', 'uint32_t', 'uint32_t', 'uint32_t', 'uint32_t', 'uint32_t', 'uint32_t'],
    ...['void *', 'void *', 'void *'],
  ],
} as const;
type FunctionName = keyof typeof FUNCTIONS;

export const SUCCESS = 0;
export const OUT_OF_MEMORY = 2;
const NO_DEVICE = 100;
const INVALID_IMAGE = 200;
const NO_BINARY_FOR_GPU = 209;
export const NOT_READY = 600;
/**
 * Errors after which the device is lost to this process, as cuda.h says of each: uncorrectable ECC, contained; illegal address,
 * launch timeout, context destroyed, assert; hardware stack to launch failed; tensor memory leak.
 */
const LOST = new Set([214, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721]);

/** The CUDA version that the kernels are built with: 1000·major + 10·minor, as the driver reports its own. */
const NEEDED = 13000;

/** NVIDIA's driver, called through its library libcuda. */
export class Driver {
  readonly koffi: Koffi;
  /** The file that it was loaded from. */
  readonly path: string;
  readonly #functions = new Map<string, (...args: unknown[]) => number>();

  /** @throws {ExecutorError} `device` where the driver is missing or too old, or finds no device. */
  constructor() {
    this.koffi = loadKoffi();
    this.path =
      environment('DAG_CUDA_DRIVER') ?? (process.platform === 'win32' ? 'nvcuda.dll' : 'libcuda.so.1');
    let library: ReturnType<Koffi['load']>;
    try {
      library = this.koffi.load(this.path);
    } catch (error) {
      throw new ExecutorError(
        'device',
        `no NVIDIA driver: ${this.path} cannot be loaded (${firstLine(error)})`,
      );
    }
    const bind = (name: string, args: readonly unknown[]) => {
      try {
        this.#functions.set(name, library.func(name, 'int32_t', args) as (...args: unknown[]) => number);
      } catch (error) {
        const why = firstLine(error);
        throw new ExecutorError('device', `the NVIDIA driver ${this.path} is too old: ${name} (${why})`);
      }
    };
    const text = this.koffi.out(this.koffi.pointer('const char *'));
    bind('cuGetErrorName', ['int32_t', text]);
    bind('cuGetErrorString', ['int32_t', text]);
    for (const [name, args] of Object.entries(FUNCTIONS)) bind(name, args);

    const version = new Int32Array(1);
    this.call('cuDriverGetVersion', version);
    if (version[0]! < NEEDED)
      throw new ExecutorError(
        'device',
        `the NVIDIA driver is for CUDA up to ${shown(version[0]!)}, the kernels need ${shown(NEEDED)}: a newer driver`,
      );
    this.call('cuInit', 0);
  }

  /** Calls a function; → its CUresult, SUCCESS or an error code. */
  try(name: FunctionName, ...args: unknown[]): number {
    return this.#functions.get(name)!(...args);
  }

  /** @throws {ExecutorError} `device` with the name of the error, unless the function succeeds. */
  call(name: FunctionName, ...args: unknown[]): void {
    const code = this.try(name, ...args);
    if (code !== SUCCESS) throw this.error(code, name);
  }

  /** The error that a function's code stands for; the message names `what` failed. */
  error(code: number, what: string): ExecutorError {
    const [name, text] = [this.#text('cuGetErrorName', code), this.#text('cuGetErrorString', code)];
    const lost = LOST.has(code)
      ? '; the device is lost to this process (CUDA_LAUNCH_BLOCKING=1 shows which kernel it was)'
      : '';
    const hint = HINTS[code];
    return new ExecutorError('device', `cuda: ${what} failed: ${name} (${text})${hint ? `; ${hint}` : lost}`);
  }

  #text(by: string, code: number): string {
    const text: (string | null)[] = [null];
    this.#functions.get(by)!(code, text);
    return text[0] ?? `error ${code}`;
  }
}

const HINTS: Readonly<Record<number, string>> = {
  [NO_DEVICE]: 'this machine has no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it',
  [INVALID_IMAGE]: 'the file of kernels is damaged',
  [NO_BINARY_FOR_GPU]: 'the kernels are not built for this GPU',
};

const shown = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
