import { ExecutorError } from '../../error.js';
import { throwing, type Kernel, type KernelLibrary } from '../cpp/kernels.js';

/** The parts of a WebAssembly.Instance used here; its types come with those of browsers, which this project does not load. */
export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
  /** Number of threads where no one sets another; left out by a module of one thread. */
  readonly threads?: number;
}

interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

/** Bytes for the arguments of a kernel call that lie in JavaScript's memory. */
const STAGED = 4096;
/** Code of a trap, as in kernels/wasm/runtime.cpp. */
const UNKNOWN_KIND = 1;

/** The kernels as WebAssembly, and their memory. */
export class WasmKernels implements KernelLibrary {
  readonly #exports: Readonly<Record<string, unknown>>;
  readonly #memory: WasmMemory;
  readonly #allocate: (bytes: number) => number;
  readonly #free: (address: number) => void;
  readonly #fault: () => number;
  /** Null in a module of one thread. */
  readonly #setThreads: ((threads: number, maySleep: number) => void) | null;
  /** Address of the copies of arguments in JavaScript's memory: packed walks and coefficients. */
  readonly #staging: number;
  #threads = 1;
  #lastBuffer: ArrayBufferLike | null = null;
  /** All objects that were the memory that threads share: each still shows it. Null in a module of one thread. */
  readonly #sharedBuffers: WeakSet<ArrayBufferLike> | null;

  constructor({ exports, threads }: WasmInstance) {
    this.#exports = exports;
    this.#memory = exports['memory'] as WasmMemory;
    this.#allocate = this.#function('dag_allocate') as (bytes: number) => number;
    this.#free = this.#function('dag_free') as (address: number) => void;
    this.#fault = this.#function('dag_fault') as () => number;
    (exports['_initialize'] as (() => void) | undefined)?.();
    this.#sharedBuffers = threads === undefined ? null : new WeakSet();
    this.#setThreads = threads === undefined ? null : (this.#function('dag_set_threads') as () => void);
    this.setThreads(threads ?? 1);
    this.#staging = this.allocate(STAGED);
  }

  /** Threads that a kernel runs on. */
  get threads(): number {
    return this.#threads;
  }

  /** Sets the number of threads; a module of one thread keeps that one. */
  setThreads(count: number): void {
    if (!this.#setThreads) return;
    this.#threads = count;
    // The main thread of a page may not sleep.
    this.#setThreads(count, Number(!('document' in globalThis)));
  }

  /**
   * The memory. When it grows this is a new object, and views of the old one become empty; where threads share it, they are too short
   * for what was allocated since.
   */
  get buffer(): ArrayBufferLike {
    const { buffer } = this.#memory;
    if (buffer !== this.#lastBuffer) this.#sharedBuffers?.add((this.#lastBuffer = buffer));
    return buffer;
  }

  /** @throws {ExecutorError} `memory` where there is no room; WebAssembly addresses 4 GiB. */
  allocate(bytes: number): number {
    const address = this.#allocate(bytes) >>> 0;
    if (address !== 0) {
      // Another thread has made it grow, and this one has not heard of it.
      if (address + bytes > this.buffer.byteLength) this.#memory.grow(0);
      return address;
    }
    throw new ExecutorError(
      'memory',
      `out of memory: wasm has no room for ${bytes} bytes; tensors made in scope(() => …) give theirs back when it ends, others not before a loop lets JavaScript collect them`,
    );
  }

  free(address: number): void {
    this.#free(address);
  }

  kernel(name: string, types: string): Kernel {
    const kernel = this.#function(`dag_${name}_wasm`);
    const isWhole = Array.from(types, (type) => type === 'i');
    return (...args) => {
      let staged = this.#staging;
      const words = args.map((arg, i) => {
        if (typeof arg === 'number') return isWhole[i] ? BigInt(arg) : arg;
        if (arg === null) return 0;
        if (arg.buffer === this.buffer || this.#sharedBuffers?.has(arg.buffer)) return arg.byteOffset;
        const address = staged;
        staged += Math.ceil(arg.byteLength / 8) * 8;
        if (staged > this.#staging + STAGED)
          throw new ExecutorError('device', `wasm: an array of JavaScript reached the kernel ${name}`);
        const bytes = new Uint8Array(arg.buffer, arg.byteOffset, arg.byteLength);
        new Uint8Array(this.buffer).set(bytes, address);
        return address;
      });
      try {
        return kernel(...words);
      } catch (error) {
        throw this.#explained(error, name, args[0]);
      }
    };
  }

  scratchKernel(name: string, types: string): Kernel {
    return throwing(this.kernel(name, types), 'wasm', name);
  }

  #function(name: string): (...args: (number | bigint)[]) => unknown {
    const found = this.#exports[name];
    if (typeof found === 'function') return found as () => unknown;
    throw new ExecutorError(
      'device',
      `the module of the backend 'wasm' has no ${name}: is it of this version?`,
    );
  }

  /** The error to throw for a trap. */
  #explained(error: unknown, kernel: string, kind: unknown): unknown {
    return this.#fault() === UNKNOWN_KIND
      ? new ExecutorError('value', `wasm: the kernel ${kernel} knows no kind ${String(kind)}`)
      : error;
  }
}
