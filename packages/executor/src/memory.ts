import type { Backend, DType, Storage } from './backend.js';
import { ExecutorError } from './error.js';

/**
 * Lifetime of storage. Inside `scope(() => …)` every buffer that is made belongs to the scope; when it is left,
 * those that are not returned go to a pool and the next request of the same dtype and length takes them from
 * there. Outside any scope a buffer lives until JavaScript collects its tensor.
 */
export interface Scope {
  readonly buffers: Set<Buffer>;
}

/** Storage with its backend and owner; `storage` is null once it was released. */
export interface Buffer {
  readonly backend: Backend;
  /** How many were made before it. */
  readonly serial: number;
  storage: Storage | null;
  owner: Scope | null;
}

let current: Scope | null = null;
let pools = new Map<Backend, Map<string, Storage[]>>();
let made = 0;
let allocated = 0;
let pooled = 0;

/** The innermost open scope. */
export function currentScope(): Scope | null {
  return current;
}

export function allocate(backend: Backend, dtype: DType, length: number, owner: Scope | null): Buffer {
  const free = pools.get(backend)?.get(`${dtype}:${length}`);
  let storage = free?.pop();
  if (storage) pooled--;
  else {
    storage = allocateNew(backend, dtype, length);
    allocated++;
  }
  const buffer: Buffer = { backend, serial: made++, storage, owner };
  owner?.buffers.add(buffer);
  return buffer;
}

/** A device that has no memory left may find room where buffers of other sizes lie unused. */
function allocateNew(backend: Backend, dtype: DType, length: number): Storage {
  try {
    return backend.allocate(dtype, length);
  } catch (error) {
    if (!(error instanceof ExecutorError && error.code === 'memory') || pooled === 0) throw error;
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
  buffer.owner?.buffers.delete(buffer);
  buffer.storage = null;
  const pool = pools.get(backend) ?? new Map<string, Storage[]>();
  pools.set(backend, pool);
  const key = `${storage.dtype}:${storage.length}`;
  const free = pool.get(key);
  if (free) free.push(storage);
  else pool.set(key, [storage]);
  pooled++;
}

/** How many buffers were ever taken from the backends (steady state: constant), and how many lie in the pool. */
export function memoryStats(): { allocated: number; pooled: number } {
  return { allocated, pooled };
}

/** Gives the pooled buffers back to their backends. */
export function emptyPool(): void {
  for (const [backend, pool] of pools)
    for (const free of pool.values()) for (const storage of free) backend.free(storage);
  pools.clear();
  pooled = 0;
}

/** Runs `body` with a pool of its own, which goes back to the backends after it. */
export function withOwnPool<T>(body: () => T): T {
  const outside = { pools, pooled };
  pools = new Map();
  pooled = 0;
  try {
    return body();
  } finally {
    emptyPool();
    ({ pools, pooled } = outside);
  }
}

/** As `runScope`, but what outlives it belongs to `holder`, whatever scope is open. */
export function runScopeFor<T>(holder: Scope, body: () => T, kept: (result: T) => Iterable<Buffer>): T {
  const outer = current;
  current = holder;
  try {
    return runScope(body, kept);
  } finally {
    current = outer;
  }
}

/** Runs `body`; `kept(result)` names the buffers that outlive the scope, in the scope around it. */
export function runScope<T>(body: () => T, kept: (result: T) => Iterable<Buffer>): T {
  const outer = current;
  const scope: Scope = { buffers: new Set() };
  current = scope;
  try {
    const result = body();
    if (result instanceof Promise)
      throw new ExecutorError(
        'value',
        'scope: the function returned a promise; what it makes later would escape the scope',
      );
    for (const buffer of kept(result)) {
      if (!scope.buffers.delete(buffer)) continue;
      buffer.owner = outer;
      outer?.buffers.add(buffer);
    }
    return result;
  } finally {
    current = outer;
    for (const buffer of scope.buffers) release(buffer);
  }
}
