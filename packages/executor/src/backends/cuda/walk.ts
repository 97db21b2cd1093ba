import type { StridedWalk } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { sizeOf } from '../../shape.js';
import { collapse } from '../../walk.js';

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

/**
 * Packs a walk, its dimensions as few as possible. `target`: the operand that receives sums, over those dimensions in which it
 * stands still; null: all are kept. `by`: the operand whose strides say which terms are neighbours. `aligned`: whether all begin
 * at a multiple of four numbers.
 *
 * @throws {ExecutorError} `shape` where it has too many dimensions that cannot be merged
 */
export function packWalk(walk: StridedWalk, target: number | null, by = 0, aligned = true): PackedWalk {
  const isSummed = (d: number): boolean => target !== null && walk.strides[target]![d] === 0;
  const kept = collapse(dimensionsOf(walk, (d) => !isSummed(d)));
  const summed = collapse(dimensionsOf(walk, isSummed));
  const shape = [...kept.shape, ...summed.shape];
  const strides = kept.strides.map((of, o) => [...of, ...summed.strides[o]!]);
  if (shape.length > MAX_RANK)
    throw new ExecutorError(
      'shape',
      `cuda: a walk over (${walk.shape.join(', ')}) has more than ${MAX_RANK} dimensions that are not neighbours`,
    );
  const words = new Float64Array(2 + (1 + OPERANDS) * MAX_RANK);
  words.set([kept.shape.length, summed.shape.length, ...shape]);
  strides.forEach((of, o) => words.set(of, 2 + (1 + o) * MAX_RANK));
  // Operands go on by one along dimension d, from a multiple of four numbers on, or stand still.
  const inFours = (d: number): boolean =>
    aligned &&
    shape[d]! % 4 === 0 &&
    strides.every(
      (of) => of[d] === 0 || (of[d] === 1 && of.every((stride, other) => other === d || stride % 4 === 0)),
    );
  const [innerKept, innerSummed] = [kept.shape.length - 1, shape.length - 1];
  const step = ({ strides: of }: StridedWalk) => Math.abs(of[by]!.at(-1) ?? Infinity);
  return {
    words,
    elements: sizeOf(kept.shape),
    terms: sizeOf(summed.shape),
    termsAreNeighbours: step(summed) < step(kept),
    elementsInFours:
      innerKept >= 0 && inFours(innerKept) && (target === null || strides[target]![innerKept] === 1),
    termsInFours: innerSummed > innerKept && inFours(innerSummed),
  };
}

function dimensionsOf({ shape, strides }: StridedWalk, are: (d: number) => boolean): StridedWalk {
  const of = (list: readonly number[]): number[] => list.filter((_, d) => are(d));
  return { shape: of(shape), strides: strides.map(of) };
}
