import {
  abs,
  add,
  argmax,
  cast,
  cat,
  cumsum,
  div,
  embedding,
  equal,
  greaterEqual,
  matmul,
  mul,
  narrow,
  permute,
  reshape,
  select,
  sub,
  sum,
  tensor,
  unsqueeze,
  type Device,
  type Tensor,
} from '@dag/executor';

/**
 * The operations that hard readouts are written with, so that each stands once: `TensorOps` runs them on tensors, `GraphBuilder`
 * writes them as nodes of an ONNX graph. Arrays are of doubles. Broadcasting and axes are NumPy's; comparisons give 1 or 0.
 */
export interface ArrayOps<T> {
  /** A constant; a number is a scalar, a list without `dims` a vector. */
  f64(values: number | readonly number[], dims?: readonly number[]): T;
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  mul(a: T, b: T): T;
  div(a: T, b: T): T;
  abs(x: T): T;
  equal(a: T, b: T): T;
  /** a ≥ b. */
  atLeast(a: T, b: T): T;
  /** (…, m, k) · (…, k, n); the leading dimensions are equal, or one side has none. */
  matmul(a: T, b: T): T;
  sum(x: T, axis: number, keepdims?: boolean): T;
  cumsum(x: T, axis: number): T;
  /** Index of the largest element along the last axis, the first one among equals, which stays as an axis of size 1. */
  argmax(x: T): T;
  /** Elements `from` … `to` − 1 along an axis. */
  slice(x: T, axis: number, from: number, to: number): T;
  /** One element along an axis, which goes away. */
  select(x: T, axis: number, index: number): T;
  concat(values: readonly T[], axis: number): T;
  transpose(x: T, perm: readonly number[]): T;
  /** One size may be −1. */
  reshape(x: T, dims: readonly number[]): T;
  /** A new axis of size 1. */
  unsqueeze(x: T, axis: number): T;
  /** table[index] of a vector, index whole. */
  take(table: T, index: T): T;
}

type Binary = (a: Tensor, b: Tensor) => Tensor;

/** The operations on tensors of f64. */
export class TensorOps implements ArrayOps<Tensor> {
  /** Where constants are made. */
  readonly like: { readonly device?: Device };

  /** @param device Left out, the default device. */
  constructor(device: Device | undefined) {
    this.like = device ? { device } : {};
  }

  f64 = (values: number | readonly number[], dims?: readonly number[]): Tensor => {
    const list = typeof values === 'number' ? [values] : values;
    const shape = dims ?? (typeof values === 'number' ? [] : [values.length]);
    return tensor(list, shape, { dtype: 'f64', ...this.like });
  };
  argmax = (x: Tensor): Tensor => cast(argmax(x, -1, true), 'f64');
  slice = (x: Tensor, axis: number, from: number, to: number): Tensor => narrow(x, axis, from, to - from);
  take = (table: Tensor, index: Tensor): Tensor =>
    reshape(embedding(reshape(table, [-1, 1]), cast(index, 'i32')), index.shape);

  add: Binary = add;
  sub: Binary = sub;
  mul: Binary = mul;
  div: Binary = div;
  equal: Binary = equal;
  atLeast: Binary = greaterEqual;
  abs = abs;
  matmul = matmul;
  sum = sum;
  cumsum = cumsum;
  select = select;
  concat = cat;
  transpose = permute;
  reshape = reshape;
  unsqueeze = unsqueeze;
}
