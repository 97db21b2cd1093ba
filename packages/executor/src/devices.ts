import { named } from './arguments.js';
import type { Backend, Device } from './backend.js';
import { createCpu } from './backends/cpu/index.js';
import type { CudaDevice } from './backends/cuda/device.js';
import { createCuda } from './backends/cuda/index.js';
import { loadLibrary, type Library } from './backends/cpu/library.js';
import { environment, whyMissing } from './backends/native.js';
import { reference } from './backends/reference/index.js';
import { ExecutorError } from './error.js';

/** What a backend runs on. */
export interface BackendInfo {
  readonly device: Device;
  /** Threads that a kernel runs on; `cuda`: multiprocessors. */
  readonly threads: number;
  /** `cpu`: the instruction set of its kernels, `avx512`, `avx2` or `baseline`. */
  readonly variant?: string;
  /** `cpu`: the file that its kernels were loaded from. `cuda`: that of the driver. */
  readonly library?: string;
  /** `cuda`: what the GPU is called. */
  readonly name?: string;
  /** `cuda`: its compute capability, such as 9. */
  readonly capability?: number;
}

type Loaded = { readonly backend: Backend; readonly library: Library } | { readonly reason: ExecutorError };

let cpu: Loaded | null = null;
let warned = false;

function loadCpu(): Loaded {
  if (cpu) return cpu;
  try {
    const count = threadsSetting();
    const library = loadLibrary();
    // The library is one for all threads of JavaScript: a worker leaves it as another one has set it.
    if (library.threads() === 0) library.setThreads(count ?? library.physicalCores);
    return (cpu = { backend: createCpu(library), library });
  } catch (thrown) {
    const reason = whyMissing('cpu', thrown);
    // A wrong setting is for its user to correct; `reference` would hide it.
    if (reason.code === 'value') throw reason;
    return (cpu = { reason });
  }
}

type LoadedCuda =
  { readonly backend: Backend; readonly device: CudaDevice } | { readonly reason: ExecutorError };
let cuda: LoadedCuda | null = null;

function loadCuda(): LoadedCuda {
  if (cuda) return cuda;
  try {
    return (cuda = createCuda());
  } catch (thrown) {
    return (cuda = { reason: whyMissing('cuda', thrown) });
  }
}

function threadsSetting(): number | undefined {
  const given = environment('DAG_NUM_THREADS');
  if (given === undefined) return undefined;
  const count = Number(given);
  if (isThreadCount(count)) return count;
  throw new ExecutorError(
    'value',
    `DAG_NUM_THREADS is a whole number from 1 to ${MAX_THREADS}, given '${given}'`,
  );
}

/** As in kernels/cpu/runtime/pool.cpp. */
const MAX_THREADS = 1024;
const isThreadCount = (count: number): boolean =>
  Number.isInteger(count) && count >= 1 && count <= MAX_THREADS;

let defaultDevice: Device | undefined;

/**
 * Sets the device of tensors and executions that name none, from now on; undefined: as at first, `cpu` where its kernels
 * load, else `reference`.
 *
 * @throws {ExecutorError} `device` where it is not there.
 */
export function setDefaultDevice(device: Device | undefined): void {
  if (device !== undefined) backendOf(device);
  defaultDevice = device;
}

/**
 * The backend of a device; left out, that of `setDefaultDevice`, or `cpu`, and where its kernels do not load `reference`, with one warning that says why.
 * `cuda` is taken where it is asked for.
 *
 * @throws {ExecutorError} `device` where the one that was asked for is not there; `value` where a variable of the environment
 * has a value that it cannot have.
 */
export function backendOf(device: Device | undefined = defaultDevice): Backend {
  if (device === 'reference') return reference;
  if (device === 'cuda') {
    const loaded = loadCuda();
    if ('backend' in loaded) return loaded.backend;
    throw loaded.reason;
  }
  if (device !== undefined && device !== 'cpu')
    throw new ExecutorError(
      'device',
      `no backend ${named(device)} here; available: 'reference', 'cpu', 'cuda'`,
    );
  const loaded = loadCpu();
  if ('backend' in loaded) return loaded.backend;
  if (device === 'cpu') throw loaded.reason;
  if (!warned) {
    warned = true;
    const text = `@dag/executor runs on its reference backend, which is slow: ${loaded.reason.message}`;
    // Of the `process` that bundlers give a page only `env` is there.
    const { process } = globalThis as { process?: Partial<NodeJS.Process> };
    if (process?.emitWarning) process.emitWarning(text, { code: 'DAG_REFERENCE_BACKEND' });
    else console.warn(text);
  }
  return reference;
}

/**
 * What a backend runs on; left out, the one that is taken where none is named.
 *
 * @throws {ExecutorError} `device`, as every function that takes one.
 */
export function backendInfo(device?: Device): BackendInfo {
  const backend = backendOf(device);
  if (cuda && 'backend' in cuda && backend === cuda.backend) {
    const { name, capability, multiprocessors, driver } = cuda.device;
    return {
      device: 'cuda',
      threads: multiprocessors,
      name,
      capability: capability / 10,
      library: driver.path,
    };
  }
  if (backend === reference || !cpu || !('library' in cpu)) return { device: backend.device, threads: 1 };
  const { library } = cpu;
  return { device: 'cpu', threads: library.threads(), variant: library.variant, library: library.path };
}

/**
 * Sets how many threads the kernels of `cpu` run on; at first as many as there are physical cores, or `DAG_NUM_THREADS`.
 * Results do not depend on it.
 *
 * @throws {ExecutorError} `value` unless a whole number from 1 to 1024.
 */
export function setNumThreads(count: number): void {
  if (!isThreadCount(count))
    throw new ExecutorError(
      'value',
      `setNumThreads: a whole number from 1 to ${MAX_THREADS}, given ${named(count)}`,
    );
  const loaded = loadCpu();
  if ('library' in loaded) loaded.library.setThreads(count);
}
