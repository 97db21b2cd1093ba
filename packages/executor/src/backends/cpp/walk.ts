import type { StridedWalk } from '../../backend.js';
import { collapse } from '../../walk.js';

/** Most dimensions of a packed walk, as in kernels/cpu/walk.h. */
const MAX_RANK = 12;
const MAX_OPERANDS = 2;

const packed = new Float64Array(1 + (1 + MAX_OPERANDS) * MAX_RANK);

/**
 * Packs a walk for the kernels: rank, sizes and the strides of each operand, in as few dimensions as possible; null where these are too
 * many. Every call returns the same array, which a kernel reads before the next call.
 */
export function packWalk(walk: StridedWalk): Float64Array | null {
  const { shape, strides } = collapse(walk);
  if (shape.length > MAX_RANK) return null;
  packed[0] = shape.length;
  for (let d = 0; d < shape.length; d++) {
    packed[1 + d] = shape[d]!;
    for (let o = 0; o < strides.length; o++) packed[1 + (o + 1) * MAX_RANK + d] = strides[o]![d]!;
  }
  return packed;
}
