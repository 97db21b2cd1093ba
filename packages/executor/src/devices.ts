import { named } from './arguments.js';
import type { Backend, Device } from './backend.js';
import { reference } from './backends/reference/index.js';
import { ExecutorError, firstLine } from './error.js';

/** What a backend runs on: result of `backendInfo`. */
export interface BackendInfo {
  readonly device: Device;
  /** Threads that a kernel runs on, of `wasm` at most; `cuda`: multiprocessors. */
  readonly threads: number;
  /** `cpu`: the instruction set of its kernels, `avx512`, `avx2` or `baseline`. */
  readonly variant?: string;
  /** `cpu`: the file that its kernels were loaded from. `cuda`: that of the driver. */
  readonly library?: string;
  /** `cuda`: number of the GPU, from 0. */
  readonly number?: number;
  /** `cuda`: name of the GPU. */
  readonly name?: string;
  /** `cuda`: compute capability of the GPU, for example 9. */
  readonly capability?: number;
}

/** How a backend registers itself when its module is imported. */
export interface BackendEntry {
  readonly device: Device;
  /** Rank among the backends taken where none is named, lowest first; left out: taken only by name. */
  readonly preference?: number;
  /**
   * Loads the backend; called once, at its first use.
   *
   * @throws where it cannot be loaded; an ExecutorError `value` where a setting of the user is invalid.
   */
  load(): LoadedBackend;
  /** Sets the number of threads, also before the backend is loaded; left out by backends of one thread. */
  setThreads?(count: number): void;
}

export interface LoadedBackend {
  readonly backend: Backend;
  info(): BackendInfo;
}

type State = LoadedBackend | { readonly reason: ExecutorError };

const entries = new Map<Device, BackendEntry>();
const states = new Map<Device, State>();
/** The backend where no device is named; null: not chosen yet. */
let automatic: LoadedBackend | null = null;

/** Registers a backend; does nothing where its device is registered. */
export function registerBackend(entry: BackendEntry): void {
  if (entries.has(entry.device)) return;
  entries.set(entry.device, entry);
  if (entry.preference !== undefined) automatic = null;
}

export const isRegistered = (device: Device): boolean => entries.has(device);

// The one backend that is registered here: it needs nothing, and from a page's bundle of one function, portable.ts is left out.
registerBackend({
  device: 'reference',
  preference: Infinity,
  load: () => ({ backend: reference, info: () => ({ device: 'reference', threads: 1 }) }),
});

/** The backend, loaded at the first call, or why it does not load. @throws {ExecutorError} `value` where a setting is invalid. */
function stateOf(entry: BackendEntry): State {
  const known = states.get(entry.device);
  if (known) return known;
  const state = load(entry);
  states.set(entry.device, state);
  return state;
}

function load(entry: BackendEntry): State {
  try {
    return entry.load();
  } catch (thrown) {
    const reason = whyMissing(entry.device, thrown);
    // The user has to correct an invalid setting; falling back to another backend would hide it.
    if (reason.code === 'value') throw reason;
    return { reason };
  }
}

/** Why a backend did not load, as an ExecutorError. */
function whyMissing(device: Device, thrown: unknown): ExecutorError {
  if (thrown instanceof ExecutorError) return thrown;
  return new ExecutorError('device', `'${device}' cannot be loaded here: ${firstLine(thrown)}`);
}

let warned = false;

/** The first backend by preference that loads; warns once where others failed before it. */
function findAutomatic(): LoadedBackend {
  const preferred = [...entries.values()]
    .filter(({ preference }) => preference !== undefined)
    .sort((a, b) => a.preference! - b.preference!);
  const reasons: ExecutorError[] = [];
  for (const entry of preferred) {
    const state = stateOf(entry);
    if ('backend' in state) {
      if (reasons.length > 0) warn(state.backend.device, reasons);
      return (automatic = state);
    }
    reasons.push(state.reason);
  }
  throw reasons[0]!;
}

function warn(device: Device, reasons: readonly ExecutorError[]): void {
  if (warned) return;
  warned = true;
  const slow = device === 'reference' ? 'reference backend, which is slow' : `backend '${device}'`;
  const why = new Set(reasons.map(({ message }) => message));
  const text = `@dag/executor runs on its ${slow}: ${[...why].join('; ')}`;
  // Of the `process` that bundlers give a page only `env` is there.
  const { process } = globalThis as { process?: Partial<NodeJS.Process> };
  if (process?.emitWarning) process.emitWarning(text, { code: `DAG_${device.toUpperCase()}_BACKEND` });
  else console.warn(text);
}

/** The backend of a device. @throws {ExecutorError} `device` where it does not load. */
function loadedOf(device: Device): LoadedBackend {
  const entry = entries.get(device);
  if (!entry) throw new ExecutorError('device', whyUnknown(device));
  const state = stateOf(entry);
  if ('backend' in state) return state;
  throw state.reason;
}

function whyUnknown(device: Device): string {
  const known = [...entries.keys()].map((name) => `'${name}'`).join(', ');
  switch (device) {
    case 'cuda':
      return `no backend 'cuda' yet: import '@dag/executor/cuda' first; available: ${known}`;
    case 'wasm':
      return `no backend 'wasm' yet: await loadWasm() of '@dag/executor/wasm' first; available: ${known}`;
    default:
      return `no backend ${named(device)} here; available: ${known}`;
  }
}

let defaultDevice: Device | undefined;

/**
 * Sets the default device, of tensors and executions that name none. With undefined it is again the fastest that loads of `cpu`, `wasm`
 * and `reference`.
 *
 * @throws {ExecutorError} `device` where it does not load.
 */
export function setDefaultDevice(device: Device | undefined): void {
  if (device !== undefined) loadedOf(device);
  defaultDevice = device;
}

/**
 * The backend of a device. Default: that of `setDefaultDevice`, or the first that loads of `cpu`, `wasm` and `reference`, with one
 * warning where `cpu` is registered and does not load.
 *
 * @throws {ExecutorError} `device` where the named backend does not load; `value` where an environment variable is invalid.
 */
export function backendOf(device: Device | undefined = defaultDevice): Backend {
  return (device === undefined ? (automatic ?? findAutomatic()) : loadedOf(device)).backend;
}

/**
 * What a backend runs on: threads, instruction set, library, GPU. Default: the default device.
 *
 * @throws {ExecutorError} `device` where it does not load; `value` where an environment variable is invalid.
 */
export function backendInfo(device: Device | undefined = defaultDevice): BackendInfo {
  return (device === undefined ? (automatic ?? findAutomatic()) : loadedOf(device)).info();
}

/** The same limit as in kernels/cpu/runtime/pool.cpp. */
export const MAX_THREADS = 1024;
export const isThreadCount = (count: number): boolean =>
  Number.isInteger(count) && count >= 1 && count <= MAX_THREADS;

/**
 * Sets the number of threads of the kernels of `cpu` and `wasm`. Default: `DAG_NUM_THREADS`, else one for each physical core (`cpu`) or
 * each processor, at most 8 (`wasm`). Results do not depend on it. `wasm` keeps its one thread where a page cannot share memory.
 *
 * @throws {ExecutorError} `value` unless a whole number from 1 to 1024.
 */
export function setNumThreads(count: number): void {
  if (!isThreadCount(count))
    throw new ExecutorError(
      'value',
      `setNumThreads: a whole number from 1 to ${MAX_THREADS}, given ${named(count)}`,
    );
  for (const entry of entries.values()) entry.setThreads?.(count);
}
