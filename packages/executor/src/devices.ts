import { named } from './arguments.js';
import type { Backend, Device } from './backend.js';
import { reference } from './backends/reference/index.js';
import { ExecutorError, firstLine } from './error.js';

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

/** What a module of a backend tells the executor when it is imported. */
export interface BackendEntry {
  readonly device: Device;
  /** Backends that are taken where none is named, the lowest number first; the others have none. */
  readonly preference?: number;
  /**
   * Loads what it runs on; called once, when the backend is first asked for.
   *
   * @throws whatever goes wrong; an ExecutorError `value` where a setting of the user is wrong, who has to correct it.
   */
  load(): LoadedBackend;
  /** Sets how many threads its kernels run on, also before it is loaded; left out where there is one. */
  setThreads?(count: number): void;
}

export interface LoadedBackend {
  readonly backend: Backend;
  info(): BackendInfo;
}

type State = LoadedBackend | { readonly reason: ExecutorError };

const entries = new Map<Device, BackendEntry>();
const states = new Map<Device, State>();
/** What is taken where no device is named; null: not yet found out. */
let automatic: LoadedBackend | null = null;

/** Makes a backend known; the modules of backends do so when they are imported. One that is known already stays. */
export function registerBackend(entry: BackendEntry): void {
  if (entries.has(entry.device)) return;
  entries.set(entry.device, entry);
  if (entry.preference !== undefined) automatic = null;
}

export const isRegistered = (device: Device): boolean => entries.has(device);

registerBackend({
  device: 'reference',
  preference: Infinity,
  load: () => ({ backend: reference, info: () => ({ device: 'reference', threads: 1 }) }),
});

/** @throws {ExecutorError} `value` where a setting is wrong. */
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
    // A wrong setting is for its user to correct; another backend would hide it.
    if (reason.code === 'value') throw reason;
    return { reason };
  }
}

/** Why a backend is not there: whatever was thrown while it loaded, as an ExecutorError. */
function whyMissing(device: Device, thrown: unknown): ExecutorError {
  if (thrown instanceof ExecutorError) return thrown;
  return new ExecutorError('device', `'${device}' cannot be loaded here: ${firstLine(thrown)}`);
}

let warned = false;

/** The first of the preferred backends that loads, with one warning where that is not the first of them. */
function findAutomatic(): LoadedBackend {
  const preferred = [...entries.values()]
    .filter(({ preference }) => preference !== undefined)
    .sort((a, b) => a.preference! - b.preference!);
  let reason: ExecutorError | undefined;
  for (const entry of preferred) {
    const state = stateOf(entry);
    if ('backend' in state) {
      if (reason) warn(state.backend.device, reason);
      return (automatic = state);
    }
    reason ??= state.reason;
  }
  throw reason!;
}

function warn(device: Device, reason: ExecutorError): void {
  if (warned) return;
  warned = true;
  const slow = device === 'reference' ? 'reference backend, which is slow' : `backend '${device}'`;
  const text = `@dag/executor runs on its ${slow}: ${reason.message}`;
  // Of the `process` that bundlers give a page only `env` is there.
  const { process } = globalThis as { process?: Partial<NodeJS.Process> };
  if (process?.emitWarning) process.emitWarning(text, { code: `DAG_${device.toUpperCase()}_BACKEND` });
  else console.warn(text);
}

/** The state of a device that is named. */
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
 * Sets the device of tensors and executions that name none, from now on; undefined: as at first, the fastest that loads of
 * `cpu`, `wasm` and `reference`.
 *
 * @throws {ExecutorError} `device` where it is not there.
 */
export function setDefaultDevice(device: Device | undefined): void {
  if (device !== undefined) loadedOf(device);
  defaultDevice = device;
}

/**
 * The backend of a device; left out, that of `setDefaultDevice`, or the first that loads of `cpu`, `wasm` and `reference`, with one
 * warning that says why where `cpu` is known and does not load. `cuda` is taken where it is asked for.
 *
 * @throws {ExecutorError} `device` where the one that was asked for is not there; `value` where a variable of the environment
 * has a value that it cannot have.
 */
export function backendOf(device: Device | undefined = defaultDevice): Backend {
  return (device === undefined ? (automatic ?? findAutomatic()) : loadedOf(device)).backend;
}

/**
 * What a backend runs on; left out, the one that is taken where none is named.
 *
 * @throws {ExecutorError} `device`, as every function that takes one.
 */
export function backendInfo(device: Device | undefined = defaultDevice): BackendInfo {
  return (device === undefined ? (automatic ?? findAutomatic()) : loadedOf(device)).info();
}

/** As in kernels/cpu/runtime/pool.cpp. */
export const MAX_THREADS = 1024;
export const isThreadCount = (count: number): boolean =>
  Number.isInteger(count) && count >= 1 && count <= MAX_THREADS;

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
  for (const entry of entries.values()) entry.setThreads?.(count);
}
