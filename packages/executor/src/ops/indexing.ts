import { BELOW_1, checkNumber, checkOptions, refuseMore } from '../arguments.js';
import { ExecutorError } from '../error.js';
import { sameShape, show, sizeOf } from '../shape.js';
import { record } from '../tape.js';
import {
  commonBackend,
  commonDType,
  empty,
  gradOf,
  overwrite,
  wantedGradOf,
  type Tensor,
} from '../tensor.js';
import { checkAlways } from '../watch.js';
import { add, dropout } from './elementwise.js';
import { savedSeed, seedFrom, seedOfDropout, seedTensor, type SeedOption } from './scalar.js';

/** @throws {ExecutorError} `dtype` unless the indices are i32, `value` unless all are in `from` … `below` − 1. */
export function checkIndex(op: string, index: Tensor, from: number, below: number): void {
  if (index.dtype !== 'i32')
    throw new ExecutorError('dtype', `${op}: indices are i32, given ${index.dtype} ${show(index.shape)}`);
  checkAlways(index, (range) => {
    // Of indices that a kernel made the range is not known here; for those outside the kernel gives NaN.
    for (const i of range ?? [])
      if (i < from || i >= below)
        throw new ExecutorError('value', `${op}: index ${i} is not in ${from} … ${below - 1}`);
  });
}

/**
 * y[…] = x[…, index[…]]: picks one element along the last dimension, x (…, n) and index (…) of i32 → (…). An index of −1 gives 0 and no
 * gradient.
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device`; `value` for an index outside −1 … n−1.
 */
export function gather(x: Tensor, index: Tensor): Tensor;
export function gather(x: Tensor, index: Tensor, ...more: unknown[]): Tensor {
  refuseMore('gather', more);
  const backend = commonBackend('gather', [x, index]);
  const dtype = commonDType('gather', [x]);
  const n = x.shape[x.shape.length - 1];
  if (n === undefined || !sameShape(x.shape.slice(0, -1), index.shape))
    throw new ExecutorError(
      'shape',
      `gather: index ${show(index.shape)} is not the shape ${show(x.shape)} without its last dimension`,
    );
  checkIndex('gather', index, -1, n);
  const y = empty(index.shape, dtype, backend);
  backend.gather(x.storage, index.storage, y.storage, n);
  return record('gather', y, [x], { index }, (gradY, saved) =>
    backend.gatherBackward(saved.index, gradY, gradOf(x), n),
  );
}

/** What `embedding` adds to the rows, and drops of them, in the same pass. */
export interface EmbeddingOptions {
  /** (T, C), added to the rows of each sequence of `index` (…, T). */
  readonly positions?: Tensor;
  /** Probability in [0, 1) of dropping an element after that. Default: 0. */
  readonly dropout?: number;
  /** Seed of the dropout mask; required with dropout. */
  readonly seed?: SeedOption;
}

/**
 * Rows of `table` (V, C) by `index` (…) of dtype i32 → (…, C). Options add the rest of a transformer's input:
 * dropout(table[index] + positions).
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device`; `value` for an index outside 0 … V−1, and where dropout is not in [0, 1) or has no
 *   seed.
 */
export function embedding(table: Tensor, index: Tensor, options: EmbeddingOptions = {}): Tensor {
  checkOptions('embedding', options, ['positions', 'dropout', 'seed']);
  const { positions, dropout: p = 0, seed: givenSeed } = options;
  checkNumber('embedding', 'dropout', p, BELOW_1);
  const seed = seedOfDropout('embedding', p, givenSeed);
  const tables = positions ? [table, positions] : [table];
  const backend = commonBackend('embedding', [...tables, index]);
  const dtype = commonDType('embedding', tables);
  const [rows, n] = table.shape;
  if (rows === undefined || n === undefined || table.shape.length !== 2)
    throw new ExecutorError('shape', `embedding: the table has 2 dimensions, given ${show(table.shape)}`);
  const sequence = [...index.shape.slice(-1), n];
  if (positions && !sameShape(positions.shape, sequence))
    throw new ExecutorError(
      'shape',
      `embedding: positions ${show(positions.shape)} do not fit index ${show(index.shape)}; expected ${show(sequence)}`,
    );
  checkIndex('embedding', index, 0, rows);
  const { embeddingSum } = backend;
  if ((positions || p > 0) && !embeddingSum) {
    const y = embedding(table, index);
    return dropout(positions ? add(y, positions) : y, p, seed);
  }
  const y = empty([...index.shape, n], dtype, backend);
  if (embeddingSum)
    embeddingSum(
      ...([table.storage, index.storage, positions?.storage ?? null] as const),
      ...([p, seedFrom('embedding', seed, backend), y.storage, n] as const),
    );
  else backend.embedding(table.storage, index.storage, y.storage, n);
  const saved = { index, seed: p > 0 ? seedTensor(seed) : null };
  return record('embedding', y, tables, saved, (gradY, saved) => {
    let gradient = gradY;
    if (p > 0) {
      const dropped = empty(y.shape, dtype, backend);
      backend.dropout(gradY, overwrite(dropped), p, savedSeed(seed, saved.seed));
      gradient = dropped.storage;
    }
    const gradTable = wantedGradOf(table);
    if (gradTable) backend.embeddingBackward(saved.index, gradient, gradTable, n);
    const gradPositions = positions ? wantedGradOf(positions) : null;
    if (!gradPositions) return;
    const size = sizeOf(sequence);
    const walk = {
      shape: [size === 0 ? 0 : y.size / size, size],
      strides: [
        [size, 1],
        [0, 1],
      ],
    };
    backend.copyStrided(walk, gradient, 0, gradPositions, 0);
  });
}
