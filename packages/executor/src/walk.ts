import type { StridedWalk } from './backend.js';

/** A walk whose lists may be changed. */
export interface CollapsedWalk extends StridedWalk {
  readonly shape: number[];
  readonly strides: number[][];
}

/** The same walk in as few dimensions as possible: merges neighbouring dimensions that are contiguous in every operand. */
export function collapse({ shape, strides }: StridedWalk): CollapsedWalk {
  const collapsed: CollapsedWalk = { shape: [], strides: strides.map(() => []) };
  let last = -1;
  for (let d = 0; d < shape.length; d++) {
    const n = shape[d]!;
    if (n === 1) continue;
    let isEven = last >= 0;
    for (let o = 0; isEven && o < strides.length; o++)
      isEven = collapsed.strides[o]![last] === strides[o]![d]! * n;
    if (isEven) collapsed.shape[last]! *= n;
    else collapsed.shape[++last] = n;
    for (let o = 0; o < strides.length; o++) collapsed.strides[o]![last] = strides[o]![d]!;
  }
  return collapsed;
}
