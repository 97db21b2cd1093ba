import type { Storage } from '../../backend.js';
import type { KernelLibrary } from './kernels.js';

/** The kernels of that name for f32 and f64. */
export function precisions(
  library: KernelLibrary,
  name: string,
  types: string,
  kernel: 'kernel' | 'scratchKernel' = 'kernel',
) {
  return { f32: library[kernel](`${name}_f32`, types), f64: library[kernel](`${name}_f64`, types) };
}

/** The key of `precisions` for a storage; ops pass f32 and f64 only. */
export function precisionOf({ dtype }: Storage): 'f32' | 'f64' {
  return dtype === 'f64' ? 'f64' : 'f32';
}
