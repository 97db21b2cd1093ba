import type { Backend, Device } from './backend.js';
import { createCpu } from './backends/cpu/index.js';
import { environment, loadLibrary, type Library } from './backends/cpu/library.js';
import { reference } from './backends/reference/index.js';
import { ExecutorError } from './error.js';

/** What a backend runs on. */
export interface BackendInfo {
  readonly device: Device;
  /** Threads that a kernel runs on. */
  readonly threads: number;
  /** `cpu`: the instruction set of its kernels, `avx512`, `avx2` or `baseline`. */
  readonly variant?: string;
  /** `cpu`: the file that its kernels were loaded from. */
  readonly library?: string;
}

type Loaded = { readonly backend: Backend; readonly library: Library } | { readonly reason: ExecutorError };

let cpu: Loaded | null = null;
let warned = false;

function loadCpu(): Loaded {
  if (cpu) return cpu;
  try {
    const library = loadLibrary();
    // The library is one for all threads of JavaScript: a worker leaves it as another one has set it.
    const count = defaultThreads(library);
    if (library.threads() === 0) library.setThreads(count);
    return (cpu = { backend: createCpu(library), library });
  } catch (reason) {
    if (!(reason instanceof ExecutorError)) throw reason;
    return (cpu = { reason });
  }
}

function defaultThreads({ physicalCores }: Library): number {
  const given = environment('DAG_NUM_THREADS');
  if (given === undefined) return physicalCores;
  const count = Number(given);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new ExecutorError('value', `DAG_NUM_THREADS is a whole number from 1, given '${given}'`);
}

/**
 * The backend of a device; left out, the fastest that loads. Where that is `reference` because the native kernels do not
 * load, a warning says once why.
 *
 * @throws {ExecutorError} `device` where the one that was asked for is not there.
 */
export function backendOf(device?: Device): Backend {
  if (device === 'reference') return reference;
  if (device !== undefined && device !== 'cpu')
    throw new ExecutorError('device', `no backend '${String(device)}' here; available: 'reference', 'cpu'`);
  const loaded = loadCpu();
  if ('backend' in loaded) return loaded.backend;
  if (device === 'cpu') throw loaded.reason;
  if (!warned) {
    warned = true;
    const text = `@dag/executor runs on its reference backend, which is slow: ${loaded.reason.message}`;
    globalThis.process?.emitWarning(text, { code: 'DAG_REFERENCE_BACKEND' });
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
  if (backend === reference || !cpu || !('library' in cpu)) return { device: backend.device, threads: 1 };
  const { library } = cpu;
  return { device: 'cpu', threads: library.threads(), variant: library.variant, library: library.path };
}

/**
 * Sets how many threads the kernels of `cpu` run on; at first as many as there are physical cores, or `DAG_NUM_THREADS`.
 * Results do not depend on it.
 *
 * @throws {ExecutorError} `value` unless a whole number from 1.
 */
export function setNumThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1)
    throw new ExecutorError('value', `setNumThreads: a whole number from 1, given ${count}`);
  const loaded = loadCpu();
  if ('library' in loaded) loaded.library.setThreads(count);
}
