import type { Backend, DType, Storage } from './backend.js';
import { bytesOf } from './backends/host.js';
import { ExecutorError } from './error.js';
import { callSynchronously } from './arguments.js';

/**
 * Lifetime of storage. Inside `scope(() => …)` every buffer that is made belongs to the scope; when it is left,
 * those that are not returned go to a pool and the next request of the same dtype and length takes them from
 * there; what lies there unused for long goes back to the backend. Outside any scope a buffer lives until JavaScript
 * collects its tensor.
 */
export interface Scope {
  readonly buffers: Set<Buffer>;
}

/** Storage with its backend and owner; tensors that share memory share their buffer. */
export class Buffer {
  readonly backend: Backend;
  /** How many were made before it. */
  readonly serial: number;
  /** Null once it was released. */
  storage: Storage | null;
  owner: Scope | null;
  /** How often its values were changed in place. */
  version = 0;
  /** What changed them last. */
  changedBy = '';
  /** Whether the storage stays with someone else when the buffer is released: with the recording that writes to it. */
  readonly isBorrowed: boolean;

  constructor(
    backend: Backend,
    serial: number,
    storage: Storage | null,
    owner: Scope | null,
    isBorrowed = false,
  ) {
    this.backend = backend;
    this.serial = serial;
    this.storage = storage;
    this.owner = owner;
    this.isBorrowed = isBorrowed;
  }

  noteChange(by: string): void {
    this.version++;
    this.changedBy = by;
  }
}

/**
 * The pool holds so many times what scopes held at once. A training whose steps are all of one shape needs 1; where texts of
 * other lengths come with each call, a pool without a limit would come to hold buffers of every length.
 */
const POOL_PER_HELD = 4;
/** And this much in any case, in bytes. */
const SMALL_POOL = 2 ** 28;

/** Storage that is free, of one backend. */
class Pool {
  /** By dtype and length, in the order of their last use. */
  readonly #free = new Map<string, Storage[]>();
  readonly #backend: Backend;
  #bytes = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  take(dtype: DType, length: number): Storage | undefined {
    const storage = this.#free.get(keyOf(dtype, length))?.pop();
    if (storage) this.#bytes -= bytesOfStorage(storage);
    return storage;
  }

  /** Keeps storage; what was not used for the longest time goes back to the backend for it. */
  keep(storage: Storage, limit: number): void {
    const key = keyOf(storage.dtype, storage.length);
    const same = this.#free.get(key) ?? [];
    this.#free.delete(key);
    this.#free.set(key, same);
    same.push(storage);
    this.#bytes += bytesOfStorage(storage);
    for (const [oldest, storages] of this.#free) {
      while (this.#bytes > limit && storages.length > 0) this.#drop(storages.pop()!);
      if (storages.length > 0) break;
      this.#free.delete(oldest);
    }
  }

  empty(): void {
    for (const storages of this.#free.values()) for (const storage of storages) this.#drop(storage);
    this.#free.clear();
  }

  get count(): number {
    return [...this.#free.values()].reduce((n, storages) => n + storages.length, 0);
  }

  #drop(storage: Storage): void {
    this.#bytes -= bytesOfStorage(storage);
    this.#backend.free(storage);
  }
}

const keyOf = (dtype: DType, length: number): string => `${dtype}:${length}`;
const bytesOfStorage = ({ dtype, length }: Storage): number => length * bytesOf(dtype);

let current: Scope | null = null;
let pools = new Map<Backend, Pool>();
let made = 0;
let allocated = 0;
/** Bytes of buffers that scopes own, and the most there ever were. */
let held = 0;
let mostHeld = 0;

/** The innermost open scope. */
export function currentScope(): Scope | null {
  return current;
}

export function allocate(backend: Backend, dtype: DType, length: number, owner: Scope | null): Buffer {
  const bytes = length * bytesOf(dtype);
  if (!Number.isSafeInteger(bytes))
    throw new ExecutorError(
      'memory',
      `${length} numbers of ${dtype} are ${bytes} bytes, more than any device holds`,
    );
  let storage = pools.get(backend)?.take(dtype, length);
  if (!storage) {
    storage = allocateNew(backend, dtype, length);
    allocated++;
  }
  const buffer = new Buffer(backend, made++, storage, owner);
  if (owner) {
    owner.buffers.add(buffer);
    held += bytesOfStorage(storage);
    mostHeld = Math.max(mostHeld, held);
  }
  return buffer;
}

/** A device that has no memory left may find room where buffers of other sizes lie unused. */
function allocateNew(backend: Backend, dtype: DType, length: number): Storage {
  try {
    return backend.allocate(dtype, length);
  } catch (error) {
    if (!(error instanceof ExecutorError && error.code === 'memory') || !pools.get(backend)?.count)
      throw error;
    emptyPool();
    return backend.allocate(dtype, length);
  }
}

/** How many buffers were made so far: the serial of the next one. */
export function buffersMade(): number {
  return made;
}

/** Puts a buffer into the pool now; where it is released already, nothing. */
export function release(buffer: Buffer): void {
  const { backend, storage } = buffer;
  if (!storage) return;
  if (buffer.owner?.buffers.delete(buffer)) held = Math.max(0, held - bytesOfStorage(storage));
  buffer.storage = null;
  if (buffer.isBorrowed) return;
  let pool = pools.get(backend);
  if (!pool) pools.set(backend, (pool = new Pool(backend)));
  pool.keep(storage, Math.max(SMALL_POOL, POOL_PER_HELD * mostHeld));
}

/** How many buffers were ever taken from the backends (steady state: constant), and how many lie in the pool. */
export function memoryStats(): { allocated: number; pooled: number } {
  return { allocated, pooled: [...pools.values()].reduce((n, { count }) => n + count, 0) };
}

/** Gives the pooled buffers back to their backends. */
export function emptyPool(): void {
  for (const pool of pools.values()) pool.empty();
}

/** Runs `body` with a pool of its own, which goes back to the backends after it. */
export function withOwnPool<T>(body: () => T): T {
  const outside = pools;
  pools = new Map();
  try {
    return body();
  } finally {
    emptyPool();
    pools = outside;
  }
}

/** As `runScope`, but what outlives it belongs to `holder`, whatever scope is open. */
export function runScopeFor<T>(holder: Scope, body: () => T, kept: (result: T) => Iterable<Buffer>): T {
  const outer = current;
  current = holder;
  try {
    return runScope(body, kept);
  } finally {
    leave(outer);
  }
}

/** Runs `body`; `kept(result)` names the buffers that outlive the scope, in the scope around it. */
export function runScope<T>(body: () => T, kept: (result: T) => Iterable<Buffer>): T {
  const outer = current;
  const scope: Scope = { buffers: new Set() };
  current = scope;
  try {
    const result = callSynchronously('scope', body, 'what it makes later would escape the scope');
    for (const buffer of kept(result)) {
      if (!scope.buffers.delete(buffer)) continue;
      buffer.owner = outer;
      outer?.buffers.add(buffer);
    }
    return result;
  } finally {
    for (const buffer of scope.buffers) release(buffer);
    leave(outer);
  }
}

function leave(outer: Scope | null): void {
  current = outer;
  // What it kept belongs to no scope.
  if (!outer) held = 0;
}
