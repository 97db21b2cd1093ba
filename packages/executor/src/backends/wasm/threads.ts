import type { WasmInstance } from './instance.js';

/** The parts of the global WebAssembly used here; its types come with those of browsers, which this project does not load. */
interface WebAssemblyHere {
  Module: { imports(module: object): readonly unknown[] };
  Instance: new (module: object, imports: Readonly<Record<string, unknown>>) => Pick<WasmInstance, 'exports'>;
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => {
    readonly buffer: ArrayBufferLike;
  };
}

/** What a worker is given. */
export interface WorkerData {
  readonly module: object;
  readonly memory: object;
  /** Address of the end of its stack, which grows downwards. */
  readonly stack: number;
}

/** Starts a worker that runs `code` with `data` in the constant `data`. It may come up later, or never. */
export type StartWorker = (code: string, data: WorkerData) => void;

/** Pages of 64 KiB, at first and at most; as in scripts/build-wasm.js. */
const PAGES = { initial: 64, maximum: 65536 };
const STACK_BYTES = 2 ** 20;
/** Threads where no one says how many: each has an engine of its own, of some megabytes. */
const MOST_THREADS = 8;

/** The life of a worker: code of its own, since a worker has no modules of a bundle. */
const WORK = `
const { exports: kernels } = new WebAssembly.Instance(data.module, {
  env: { memory: data.memory, dag_start_workers() {} },
});
kernels.__stack_pointer.value = data.stack;
try {
  kernels.dag_work();
} catch {
  kernels.dag_work_failed();
}`;

/** Whether a module is dag_executor_threads.wasm, and not dag_executor.wasm, which imports nothing. */
export function needsSharedMemory(module: object): boolean {
  const { Module } = (globalThis as unknown as { WebAssembly: WebAssemblyHere }).WebAssembly;
  return Module.imports(module).length > 0;
}

/**
 * An instance of dag_executor_threads.wasm on `cores` processors. The kernels ask for workers when there has been work for them.
 *
 * @throws {RangeError} where there is no shared memory
 */
export function threadedInstance(module: object, cores: number, startWorker: StartWorker): WasmInstance {
  const { Instance, Memory } = (globalThis as unknown as { WebAssembly: WebAssemblyHere }).WebAssembly;
  const memory = new Memory({ ...PAGES, shared: true });
  let started = 1;
  const startWorkers = (threads: number): void => {
    for (; started < threads; started++) {
      const stack = (exports['dag_allocate'] as (bytes: number) => number)(STACK_BYTES) >>> 0;
      if (stack === 0) return;
      try {
        startWorker(WORK, { module, memory, stack: stack + STACK_BYTES });
      } catch {
        // No workers here, as under Node's permission model: all work is done by this thread.
        return;
      }
    }
  };
  const { exports } = new Instance(module, { env: { memory, dag_start_workers: startWorkers } });
  return { exports: { ...exports, memory }, threads: Math.max(1, Math.min(MOST_THREADS, cores)) };
}
