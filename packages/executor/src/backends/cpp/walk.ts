import type { StridedWalk } from '../../backend.js';

/** Dimensions that a packed walk may have, as in kernels/cpu/walk.h. */
const MAX_RANK = 12;
const MAX_OPERANDS = 2;

const packed = new Float64Array(1 + (1 + MAX_OPERANDS) * MAX_RANK);

/**
 * A walk as the kernels read it: its rank, its sizes, and the strides of each operand, with as few dimensions as
 * possible; null where it still has too many. The memory is that of every call: a kernel reads it before it returns.
 */
export function packWalk({ shape, strides }: StridedWalk): Float64Array | null {
  let rank = 0;
  for (let d = 0; d < shape.length; d++) {
    const n = shape[d]!;
    if (n === 1) continue;
    let even = rank > 0;
    for (let o = 0; even && o < strides.length; o++)
      even = packed[(o + 1) * MAX_RANK + rank] === strides[o]![d]! * n;
    if (even) packed[rank]! *= n;
    else {
      if (rank === MAX_RANK) return null;
      packed[++rank] = n;
    }
    for (let o = 0; o < strides.length; o++) packed[(o + 1) * MAX_RANK + rank] = strides[o]![d]!;
  }
  packed[0] = rank;
  return packed;
}
