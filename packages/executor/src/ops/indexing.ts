import { refuseMore } from '../arguments.js';
import { ExecutorError } from '../error.js';
import { sameShape, show } from '../shape.js';
import { record } from '../tape.js';
import { commonBackend, commonDType, empty, gradOf, type Tensor } from '../tensor.js';
import { checkAlways } from '../watch.js';

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

/**
 * Rows of `table` (V, C) by `index` (…) of dtype i32 → (…, C).
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device`; `value` for an index outside 0 … V−1.
 */
export function embedding(table: Tensor, index: Tensor): Tensor;
export function embedding(table: Tensor, index: Tensor, ...more: unknown[]): Tensor {
  refuseMore('embedding', more);
  const backend = commonBackend('embedding', [table, index]);
  const dtype = commonDType('embedding', [table]);
  const [rows, n] = table.shape;
  if (rows === undefined || n === undefined || table.shape.length !== 2)
    throw new ExecutorError('shape', `embedding: the table has 2 dimensions, given ${show(table.shape)}`);
  checkIndex('embedding', index, 0, rows);
  const y = empty([...index.shape, n], dtype, backend);
  backend.embedding(table.storage, index.storage, y.storage, n);
  return record('embedding', y, [table], { index }, (gradY, saved) =>
    backend.embeddingBackward(saved.index, gradY, gradOf(table), n),
  );
}
