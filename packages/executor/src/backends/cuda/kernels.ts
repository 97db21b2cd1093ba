import type { DType, Storage } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import type { CudaDevice, Grid, Launch } from './device.js';
import { Allocator, cudaStorage, type CudaStorage } from './memory.js';

/** Threads of a block, as in kernels/cuda/common.h. */
export const THREADS = 256;
export const WARP = 32;
/** Most threads of a block of sumSlices in kernels/cuda/sums.h. */
const SLICE_THREADS = 1024;
/**
 * Number of blocks among which sums are divided where their bits depend on it: enough for the largest devices, and the same on all, so
 * that results do not depend on the device.
 */
export const PARALLEL = 512;

/** The device, its memory and helpers to launch kernels, for the methods of the backend. */
export class Kernels {
  readonly device: CudaDevice;
  readonly allocator: Allocator;

  constructor(device: CudaDevice, allocator: Allocator) {
    this.device = device;
    this.allocator = allocator;
  }

  /** The kernels of that name for f32 and f64. */
  precisions(module: string, name: string, types: string): Readonly<Record<'f32' | 'f64', Launch>> {
    return {
      f32: this.device.kernel(module, `${name}_f32`, types),
      f64: this.device.kernel(module, `${name}_f64`, types),
    };
  }

  /** The same, and those for storage in bf16. */
  storages(module: string, name: string, types: string): Readonly<Record<'f32' | 'f64' | 'bf16', Launch>> {
    return {
      ...this.precisions(module, name, types),
      bf16: this.device.kernel(module, `${name}_bf16`, types),
    };
  }

  /** Blocks for `n` elements of a thread each; those beyond what keeps the device busy are done by the same threads. */
  gridFor(n: number): Grid {
    return [this.blocks(Math.ceil(n / THREADS))];
  }

  /** Blocks for `n` elements of a warp each. */
  gridForWarps(n: number): Grid {
    return [this.blocks(Math.ceil((n * WARP) / THREADS))];
  }

  /** Blocks and threads that add up slices of `n` sums. */
  gridForSlices(n: number, slices: number): readonly [grid: Grid, threads: number] {
    return [[this.blocks(Math.ceil(n / WARP))], Math.min(WARP * slices, SLICE_THREADS)];
  }

  /** As many blocks as are wanted, but no more than keep the device busy. */
  blocks(wanted: number): number {
    return Math.max(1, Math.min(wanted, 32 * this.device.multiprocessors));
  }

  /**
   * Temporary memory for the work that `use` queues. It is free as soon as `use` returns, since later work runs later.
   */
  withScratch<T>(dtype: DType, length: number, use: (scratch: CudaStorage) => T): T {
    const scratch = this.allocator.allocate(dtype, length);
    try {
      return use(scratch);
    } finally {
      this.allocator.free(scratch);
    }
  }
}

/** The key of `precisions` for a storage. @throws {ExecutorError} `dtype` for another than f32 and f64, which ops refuse. */
export function precisionOf({ dtype }: Storage): 'f32' | 'f64' {
  if (dtype === 'f32' || dtype === 'f64') return dtype;
  throw new ExecutorError('dtype', `cuda: no kernel for ${dtype}`);
}

/** The key of `storages` for a storage. @throws {ExecutorError} `dtype` for i32, which ops refuse. */
export function floatOf(storage: Storage): 'f32' | 'f64' | 'bf16' {
  return storage.dtype === 'bf16' ? 'bf16' : precisionOf(storage);
}

/** What kernels compute in with numbers of a storage: f32 for bf16. */
export function computedIn(storage: Storage): 'f32' | 'f64' {
  return storage.dtype === 'bf16' ? 'f32' : precisionOf(storage);
}

/** Forgets the range of values that the host wrote: a kernel overwrites them. */
export function written(storage: Storage): CudaStorage {
  const of = cudaStorage(storage);
  of.range = null;
  return of;
}
