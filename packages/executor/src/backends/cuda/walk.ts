import type { StridedWalk } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { sizeOf } from '../../shape.js';
import { collapse } from '../../walk.js';

/** Dimensions and operands of a Walk, as in kernels/cuda/walk.h. */
const MAX_RANK = 12;
const OPERANDS = 3;

/** A walk in the form that kernels take, and the sizes of its parts. */
export interface PackedWalk {
  readonly words: Float64Array;
  /** Number of elements in the kept dimensions, and of terms of each in the dimensions that are summed. */
  readonly elements: number;
  readonly terms: number;
  /** Whether terms are closer together in memory than elements. */
  readonly termsAreNeighbours: boolean;
  /** Whether four elements, or terms, can be read at once along their innermost dimension. */
  readonly elementsInFours: boolean;
  readonly termsInFours: boolean;
}

/**
 * Packs a walk in as few dimensions as possible.
 *
 * @param target The operand that receives sums over the dimensions in which its stride is 0; null: no dimension is summed.
 * @param by The operand whose strides tell which terms are neighbours.
 * @param aligned Whether all operands start at a multiple of four elements.
 * @throws {ExecutorError} `shape` where too many dimensions cannot be merged.
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
  // Along dimension d each operand has stride 1, starting at a multiple of four elements, or stride 0.
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
