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

/** Features of (B, T) tokens that follow from their text alone. */
export interface TokenFeatures {
  /** (B, T) number of digits in the token. */
  readonly count: Tensor;
  /** (B, T, R, 10) its digits, one-hot; zeros where it has fewer than R. Digits after the first R are left out. */
  readonly digits: Tensor;
  /** (B, T) 1 where it holds a minus. */
  readonly minus: Tensor;
  /** (B, T) 1 where it holds a decimal point. */
  readonly point: Tensor;
}

/**
 * The features of B·T tokens as tensors.
 *
 * @param records (B·T) records of the tokens, row-major.
 * @throws {ModelError} `bad-input` unless there is a record for each token; `bad-config` for an invalid layout.
 */
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
    for (const flag of ['minus', 'point', 'begins'] as const)
      if (typeof record[flag] !== 'boolean')
        throw new ModelError(
          'bad-input',
          `${flag} of a token record is true or false, given ${named(record[flag])}`,
        );
  }
}

/** Registers at every token: running sums of what the tokens so far have written, (B, T, …). */
export type Registers = {
  /** (B, T, S, R, 10) digit r of the number of each slot. */
  readonly digits: Tensor;
  /** (B, T, S) digits before the decimal point. */
  readonly length: Tensor;
  /** (B, T, S) whether the number has a minus. */
  readonly negative: Tensor;
  /** (B, T, K, 5) class of each operator: + − × ÷ and the minus of a group. */
  readonly operators: Tensor;
  /** (B, T, K) priority of each operator. The operator of higher priority binds first; among equals the left one does. */
  readonly priority: Tensor;
  /** (B, T) number of operators so far, which is the slot that a token's digits belong to. */
  readonly count: Tensor;
};

export const CLASSES = operatorClasses.length;
/** Indices of the head's outputs after the classes: whether a minus is a sign, level of the operator, nesting change. */
export const OUTPUT = { sign: CLASSES, level: CLASSES + 1, nesting: CLASSES + 2 };
const OUTPUTS = CLASSES + 3;
/** Initial bias toward the class `none`, so that an untrained token writes no operator. */
const NONE_BIAS = 3;
/** TIE·k is subtracted from the priority of operator k, so that the left one binds first among equals. */
export const TIE = 0.1;

/**
 * Writes registers from hidden states: each token makes small local decisions, and running sums over the tokens are the registers. See
 * docs/readouts.md of the package for the formulas.
 */
export class RegisterWriter {
  private readonly layout: RegisterLayout;
  private readonly head: Linear;

  constructor(name: string, width: number, layout: RegisterLayout, build: ParameterBuilder) {
    // Of more than 15 digits, doubles do not hold the mantissa.
    operatorCount(layout);
    this.layout = layout;
    this.head = new Linear(name, width, OUTPUTS, true, build);
    const bias = new Float32Array(OUTPUTS);
    bias[0] = NONE_BIAS;
    this.head.bias!.set(bias);
  }

  /** hidden (B, T, C) of the tokens that `features` describes → registers (B, T, …), or (B, 1, …) with `at`. */
  forward(hidden: Tensor, features: TokenFeatures, { at }: ReadOptions = {}): Registers {
    const K = operatorCount(this.layout);
    const S = slotCount(this.layout);
    const y = this.head.forward(hidden);
    const classes = narrow(softmax(narrow(y, 2, 0, CLASSES)), 2, 1, CLASSES - 1);
    const written = sum(classes, 2);
    const count = cumsum(written, 1);
    // Detached: only the loss `count` trains the counter. Through the addresses other losses would pull it into a local optimum.
    const slots = address(count.detach(), S);
    const operators = address(sub(count, written).detach(), K);

    const negative = mul(features.minus, sigmoid(select(y, 2, OUTPUT.sign)));
    // Digits count as before the point until their number has one.
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

  /** (B, T, R, 10): the digits of each token at their places in its slot, after those that are already there. */
  private placedDigits(slots: Tensor, { count, digits }: TokenFeatures): Tensor {
    const R = this.layout.digits;
    const added = mul(slots, unsqueeze(count));
    const already = sum(mul(slots, sub(cumsum(added, 1), added)), 2);
    const position = address(add(unsqueeze(already), range(R, already)), R);
    return matmul(permute(position, [0, 1, 3, 2]), digits);
  }
}

/** Sums x (B, T, …) over tokens, weighted by their addresses (B, T, n). */
type TokenSums = (weights: Tensor, x: Tensor) => Tensor;

/** Sums up to every token, (B, T, n, …). */
const runningSums: TokenSums = (weights, x) => {
  const [B, T, ...rest] = x.shape as [number, number, ...number[]];
  const sums = cumsum(mul(unsqueeze(weights), reshape(x, [B, T, 1, product(rest)])), 1);
  return reshape(sums, [B, T, weights.shape[2]!, ...rest]);
};

/** Sums up to token at[b] of each row b, (B, 1, n, …): matrix products, which take a fraction of the memory. */
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

/** Probabilities (…, C) from written classes: divides by max(1, sum over C), since several tokens may have written the same register. */
export function distribution(x: Tensor): Tensor {
  return div(x, clamp(sum(x, -1, true), 1));
}
