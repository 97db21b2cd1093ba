import type { Backend, DType, Storage } from './backend.js';
import { bytesOf } from './backends/host.js';
import { sizeClass } from './size-class.js';
import { ExecutorError } from './error.js';
import { callSynchronously } from './arguments.js';

/**
 * Lifetime of storage. A buffer that is made inside `scope(() => …)` belongs to that scope. At the end of the scope, buffers that it
 * does not return go to the buffer pool, which serves later requests of about the same size. The pool gives the blocks that were unused
 * for the longest time back to the backend. Outside of scopes a buffer lives until JavaScript collects its tensor.
 */
export interface Scope {
  readonly buffers: Set<Buffer>;
}

/** Storage with its backend and owner; tensors that share memory share their buffer. */
export class Buffer {
  readonly backend: Backend;
  /** Number of buffers that were made before this one. */
  readonly serial: number;
  /** Null after release. */
  storage: Storage | null;
  owner: Scope | null;
  /** How often its values were changed in place. */
  version = 0;
  /** The op that changed them last. */
  changedBy = '';
  /** Its values in bf16 as products read them, see working-copy.ts; released with this buffer. */
  copy: Buffer | null = null;
  /** The version that `copy` holds. */
  copiedVersion = -1;
  /** Whether the storage belongs to a recording, which keeps it when the buffer is released. */
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

  /** Notes that `copy`, where there is one, was written together with the values. */
  noteCopied(): void {
    if (this.copy) this.copiedVersion = this.version;
  }

  get hasFreshCopy(): boolean {
    return this.copy !== null && this.copiedVersion === this.version;
  }
}

/**
 * Limit of the pool: the blocks of scopes and of the pool together have at most this many times the bytes that tensors of scopes had at
 * their peak. Steps of one shape need 1; without a limit, steps of many shapes would fill the pool with blocks of every size.
 */
const MOST_PER_PEAK = 1.25;
/** Bytes that the pool may hold in any case. */
const SMALL_POOL = 2 ** 25;
/**
 * A request takes a free block of its size class or, where there is none, a larger one of which it uses at least this share. Blocks of
 * the largest step, a sixteenth of them, a sixteenth of those, … then serve steps of all lengths, which stays within MOST_PER_PEAK.
 */
const LEAST_USE = 1 / 16;
/** Number of blocks of a size class that are searched for one of the same dtype and length, which is used as it is. */
const LOOKS = 8;

/** Free storage of one backend: the buffer pool. */
export class Pool {
  /** Blocks by size class; the class used last comes last. */
  readonly #free = new Map<number, Storage[]>();
  readonly #backend: Backend;
  #bytes = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** A free block for `length` elements; undefined where none fits. */
  take(dtype: DType, length: number): Storage | undefined {
    const bytes = length * bytesOf(dtype);
    const smallest = sizeClass(bytes);
    // Beyond 2^53 size + 1 is size; no block is so large.
    const largest = Math.min(Math.max(smallest, bytes / LEAST_USE), Number.MAX_SAFE_INTEGER);
    for (let size = smallest; size <= largest; size = sizeClass(size + 1)) {
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

  /** Gives blocks back to the backend, the least recently used size class first, until at most `most` bytes are left. */
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

/** The index of a storage with room for `bytes`, if possible of this dtype and length; −1 where there is none. */
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
/** Bytes of the blocks that scopes own. */
let blockBytes = 0;
/** Bytes of the elements in them, and their peak. */
let usedBytes = 0;
let peakBytes = 0;

/** The innermost open scope. */
export function currentScope(): Scope | null {
  return current;
}

/**
 * A buffer with unspecified contents, from the pool where a block fits.
 *
 * @throws {ExecutorError} `memory` where the device has no room for it; `dtype` for bf16 on another device than `cuda`.
 */
export function allocate(backend: Backend, dtype: DType, length: number, owner: Scope | null): Buffer {
  const bytes = length * bytesOf(dtype);
  if (dtype === 'bf16' && backend.device !== 'cuda')
    throw new ExecutorError(
      'dtype',
      `bf16 is a dtype of the device 'cuda' alone, not of '${backend.device}'`,
    );
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
    blockBytes += storage.capacity;
    usedBytes += bytes;
    peakBytes = Math.max(peakBytes, usedBytes);
  }
  return buffer;
}

/** A buffer that may live long, outside of all scopes: never in a larger block of the pool. */
export function allocateFitting(backend: Backend, dtype: DType, length: number): Buffer {
  const storage = allocateNew(backend, dtype, length);
  allocated++;
  return new Buffer(backend, made++, storage, null);
}

/** Releases the working copy of a buffer, where it has one. */
export function releaseCopy(buffer: Buffer): void {
  if (buffer.copy) release(buffer.copy);
  buffer.copy = null;
}

/** New storage; where the device is out of memory, the pool is emptied first. */
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

/** Number of buffers made so far, which is the serial of the next one. */
export function buffersMade(): number {
  return made;
}

/** Puts the storage of a buffer into the pool; does nothing where it was released before. */
export function release(buffer: Buffer): void {
  const { backend, storage } = buffer;
  if (!storage) return;
  if (buffer.owner?.buffers.delete(buffer)) {
    blockBytes = Math.max(0, blockBytes - storage.capacity);
    usedBytes = Math.max(0, usedBytes - storage.length * bytesOf(storage.dtype));
  }
  buffer.storage = null;
  releaseCopy(buffer);
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

/** Bytes that the pool may hold after `more` bytes are allocated. */
function mostPooled(more = 0): number {
  return Math.max(SMALL_POOL, MOST_PER_PEAK * peakBytes - blockBytes - more);
}

/** `allocated`: buffers that backends ever allocated, constant in a steady state; `pooled`: buffers in the pool now. */
export function memoryStats(): { allocated: number; pooled: number } {
  return { allocated, pooled: [...pools.values()].reduce((n, { count }) => n + count, 0) };
}

/** Gives the buffers in the pool back to their backends. */
export function emptyPool(): void {
  for (const pool of pools.values()) pool.empty();
}

/** Runs `body` with a pool of its own, which is emptied afterwards. */
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

/** As `runScope`, but the kept buffers belong to `holder` instead of the scope around. */
export function runScopeFor<T>(holder: Scope, body: () => T, kept: (result: T) => Iterable<Buffer>): T {
  const outer = current;
  current = holder;
  try {
    return runScope(body, kept);
  } finally {
    leave(outer);
  }
}

/** Runs `body` in a new scope; the buffers `kept(result)` move to the scope around it, all others are released. */
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
      else shrinkToFit(buffer);
    }
    return result;
  } finally {
    for (const buffer of scope.buffers) release(buffer);
    leave(outer);
  }
}

/** A buffer that leaves all scopes may live long: from a much larger block it moves to one of its size class. */
function shrinkToFit(buffer: Buffer): void {
  const { backend, storage } = buffer;
  if (!storage || storage.capacity <= 2 * sizeClass(storage.length * bytesOf(storage.dtype))) return;
  const fitting = allocateNew(backend, storage.dtype, storage.length);
  allocated++;
  backend.cast(storage, { storage: fitting, accumulate: false });
  buffer.storage = fitting;
  poolOf(backend).keep(storage);
}

function leave(outer: Scope | null): void {
  current = outer;
  // Buffers that it kept belong to no scope.
  if (!outer) blockBytes = usedBytes = 0;
}
