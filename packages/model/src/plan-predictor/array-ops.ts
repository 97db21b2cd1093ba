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
  gelu,
  greaterEqual,
  linear,
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
import type { Parameters } from '../gpt.js';

/** Operations on arrays of doubles. Broadcasting and axes are NumPy's; comparisons give 1 or 0. */
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
  /** Index of the largest element along the last axis, which stays with size 1; the first one among equals. */
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

/**
 * What a hard readout is written with, so that it stands once: `TensorOps` runs it on tensors, `GraphOps` writes it as nodes of an ONNX
 * graph.
 */
export interface ReadoutOps<T> extends ArrayOps<T> {
  /** x·Wᵀ + b in f32, by the weights `name.weight` and, where the model has it, `name.bias`. */
  linear(name: string, x: T): T;
  /** Of f32. */
  gelu(x: T): T;
  /** f32 in double: decisions that are made by it are refused where it is not finite. */
  double(x: T): T;
  /** x (B, T, n) at the tokens that are asked: one in each row, (B, 1, n), or all. */
  asked(x: T): T;
  /** At the N tokens that are asked: Σ over all tokens up to there of weights (B, T, m) times x (B, T, n), (N, m, n). */
  sumSoFar(weights: T, x: T, m: number, n: number): T;
}

type Binary = (a: Tensor, b: Tensor) => Tensor;

export class TensorOps implements ReadoutOps<Tensor> {
  /** What decisions were made by: tensors to be checked once they can be read. */
  readonly decisions: Tensor[] = [];
  readonly #like: { readonly device?: Device };
  readonly #parameters: Parameters;
  readonly #at: Tensor | null;

  /**
   * @param device Where constants are made; left out, the default device.
   * @param at (B) of f64: the token that is asked in each row; null: all of them.
   */
  constructor(device?: Device, parameters: Parameters = new Map(), at: Tensor | null = null) {
    this.#like = device ? { device } : {};
    this.#parameters = parameters;
    this.#at = at;
  }

  f64 = (values: number | readonly number[], dims?: readonly number[]): Tensor => {
    const list = typeof values === 'number' ? [values] : values;
    const shape = dims ?? (typeof values === 'number' ? [] : [values.length]);
    return tensor(list, shape, { dtype: 'f64', ...this.#like });
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
  gelu = gelu;
  matmul = matmul;
  sum = sum;
  cumsum = cumsum;
  select = select;
  concat = cat;
  transpose = permute;
  reshape = reshape;
  unsqueeze = unsqueeze;

  linear = (name: string, x: Tensor): Tensor =>
    linear(x, this.#parameters.get(`${name}.weight`)!, this.#parameters.get(`${name}.bias`) ?? null);

  double = (x: Tensor): Tensor => {
    this.decisions.push(x);
    return cast(x, 'f64');
  };

  asked = (x: Tensor): Tensor => {
    if (!this.#at) return x;
    const [B, T, n] = x.shape as [number, number, number];
    const first = this.f64(Array.from({ length: B }, (_, b) => b * T));
    return reshape(embedding(reshape(x, [B * T, n]), cast(add(this.#at, first), 'i32')), [B, 1, n]);
  };

  sumSoFar = (weights: Tensor, x: Tensor, m: number, n: number): Tensor => {
    const [B, T] = weights.shape as [number, number];
    if (!this.#at) return reshape(cumsum(mul(unsqueeze(weights, 3), unsqueeze(x, 2)), 1), [B * T, m, n]);
    // A product of matrices takes a fraction of the memory.
    const tokens = this.f64([...Array(T).keys()], [T, 1]);
    const isUpTo = greaterEqual(reshape(this.#at, [B, 1, 1]), tokens);
    return matmul(permute(mul(weights, isUpTo), [0, 2, 1]), x);
  };
}
