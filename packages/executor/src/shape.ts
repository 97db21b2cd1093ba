import { named } from './arguments.js';
import { ExecutorError } from './error.js';

/** Sizes of the dimensions, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

/** Elements to step over in each dimension of a contiguous row-major tensor. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = step;
    step *= shape[d]!;
  }
  return strides;
}

/** For example '(2, 3)'. */
export function show(shape: Shape): string {
  return `(${shape.join(', ')})`;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, d) => n === b[d]);
}

/**
 * A copy of `given` that reads each size once: a getter may return another one the next time.
 *
 * @throws {ExecutorError} `shape` where a size is not a whole number from 0, or offsets would exceed 2^53.
 */
export function checkedShape(given: Shape, op: string): Shape {
  if (!Array.isArray(given))
    throw new ExecutorError('shape', `${op}: a shape is an array of sizes, given ${named(given)}`);
  const shape: unknown[] = [...(given as unknown[])];
  if (!shape.every(isSize))
    throw new ExecutorError(
      'shape',
      `${op}: a shape has whole sizes of 0 or more, given (${shape.map(named).join(', ')})`,
    );
  if (!Number.isSafeInteger(shape.reduce((size, n) => size * Math.max(n, 1), 1)))
    throw new ExecutorError('shape', `${op}: sizes of ${show(shape)} multiply to more than 2^53`);
  return shape;
}

const isSize = (n: unknown): n is number => typeof n === 'number' && Number.isInteger(n) && n >= 0;

/** The shape that both broadcast to, by the rules of NumPy and PyTorch. @throws {ExecutorError} `shape`. */
export function broadcastShapes(a: Shape, b: Shape, op: string): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let d = 1; d <= rank; d++) {
    const x = a[a.length - d] ?? 1;
    const y = b[b.length - d] ?? 1;
    if (x !== y && x !== 1 && y !== 1)
      throw new ExecutorError('shape', `${op}: shapes ${show(a)} and ${show(b)} do not broadcast`);
    out[rank - d] = x === 1 ? y : x;
  }
  return out;
}

/** Strides that read a contiguous tensor of `shape` as one of shape `target`: 0 in broadcast dimensions. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const strides = stridesOf(shape);
  const missing = target.length - shape.length;
  return target.map((_, d) => (d < missing || shape[d - missing] === 1 ? 0 : strides[d - missing]!));
}

/** The dimension from 0; a negative `dim` counts from the end. @throws {ExecutorError} `shape` outside of the rank. */
export function dimension(dim: number, rank: number, op: string): number {
  const d = Number.isInteger(dim) && dim < 0 ? dim + rank : dim;
  if (!Number.isInteger(d) || d < 0 || d >= rank)
    throw new ExecutorError(
      'shape',
      `${op}: dimension ${named(dim)} is outside a tensor of ${rank} dimensions`,
    );
  return d;
}
