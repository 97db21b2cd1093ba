import type { StridedWalk } from '../../backend.js';
import { collapse } from '../../walk.js';

/** Dimensions that a packed walk may have, as in kernels/cpu/walk.h. */
const MAX_RANK = 12;
const MAX_OPERANDS = 2;

const packed = new Float64Array(1 + (1 + MAX_OPERANDS) * MAX_RANK);

/**
 * A walk as the kernels read it: its rank, its sizes, and the strides of each operand, with as few dimensions as
 * possible; null where it still has too many. The memory is that of every call: a kernel reads it before it returns.
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
