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
  refuseBf16,
  Tensor,
  wantedGradOf,
  zeroedGradOf,
} from '../tensor.js';

/** The same elements in another shape; one size may be −1. Shares memory. @throws {ExecutorError} `shape` for another number of elements. */
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

/**
 * A copy of elements `start … start+length−1` of dimension `dim`; a negative `start` counts from the end.
 *
 * @throws {ExecutorError} `shape` where these are outside.
 */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  checkTensor('narrow', x);
  const d = dimension(dim, x.shape.length, 'narrow');
  const first = fromEnd(start, x.shape[d]!);
  if (!(
    Number.isInteger(start) &&
    Number.isInteger(length) &&
    first >= 0 &&
    length >= 0 &&
    first + length <= x.shape[d]!
  ))
    throw new ExecutorError(
      'shape',
      `narrow: ${named(length)} from ${named(start)} of dimension ${dim} of ${show(x.shape)}`,
    );
  return everyOf('narrow', x, d, first, length, 1);
}

/** The index in a dimension of `n` elements that `i` stands for; a negative one counts from the end. */
const fromEnd = (i: number, n: number): number => (i < 0 ? i + n : i);

/**
 * Elements `start`, `start + step`, … before `end` of dimension `dim`, as `x[start:end:step]` of NumPy: negative `start` and `end` count
 * from the end, and indices outside are clipped. A negative step goes backwards; `start` then defaults to the last element.
 *
 * @throws {ExecutorError} `shape` where one is not whole, or the step is 0.
 * @example slice(x, 0, -2) // the last two rows
 * @example slice(x, 1, undefined, undefined, -1) // columns in reverse
 */
export function slice(x: Tensor, dim: number, start?: number, end?: number, step = 1): Tensor {
  checkTensor('slice', x);
  const d = dimension(dim, x.shape.length, 'slice');
  const n = x.shape[d]!;
  if (![start ?? 0, end ?? 0, step].every(Number.isInteger) || step === 0)
    throw new ExecutorError(
      'shape',
      `slice: start, end and step are whole numbers, and the step is not 0; given ${[start, end, step].map(named).join(', ')}`,
    );
  // Where an index outside is clipped to.
  const [lowest, highest] = step > 0 ? [0, n] : [-1, n - 1];
  const place = (i: number): number => Math.min(Math.max(fromEnd(i, n), lowest), highest);
  const first = start === undefined ? (step > 0 ? 0 : n - 1) : place(start);
  const beyond = end === undefined ? (step > 0 ? n : -1) : place(end);
  return everyOf('slice', x, d, first, Math.max(0, Math.ceil((beyond - first) / step)), step);
}

/** `length` elements of dimension `d` from `start` on, `step` apart. */
function everyOf(op: string, x: Tensor, d: number, start: number, length: number, step: number): Tensor {
  refuseBf16(op, x);
  const shape = x.shape.map((n, i) => (i === d ? length : n));
  const y = empty(shape, x.dtype, x.backend);
  const whole = stridesOf(x.shape);
  const inX = whole.map((stride, i) => (i === d ? stride * step : stride));
  const inY = stridesOf(shape);
  const offset = length > 0 ? start * whole[d]! : 0;
  x.backend.copyStrided({ shape, strides: [inX, inY] }, x.storage, offset, overwrite(y), 0);
  return record(op, y, [x], {}, (gradY) =>
    x.backend.copyStrided({ shape, strides: [inY, inX] }, gradY, 0, zeroedGradOf(x), offset),
  );
}

/** Consecutive parts of dimension `dim`: of the given sizes, or of one size, where the last part may be smaller. */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  checkTensor('split', x);
  const d = dimension(dim, x.shape.length, 'split');
  const n = x.shape[d]!;
  const parts = typeof sizes === 'number' ? equalParts(n, sizes) : checkedList('split', 'sizes', sizes);
  if (!parts.every((size) => Number.isInteger(size) && size >= 0) || parts.reduce((a, b) => a + b, 0) !== n)
    throw new ExecutorError(
      'shape',
      `split: sizes are whole and make up the ${n} of dimension ${d} of ${show(x.shape)}; given ${[sizes].flat().map(named).join(', ')}`,
    );
  let start = 0;
  return parts.map((size) => narrow(x, d, (start += size) - size, size));
}

/** Most parts of one `split`: a dimension of a tensor without elements may be longer than memory has room for tensors. */
const MOST_PARTS = 2 ** 24;

/** Sizes of the parts; none for an invalid size or too many parts, which `split` then refuses. */
function equalParts(n: number, size: number): number[] {
  if (!(Number.isInteger(size) && size > 0 && n / size <= MOST_PARTS)) return [];
  return Array.from({ length: Math.ceil(n / size) }, (_, i) => Math.min(size, n - i * size));
}

/** Index `i` of dimension `dim`, which is removed; a negative one counts from the end. */
export function select(x: Tensor, dim: number, i: number): Tensor {
  checkTensor('select', x);
  const d = dimension(dim, x.shape.length, 'select');
  const index = fromEnd(i, x.shape[d]!);
  if (!(Number.isInteger(i) && index >= 0 && index < x.shape[d]!))
    throw new ExecutorError('shape', `select: index ${named(i)} of dimension ${dim} of ${show(x.shape)}`);
  return reshape(
    narrow(x, d, index, 1),
    x.shape.filter((_, k) => k !== d),
  );
}

/** Concatenates tensors along `dim`, by default the first; their other dimensions are equal. */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  tensors = checkedList('cat', 'tensors', tensors);
  const first = tensors[0];
  if (!first) throw new ExecutorError('shape', 'cat: no tensors given');
  const backend = commonBackend('cat', tensors);
  const d = dimension(dim, first.shape.length, 'cat');
  for (const t of tensors) {
    refuseBf16('cat', t);
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

/** Stacks tensors of one shape along a new dimension `dim`, by default the first. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
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

/** Broadcasts x to `shape`: a copy that repeats dimensions of size 1 and adds leading ones. */
export function expand(x: Tensor, shape: Shape): Tensor {
  checkTensor('expand', x);
  refuseBf16('expand', x);
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

/** Permutes the dimensions: dimension `order[d]` of x becomes dimension d of a copy. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  checkTensor('permute', x);
  refuseBf16('permute', x);
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

/** A copy with dimensions `a` and `b` swapped; by default the last two. */
export function transpose(x: Tensor, a = -2, b = -1): Tensor {
  checkTensor('transpose', x);
  const rank = x.shape.length;
  const [from, to] = [dimension(a, rank, 'transpose'), dimension(b, rank, 'transpose')];
  return permute(
    x,
    x.shape.map((_, d) => (d === from ? to : d === to ? from : d)),
  );
}

/** Removes dimension `dim`, whose size is 1; by default all dimensions of size 1. Shares memory. */
export function squeeze(x: Tensor, dim?: number): Tensor {
  checkTensor('squeeze', x);
  const only = dim === undefined ? undefined : dimension(dim, x.shape.length, 'squeeze');
  if (only !== undefined && x.shape[only] !== 1)
    throw new ExecutorError('shape', `squeeze: dimension ${only} of ${show(x.shape)} is not of size 1`);
  return reshape(
    x,
    x.shape.filter((n, d) => (only === undefined ? n !== 1 : d !== only)),
  );
}

/** Adds a dimension of size 1 at `dim`; −1 adds it last. Shares memory. */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  checkTensor('unsqueeze', x);
  const d = dimension(dim, x.shape.length + 1, 'unsqueeze');
  return reshape(x, [...x.shape.slice(0, d), 1, ...x.shape.slice(d)]);
}
