import {
  abs,
  add,
  argmax,
  cast,
  cat,
  clamp,
  cumsum,
  div,
  equal,
  exp,
  gelu,
  greaterEqual,
  linear,
  log,
  matmul,
  max,
  mul,
  narrow,
  permute,
  reshape,
  select,
  softmax,
  sub,
  sum,
  tensor,
  unsqueeze,
  type Device,
  type Tensor,
} from '@dag/executor';
import type { Parameters } from '../gpt.js';
import { weightOf } from '../weights.js';
import { atTokens } from './ops.js';

/** Operations on arrays of f64, with NumPy's broadcasting and axes; comparisons give 1 or 0. */
export interface ArrayOps<T> {
  /** A constant of shape `dims`. Default: () for a number, (n) for a list. */
  f64(values: number | readonly number[] | Float64Array, dims?: readonly number[]): T;
  /** a + b. */
  add(a: T, b: T): T;
  /** a − b. */
  sub(a: T, b: T): T;
  /** a · b, element by element. */
  mul(a: T, b: T): T;
  /** a / b. */
  div(a: T, b: T): T;
  /** |x|. */
  abs(x: T): T;
  /** eˣ. */
  exp(x: T): T;
  /** ln x. */
  log(x: T): T;
  /** min(max(x, least), most). */
  clamp(x: T, least: number, most: number): T;
  /** 1 where a = b, else 0. */
  equal(a: T, b: T): T;
  /** 1 where a ≥ b, else 0. */
  atLeast(a: T, b: T): T;
  /** (…, m, k) · (…, k, n); the leading dimensions are equal, or one side has none. */
  matmul(a: T, b: T): T;
  /** Sum along an axis, which is removed unless `keepdims` is true. */
  sum(x: T, axis: number, keepdims?: boolean): T;
  /** Running sum along an axis, the element itself included. */
  cumsum(x: T, axis: number): T;
  /** Index of the largest element along the last axis, the first among equals: (…, n) → (…, 1). */
  argmax(x: T): T;
  /** Elements `from` … `to` − 1 along an axis; a `to` below 0 counts from its end. */
  slice(x: T, axis: number, from: number, to: number): T;
  /** One element along an axis, which is removed. */
  select(x: T, axis: number, index: number): T;
  /** Arrays one after another along an axis; their other sizes are equal. */
  concat(values: readonly T[], axis: number): T;
  /** Dimension i of the result is dimension `perm[i]` of x. */
  transpose(x: T, perm: readonly number[]): T;
  /** One size may be −1. */
  reshape(x: T, dims: readonly number[]): T;
  /** A new axis of size 1. */
  unsqueeze(x: T, axis: number): T;
}

/**
 * The operations of a hard readout, which is written once over them: `TensorOps` runs it on tensors, `GraphOps` writes it as nodes of an
 * ONNX graph.
 */
export interface ReadoutOps<T> extends ArrayOps<T> {
  /** x·Wᵀ + b in f32, with the model's weights `name.weight` and, if there is one, `name.bias`. @throws {ModelError} `bad-input` without a weight. */
  linear(name: string, x: T): T;
  /** x·Φ(x) of f32. */
  gelu(x: T): T;
  /** Softmax along the last axis. */
  softmax(x: T): T;
  /** The largest element along the last axis: (…, n) → (…, 1). */
  max(x: T): T;
  /** Casts f32 to f64, for values that decide: a prediction fails with `not-finite` if x is not finite. */
  double(x: T): T;
  /** x (B, T, n) at the tokens at which to predict: (B, 1, n) with one token per row, or x itself for all tokens. */
  asked(x: T): T;
  /** Sums of weights (B, T, m) ⊗ x (B, T, n) over all tokens up to each of the N tokens at which to predict: (N, m, n). */
  sumSoFar(weights: T, x: T, m: number, n: number): T;
}

type Binary = (a: Tensor, b: Tensor) => Tensor;

/** Runs hard readouts on tensors. */
export class TensorOps implements ReadoutOps<Tensor> {
  /** The tensors that decisions were made from (see `double`), to be checked once they can be read. */
  readonly decisions: Tensor[] = [];
  readonly #like: { readonly device?: Device };
  readonly #parameters: Parameters;
  readonly #at: Tensor | null;

  /**
   * @param device Device of constants. Default: the default device.
   * @param at (B) of f64: token index per row at which to predict; null: all tokens.
   */
  constructor(device?: Device, parameters: Parameters = new Map(), at: Tensor | null = null) {
    this.#like = device ? { device } : {};
    this.#parameters = parameters;
    this.#at = at;
  }

  f64 = (values: number | readonly number[] | Float64Array, dims?: readonly number[]): Tensor => {
    const list = typeof values === 'number' ? [values] : values;
    const shape = dims ?? (typeof values === 'number' ? [] : [values.length]);
    return tensor(list, shape, { dtype: 'f64', ...this.#like });
  };
  argmax = (x: Tensor): Tensor => cast(argmax(x, -1, true), 'f64');
  slice = (x: Tensor, axis: number, from: number, to: number): Tensor =>
    narrow(x, axis, from, (to < 0 ? x.shape[axis]! + to : to) - from);

  add: Binary = add;
  sub: Binary = sub;
  mul: Binary = mul;
  div: Binary = div;
  equal: Binary = equal;
  atLeast: Binary = greaterEqual;
  abs = abs;
  exp = exp;
  log = log;
  clamp = clamp;
  gelu = gelu;
  softmax = (x: Tensor): Tensor => softmax(x);
  max = (x: Tensor): Tensor => max(x, -1, true);
  matmul = matmul;
  sum = sum;
  cumsum = cumsum;
  select = select;
  concat = cat;
  transpose = permute;
  reshape = reshape;
  unsqueeze = unsqueeze;

  linear = (name: string, x: Tensor): Tensor =>
    linear(x, weightOf(this.#parameters, name), this.#parameters.get(`${name}.bias`) ?? null);

  double = (x: Tensor): Tensor => {
    this.decisions.push(x);
    return cast(x, 'f64');
  };

  asked = (x: Tensor): Tensor => (this.#at ? atTokens(x, this.#at) : x);

  sumSoFar = (weights: Tensor, x: Tensor, m: number, n: number): Tensor => {
    const [B, T] = weights.shape as [number, number];
    if (!this.#at) return reshape(cumsum(mul(unsqueeze(weights, 3), unsqueeze(x, 2)), 1), [B * T, m, n]);
    // A matrix product instead of running sums: a fraction of the memory.
    const tokens = this.f64([...Array(T).keys()], [T, 1]);
    const isUpTo = greaterEqual(reshape(this.#at, [B, 1, 1]), tokens);
    return matmul(permute(mul(weights, isUpTo), [0, 2, 1]), x);
  };
}
