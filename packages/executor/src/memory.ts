import type { Backend, DType, Storage } from './backend.js';
import { bytesOf } from './backends/host.js';
import { sizeClass } from './size-class.js';
import { ExecutorError } from './error.js';
import { callSynchronously } from './arguments.js';

/**
 * Lifetime of storage. Inside `scope(() => …)` every buffer that is made belongs to the scope; when it is left,
 * those that are not returned go to a pool and the next request of about their size takes them from
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
 * Blocks that scopes hold and those in the pool are together at most so many times the numbers that scopes ever held at once. Steps of
 * one shape need 1; where each has other lengths, a pool without a limit would come to hold blocks of every size.
 */
const MOST_PER_HELD = 1.25;
/** So much lies in the pool in any case, in bytes. */
const SMALL_POOL = 2 ** 25;
/**
 * A free block serves requests of its size class, and where these have none, smaller ones of at least this part of it: blocks for steps
 * of all lengths are then those of the largest step, a sixteenth of them, and so on, which is within MOST_PER_HELD.
 */
const LEAST_USE = 1 / 16;
/** So many blocks of a size are looked at for one whose last numbers had the dtype and length: it is used as it is. */
const LOOKS = 8;

/** Storage that is free, of one backend. */
export class Pool {
  /** By size class, in the order of their last use. */
  readonly #free = new Map<number, Storage[]>();
  readonly #backend: Backend;
  #bytes = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  take(dtype: DType, length: number): Storage | undefined {
    const bytes = length * bytesOf(dtype);
    const own = sizeClass(bytes);
    // From 2^53 on a size has no next one; no block is so large.
    const most = Math.min(Math.max(own, bytes / LEAST_USE), Number.MAX_SAFE_INTEGER);
    for (let size = own; size <= most; size = sizeClass(size + 1)) {
      const storages = this.#free.get(size);
      const place = storages ? placeFor(storages, dtype, length, bytes) : -1;
      if (place >= 0) {
        const storage = storages![place]!;
        const last = storages!.pop()!;
        if (last !== storage) storages![place] = last;
        this.#bytes -= storage.capacity;
        const isLike = storage.dtype === dtype && storage.length === length;
        return isLike ? storage : this.#backend.reuse(storage, dtype, length);
      }
    }
    return undefined;
  }

  keep(storage: Storage): void {
    const size = sizeClass(storage.capacity);
    const same = this.#free.get(size) ?? [];
    this.#free.delete(size);
    this.#free.set(size, same);
    same.push(storage);
    this.#bytes += storage.capacity;
  }

  /** Gives back to the backend what was not used for the longest time, until `most` bytes are left. */
  shrink(most: number): void {
    if (this.#bytes <= most) return;
    for (const [oldest, storages] of this.#free) {
      while (this.#bytes > most && storages.length > 0) this.#drop(storages.pop()!);
      if (storages.length > 0) break;
      this.#free.delete(oldest);
    }
  }

  empty(): void {
    this.shrink(-1);
  }

  get count(): number {
    return [...this.#free.values()].reduce((n, storages) => n + storages.length, 0);
  }

  #drop(storage: Storage): void {
    this.#bytes -= storage.capacity;
    this.#backend.free(storage);
  }
}

/** The place of a storage with room for `bytes`, of this dtype and length where one is found soon; −1 where there is none. */
function placeFor(storages: readonly Storage[], dtype: DType, length: number, bytes: number): number {
  let fits = -1;
  const looks = storages.length - LOOKS;
  for (let i = storages.length - 1; i >= 0 && (i >= looks || fits < 0); i--) {
    const storage = storages[i]!;
    if (storage.dtype === dtype && storage.length === length) return i;
    if (fits < 0 && storage.capacity >= bytes) fits = i;
  }
  return fits;
}

let current: Scope | null = null;
let pools = new Map<Backend, Pool>();
let made = 0;
let allocated = 0;
/** Bytes of the blocks that scopes own, those of the numbers in them, and the most there ever were of these. */
let held = 0;
let used = 0;
let mostUsed = 0;

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
    pools.get(backend)?.shrink(mostPooled(sizeClass(bytes)));
    storage = allocateNew(backend, dtype, length);
    allocated++;
  }
  const buffer = new Buffer(backend, made++, storage, owner);
  if (owner) {
    owner.buffers.add(buffer);
    held += storage.capacity;
    used += bytes;
    mostUsed = Math.max(mostUsed, used);
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
  if (buffer.owner?.buffers.delete(buffer)) {
    held = Math.max(0, held - storage.capacity);
    used = Math.max(0, used - storage.length * bytesOf(storage.dtype));
  }
  buffer.storage = null;
  if (buffer.isBorrowed) return;
  const pool = poolOf(backend);
  pool.keep(storage);
  pool.shrink(mostPooled());
}

function poolOf(backend: Backend): Pool {
  let pool = pools.get(backend);
  if (!pool) pools.set(backend, (pool = new Pool(backend)));
  return pool;
}

/** Bytes that the pool may hold, once `more` are taken from the backend. */
function mostPooled(more = 0): number {
  return Math.max(SMALL_POOL, MOST_PER_HELD * mostUsed - held - more);
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
      if (outer) outer.buffers.add(buffer);
      else moveToOwnSize(buffer);
    }
    return result;
  } finally {
    for (const buffer of scope.buffers) release(buffer);
    leave(outer);
  }
}

/** What leaves all scopes may live long: in a much larger block it goes to one of its own size. */
function moveToOwnSize(buffer: Buffer): void {
  const { backend, storage } = buffer;
  if (!storage || storage.capacity <= 2 * sizeClass(storage.length * bytesOf(storage.dtype))) return;
  const own = allocateNew(backend, storage.dtype, storage.length);
  allocated++;
  backend.cast(storage, { storage: own, accumulate: false });
  buffer.storage = own;
  poolOf(backend).keep(storage);
}

function leave(outer: Scope | null): void {
  current = outer;
  // What it kept belongs to no scope.
  if (!outer) held = used = 0;
}
