import {
  add,
  clamp,
  cumsum,
  div,
  matmul,
  mul,
  narrow,
  permute,
  reshape,
  select,
  sigmoid,
  softmax,
  sub,
  sum,
  tensor,
  type Device,
  type DType,
  type Tensor,
} from '@dag/executor';
import { areWhole, checkList, checkObject, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { Linear, type ParameterBuilder } from '../gpt.js';
import type { ReadOptions } from './read-options.js';
import type { TokenRecord } from '../tokenizer/tokenizer.js';
import { checkLayout, operatorClasses, operatorCount, slotCount, type RegisterLayout } from './layout.js';
import { address, atMostOne, atTokens, constant, not, product, range, unsqueeze } from './ops.js';

/** What a token contributes by its text alone, for each of (B, T) tokens. */
export interface TokenFeatures {
  /** (B, T) digits that the token holds. */
  readonly count: Tensor;
  /** (B, T, R, 10) its digits, one-hot; zero where it has fewer. Those that no register has room for are written nowhere. */
  readonly digits: Tensor;
  /** (B, T) 1 where it holds a minus. */
  readonly minus: Tensor;
  /** (B, T) 1 where it holds a decimal point. */
  readonly point: Tensor;
}

/** `records` of B·T tokens, row-major. */
export function tokenFeatures(
  records: readonly TokenRecord[],
  shape: readonly [number, number],
  layout: RegisterLayout,
  like: { readonly dtype: DType; readonly device: Device },
): TokenFeatures {
  checkRecords(records, shape);
  checkLayout(layout);
  checkObject('a tensor, or { dtype, device },', like);
  const [B, T] = shape;
  const { digits: R } = layout;
  const digits = new Float32Array(B * T * R * 10);
  records.forEach((r, i) => {
    for (let j = Math.min(r.digits.length, R) - 1; j >= 0; j--) digits[(i * R + j) * 10 + r.digits[j]!] = 1;
  });
  const { device, dtype } = like;
  const of = (field: (record: TokenRecord) => number): Tensor => constant(records.map(field), shape, like);
  return {
    count: of((r) => r.digits.length),
    digits: tensor(digits, [B, T, R, 10], { device, dtype }),
    minus: of((r) => Number(r.minus)),
    point: of((r) => Number(r.point)),
  };
}

/** @throws {ModelError} `bad-input` unless there is one record, as a tokenizer gives it, for each of (B, T) tokens. */
export function checkRecords(records: readonly TokenRecord[], shape: readonly [number, number]): void {
  checkList('token records as an array', records);
  checkList('the shape (B, T) of the tokens', shape);
  const [B, T] = shape;
  if (!Number.isInteger(B) || !Number.isInteger(T) || T < 0 || B * T !== records.length)
    throw new ModelError(
      'bad-input',
      `${records.length} token records have a shape (B, T), given (${named(B)}, ${named(T)})`,
    );
  for (const record of records) {
    checkObject('a token record, as a tokenizer gives it,', record);
    if (!Array.isArray(record.digits) || !areWhole(record.digits, 10))
      throw new ModelError(
        'bad-input',
        `digits of a token record are an array of 0 … 9, given ${named(record.digits)}`,
      );
    if (typeof record.minus !== 'boolean' || typeof record.point !== 'boolean')
      throw new ModelError(
        'bad-input',
        `minus and point of a token record are true or false, given ${named(record.minus)} and ${named(record.point)}`,
      );
  }
}

/** What the tokens so far have written, at every token: running sums, (B, T, …). */
export type Registers = {
  /** (B, T, S, R, 10) digit r of the number of each slot. */
  readonly digits: Tensor;
  /** (B, T, S) digits before the decimal point. */
  readonly length: Tensor;
  /** (B, T, S) whether the number has a minus. */
  readonly negative: Tensor;
  /** (B, T, K, 5) class of each operator: + − × ÷ and the minus of a group. */
  readonly operators: Tensor;
  /** (B, T, K) its priority. What binds first has the higher one; among equals the left one binds first. */
  readonly priority: Tensor;
  /** (B, T) operators so far: the slot that a token's digits belong to. */
  readonly count: Tensor;
};

export const CLASSES = operatorClasses.length;
/** Which output of the writer, after those of the classes: minus is a sign, level, nesting. */
export const OUTPUT = { sign: CLASSES, level: CLASSES + 1, nesting: CLASSES + 2 };
const OUTPUTS = CLASSES + 3;
/** Initial bias toward the class `none`, so that an untrained token writes no operator. */
const NONE_BIAS = 3;
/** Taken from the priority of operator k: the left one binds first among equals. */
export const TIE = 0.1;

/**
 * Writes registers from hidden states: each token makes small decisions of its own, running sums make the
 * registers of them. See the package's README for the formulas.
 */
export class RegisterWriter {
  private readonly layout: RegisterLayout;
  private readonly head: Linear;

  constructor(name: string, width: number, layout: RegisterLayout, build: ParameterBuilder) {
    this.layout = layout;
    this.head = new Linear(name, width, OUTPUTS, true, build);
    const bias = new Float32Array(OUTPUTS);
    bias[0] = NONE_BIAS;
    this.head.bias!.set(bias);
  }

  /** hidden (B, T, C), of the very tokens that `features` describes. */
  forward(hidden: Tensor, features: TokenFeatures, { at }: ReadOptions = {}): Registers {
    const K = operatorCount(this.layout);
    const S = slotCount(this.layout);
    const y = this.head.forward(hidden);
    const classes = narrow(softmax(narrow(y, 2, 0, CLASSES)), 2, 1, CLASSES - 1);
    const written = sum(classes, 2);
    const count = cumsum(written, 1);
    // Only its own loss trains the counter: through the addresses the other losses would pull it into a local optimum.
    const slots = address(count.detach(), S);
    const operators = address(sub(count, written).detach(), K);

    const negative = mul(features.minus, sigmoid(select(y, 2, OUTPUT.sign)));
    // Digits stand before the point until their own number has one.
    const points = sum(mul(slots, runningSums(slots, features.point)), 2);
    const before = mul(features.count, not(atMostOne(points)));
    const priority = add(select(y, 2, OUTPUT.level), cumsum(select(y, 2, OUTPUT.nesting), 1));
    const total = at ? sumsUpTo(at, hidden) : runningSums;
    const writtenPriority = total(operators, mul(written.detach(), priority));
    return {
      digits: total(slots, this.placedDigits(slots, features)),
      length: total(slots, before),
      negative: total(slots, negative),
      operators: total(operators, classes),
      priority: sub(
        writtenPriority,
        constant(
          Array.from({ length: K }, (_, k) => TIE * k),
          [K],
          writtenPriority,
        ),
      ),
      count: at ? atTokens(count, at) : count,
    };
  }

  /** (B, T, R, 10) of each token: digits are appended to those that are written to its slot already. */
  private placedDigits(slots: Tensor, { count, digits }: TokenFeatures): Tensor {
    const R = this.layout.digits;
    const added = mul(slots, unsqueeze(count));
    const already = sum(mul(slots, sub(cumsum(added, 1), added)), 2);
    const position = address(add(unsqueeze(already), range(R, already)), R);
    return matmul(permute(position, [0, 1, 3, 2]), digits);
  }
}

/** Sums over tokens of what each writes, x (B, T, …), to registers by weights (B, T, n). */
type TokenSums = (weights: Tensor, x: Tensor) => Tensor;

/** Those up to every token, (B, T, n, …). */
const runningSums: TokenSums = (weights, x) => {
  const [B, T, ...rest] = x.shape as [number, number, ...number[]];
  const sums = cumsum(mul(unsqueeze(weights), reshape(x, [B, T, 1, product(rest)])), 1);
  return reshape(sums, [B, T, weights.shape[2]!, ...rest]);
};

/** Those up to token at[b] of each row b, (B, 1, n, …): products of matrices, which take a fraction of the memory. */
function sumsUpTo(at: readonly number[], like: Tensor): TokenSums {
  const T = like.shape[1]!;
  const counts = at.flatMap((last) => Array.from({ length: T }, (_, t) => Number(t <= last)));
  const mask = constant(counts, [at.length, T, 1], like);
  return (weights, x) => {
    const [B, , ...rest] = x.shape as [number, number, ...number[]];
    const sums = matmul(permute(mul(weights, mask), [0, 2, 1]), reshape(x, [B, T, product(rest)]));
    return reshape(sums, [B, 1, weights.shape[2]!, ...rest]);
  };
}

/** Divides by max(1, the sum over the last dimension): what was written twice is no longer a probability. */
export function distribution(x: Tensor): Tensor {
  return div(x, clamp(sum(x, -1, true), 1));
}
