import type { StridedWalk } from '../../backend.js';
import { ExecutorError } from '../../error.js';

/** Dimensions and operands of a Walk, as in kernels/cuda/walk.h. */
const MAX_RANK = 12;
const OPERANDS = 3;

/** A walk as the kernels read it, and the sizes of its parts. */
export interface PackedWalk {
  readonly words: Float64Array;
  /** Elements of the kept dimensions, and terms of each where others are summed up. */
  readonly elements: number;
  readonly terms: number;
  /** Whether the terms lie closer together than the elements. */
  readonly termsAreNeighbours: boolean;
  /** Whether elements, and terms, can be taken four at once along their innermost dimension. */
  readonly elementsInFours: boolean;
  readonly termsInFours: boolean;
}

interface Dimension {
  size: number;
  readonly strides: number[];
}

/**
 * Packs a walk, its dimensions as few as possible. `target`: the operand that receives sums, over those dimensions in which it
 * stands still; null: all are kept. `by`: the operand whose strides say which terms are neighbours. `aligned`: whether all begin
 * at a multiple of four numbers.
 *
 * @throws {ExecutorError} `shape` where it has too many dimensions that cannot be merged
 */
export function packWalk(
  { shape, strides }: StridedWalk,
  target: number | null,
  by = 0,
  aligned = true,
): PackedWalk {
  const kept: Dimension[] = [];
  const summed: Dimension[] = [];
  for (let d = 0; d < shape.length; d++) {
    if (shape[d] === 1) continue;
    const dimension = { size: shape[d]!, strides: strides.map((of) => of[d]!) };
    const list = target !== null && dimension.strides[target] === 0 ? summed : kept;
    const last = list.at(-1);
    if (last?.strides.every((stride, o) => stride === dimension.strides[o]! * dimension.size)) {
      last.size *= dimension.size;
      last.strides.splice(0, strides.length, ...dimension.strides);
    } else list.push(dimension);
  }
  const all = [...kept, ...summed];
  if (all.length > MAX_RANK)
    throw new ExecutorError(
      'shape',
      `cuda: a walk over (${shape.join(', ')}) has more than ${MAX_RANK} dimensions that are not neighbours`,
    );
  const words = new Float64Array(2 + (1 + OPERANDS) * MAX_RANK);
  words[0] = kept.length;
  words[1] = summed.length;
  all.forEach(({ size, strides: of }, d) => {
    words[2 + d] = size;
    of.forEach((stride, o) => (words[2 + (1 + o) * MAX_RANK + d] = stride));
  });
  const product = (list: readonly Dimension[]) => list.reduce((n, { size }) => n * size, 1);
  // Operands go on by one along the dimension, from a multiple of four numbers on, or stand still.
  const inFours = (of: Dimension | undefined): boolean =>
    aligned &&
    of !== undefined &&
    of.size % 4 === 0 &&
    of.strides.every(
      (stride, o) =>
        stride === 0 || (stride === 1 && all.every((other) => other === of || other.strides[o]! % 4 === 0)),
    );
  const last = kept.at(-1);
  const inner = (list: readonly Dimension[]) => Math.abs(list.at(-1)?.strides[by] ?? Infinity);
  return {
    words,
    elements: product(kept),
    terms: product(summed),
    termsAreNeighbours: inner(summed) < inner(kept),
    elementsInFours: inFours(last) && (target === null || last!.strides[target] === 1),
    termsInFours: inFours(summed.at(-1)),
  };
}

/** The strides of a contiguous tensor of this shape. */
export function contiguous(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  for (let d = shape.length - 1, step = 1; d >= 0; step *= shape[d--]!) strides[d] = step;
  return strides;
}
