import { checkedList, named } from '../arguments.js';
import { ExecutorError } from '../error.js';
import {
  broadcastShapes,
  broadcastStrides,
  checkedShape,
  dimension,
  sameShape,
  show,
  sizeOf,
  stridesOf,
  type Shape,
} from '../shape.js';
import { record } from '../tape.js';
import {
  checkTensor,
  commonBackend,
  empty,
  gradOf,
  overwrite,
  passGradient,
  Tensor,
  wantedGradOf,
  zeroedGradOf,
} from '../tensor.js';

/** The same elements in another shape; one size may be −1. Shares memory. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  checkTensor('reshape', x);
  const full = checkedShape(inferred(x, shape), 'reshape');
  if (sizeOf(full) !== x.size)
    throw new ExecutorError(
      'shape',
      `reshape: ${show(x.shape)} has ${x.size} elements, ${show(full)} does not`,
    );
  const y = new Tensor(x.buffer, full, x.dtype);
  return record('reshape', y, [x], {}, () => passGradient(y, x));
}

/** `shape` with the size that −1 stands for. */
function inferred(x: Tensor, shape: Shape): Shape {
  if (!Array.isArray(shape)) return shape;
  shape = [...(shape as Shape)];
  const unknown = shape.filter((n) => n === -1).length;
  if (unknown === 0) return shape;
  const known = shape.reduce((size, n) => (n === -1 ? size : size * n), 1);
  if (unknown > 1 || !Number.isInteger(x.size / known))
    throw new ExecutorError(
      'shape',
      `reshape: ${show(x.shape)} to (${shape.map(named).join(', ')}); one size may be −1, where the others divide ${x.size} elements`,
    );
  return shape.map((n) => (n === -1 ? x.size / known : n));
}

/** Elements `start … start+length−1` of dimension `dim`. */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  checkTensor('narrow', x);
  const d = dimension(dim, x.shape.length, 'narrow');
  if (!(
    Number.isInteger(start) &&
    Number.isInteger(length) &&
    start >= 0 &&
    length >= 0 &&
    start + length <= x.shape[d]!
  ))
    throw new ExecutorError(
      'shape',
      `narrow: ${named(length)} from ${named(start)} of dimension ${dim} of ${show(x.shape)}`,
    );
  const shape = x.shape.map((n, i) => (i === d ? length : n));
  const y = empty(shape, x.dtype, x.backend);
  const inX = stridesOf(x.shape);
  const inY = stridesOf(shape);
  const offset = start * inX[d]!;
  x.backend.copyStrided({ shape, strides: [inX, inY] }, x.storage, offset, overwrite(y), 0);
  return record('narrow', y, [x], {}, (gradY) =>
    x.backend.copyStrided({ shape, strides: [inY, inX] }, gradY, 0, zeroedGradOf(x), offset),
  );
}

/** Index `i` of dimension `dim`, which goes away. */
export function select(x: Tensor, dim: number, i: number): Tensor {
  checkTensor('select', x);
  const d = dimension(dim, x.shape.length, 'select');
  if (!(Number.isInteger(i) && i >= 0 && i < x.shape[d]!))
    throw new ExecutorError('shape', `select: index ${named(i)} of dimension ${dim} of ${show(x.shape)}`);
  return reshape(
    narrow(x, d, i, 1),
    x.shape.filter((_, k) => k !== d),
  );
}

/** The tensors one after another along `dim`. */
export function cat(tensors: readonly Tensor[], dim: number): Tensor {
  tensors = checkedList('cat', 'tensors', tensors);
  const first = tensors[0];
  if (!first) throw new ExecutorError('shape', 'cat: no tensors given');
  const backend = commonBackend('cat', tensors);
  const d = dimension(dim, first.shape.length, 'cat');
  for (const t of tensors) {
    if (t.dtype !== first.dtype)
      throw new ExecutorError('dtype', `cat: dtypes ${first.dtype} and ${t.dtype}`);
    if (t.shape.length !== first.shape.length || !t.shape.every((n, i) => i === d || n === first.shape[i]))
      throw new ExecutorError(
        'shape',
        `cat: shapes ${show(first.shape)} and ${show(t.shape)} differ outside dimension ${dim}`,
      );
  }
  const shape = first.shape.map((n, i) => (i === d ? tensors.reduce((sum, t) => sum + t.shape[d]!, 0) : n));
  const y = empty(shape, first.dtype, backend);
  const inY = stridesOf(shape);
  const offsets: number[] = [];
  let at = 0;
  for (const t of tensors) {
    offsets.push(at * inY[d]!);
    backend.copyStrided(
      { shape: t.shape, strides: [stridesOf(t.shape), inY] },
      t.storage,
      0,
      overwrite(y),
      at * inY[d]!,
    );
    at += t.shape[d]!;
  }
  return record('cat', y, tensors, {}, (gradY) =>
    tensors.forEach((t, i) => {
      const grad = wantedGradOf(t);
      if (grad)
        backend.copyStrided(
          { shape: t.shape, strides: [inY, stridesOf(t.shape)] },
          gradY,
          offsets[i]!,
          grad,
          0,
        );
    }),
  );
}

/** Tensors of one shape along a new dimension `dim`. */
export function stack(tensors: readonly Tensor[], dim: number): Tensor {
  tensors = checkedList('stack', 'tensors', tensors);
  const first = tensors[0];
  if (!first) throw new ExecutorError('shape', 'stack: no tensors given');
  commonBackend('stack', tensors);
  for (const t of tensors)
    if (!sameShape(t.shape, first.shape))
      throw new ExecutorError('shape', `stack: shapes ${show(first.shape)} and ${show(t.shape)} differ`);
  const d = dimension(dim, first.shape.length + 1, 'stack');
  return cat(
    tensors.map((t) => reshape(t, [...t.shape.slice(0, d), 1, ...t.shape.slice(d)])),
    d,
  );
}

/** Repeats dimensions of size 1 (and adds leading ones) up to `shape`. */
export function expand(x: Tensor, shape: Shape): Tensor {
  checkTensor('expand', x);
  shape = checkedShape(shape, 'expand');
  if (!sameShape(broadcastShapes(x.shape, shape, 'expand'), shape))
    throw new ExecutorError('shape', `expand: ${show(x.shape)} does not expand to ${show(shape)}`);
  const y = empty(shape, x.dtype, x.backend);
  const inX = broadcastStrides(x.shape, shape);
  const inY = stridesOf(shape);
  x.backend.copyStrided({ shape, strides: [inX, inY] }, x.storage, 0, overwrite(y), 0);
  return record('expand', y, [x], {}, (gradY) =>
    x.backend.copyStrided(
      { shape, strides: [inY, inX] },
      gradY,
      0,
      y.size === 0 ? zeroedGradOf(x) : gradOf(x),
      0,
    ),
  );
}

/** Dimension `order[d]` of x becomes dimension d. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  checkTensor('permute', x);
  order = checkedList('permute', 'order', order);
  const dims = order.map((d) => dimension(d, x.shape.length, 'permute'));
  if (dims.length !== x.shape.length || new Set(dims).size !== dims.length)
    throw new ExecutorError(
      'shape',
      `permute: order ${show(order)} for a tensor of shape ${show(x.shape)}; expected each of its dimensions once`,
    );
  const shape = dims.map((d) => x.shape[d]!);
  const strides = stridesOf(x.shape);
  const inX = dims.map((d) => strides[d]!);
  const inY = stridesOf(shape);
  const y = empty(shape, x.dtype, x.backend);
  x.backend.copyStrided({ shape, strides: [inX, inY] }, x.storage, 0, overwrite(y), 0);
  return record('permute', y, [x], {}, (gradY) =>
    x.backend.copyStrided({ shape, strides: [inY, inX] }, gradY, 0, gradOf(x), 0),
  );
}
