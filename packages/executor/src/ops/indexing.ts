import { ExecutorError } from '../error.js';
import { sameShape, show } from '../shape.js';
import { record } from '../tape.js';
import { commonBackend, commonDType, empty, gradOf, type Tensor } from '../tensor.js';
import { checkAlways } from '../watch.js';

/** Checks that all indices are in `from` … `below` − 1. */
export function checkIndex(op: string, index: Tensor, from: number, below: number): void {
  if (index.dtype !== 'i32')
    throw new ExecutorError('dtype', `${op}: indices are i32, given ${index.dtype} ${show(index.shape)}`);
  checkAlways(index, (range) => {
    // Where only the device knows them, the kernel itself gives NaN for those outside.
    for (const i of range ?? [])
      if (i < from || i >= below)
        throw new ExecutorError('value', `${op}: index ${i} is not in ${from} … ${below - 1}`);
  });
}

/** y[…] = x[…, index[…]]: one element of the last dimension each; an index of −1 gives 0 and no gradient. */
export function gather(x: Tensor, index: Tensor): Tensor {
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

/** Rows of `table` (V, C) by `index` (…) of dtype i32 → (…, C). */
export function embedding(table: Tensor, index: Tensor): Tensor {
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
