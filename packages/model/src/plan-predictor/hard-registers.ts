import { tensor, type Device, type Tensor } from '@dag/executor';
import type { TokenRecord } from '../tokenizer/tokenizer.js';
import type { ReadoutOps } from './array-ops.js';
import { operatorCount, slotCount, type RegisterLayout } from './layout.js';
import { CLASSES, OUTPUT, TIE } from './registers.js';

/** Features of (B, T) tokens that follow from their text alone, in f64: `TokenFeatures` for hard readouts. */
export interface HardFeatures<T> {
  /** (B, T) digits that the token holds. */
  readonly count: T;
  /** (B, T) 1 where it holds a minus. */
  readonly minus: T;
  /** (B, T) 1 where it holds a decimal point. */
  readonly point: T;
  /** (B, T) 1 where it begins with a blank. */
  readonly begins: T;
  /** (B, T, 2, J): [0] holds its first J digits, 0 where it has fewer; [1] holds 1 for each of them, 0 for the rest. */
  readonly digits: T;
  /** J: the most digits of a token, at most `digits` of the layout. */
  readonly most: number;
}

/** `HardFeatures` of n records as plain arrays: count, minus, point and begins (n), digits (n, 2, J). */
export function recordTable(records: readonly TokenRecord[], { digits: R }: RegisterLayout) {
  const most = records.reduce((n, { digits }) => Math.max(n, Math.min(digits.length, R)), 1);
  const digits = new Float64Array(records.length * 2 * most);
  records.forEach((record, i) =>
    record.digits.slice(0, most).forEach((digit, j) => {
      digits[2 * i * most + j] = digit;
      digits[(2 * i + 1) * most + j] = 1;
    }),
  );
  const of = (field: (record: TokenRecord) => number): Float64Array => Float64Array.from(records, field);
  return {
    most,
    digits,
    count: of((r) => r.digits.length),
    minus: of((r) => Number(r.minus)),
    point: of((r) => Number(r.point)),
    begins: of((r) => Number(r.begins)),
  };
}

/** Features of B·T tokens, row-major, as tensors. */
export function hardFeatures(
  records: readonly TokenRecord[],
  [B, T]: readonly [number, number],
  layout: RegisterLayout,
  like: { readonly device?: Device },
): HardFeatures<Tensor> {
  const { most, digits, count, minus, point, begins } = recordTable(records, layout);
  const of = (values: Float64Array): Tensor => tensor(values, [B, T], like);
  return {
    most,
    digits: tensor(digits, [B, T, 2, most], like),
    count: of(count),
    minus: of(minus),
    point: of(point),
    begins: of(begins),
  };
}

/** Registers of N prefixes after every token has decided. */
export interface HardRegisters<T> {
  /** (N, S, R) the digit, 0 where there is none. */
  readonly digit: T;
  /** (N, S, R) 1 where there is a digit. */
  readonly present: T;
  /** (N, S) digits before the decimal point. */
  readonly length: T;
  /** (N, S) 1 where the number has a minus. */
  readonly negative: T;
  /** (N, K, 5) the class of each operator, one-hot; zeros where there is none. */
  readonly operators: T;
  /** (N, K) priority of each operator: the higher one binds first. */
  readonly priority: T;
}

/**
 * The hard counterpart of `RegisterWriter.forward`: each token decides before its decision is summed, so an uncertain decision does not
 * blur the tokens after it. All registers but priorities are sums of whole numbers, which are exact.
 *
 * @param outputs (B, T, 8) outputs of the writer's head.
 */
export function writeHardRegisters<T>(
  ops: ReadoutOps<T>,
  outputs: T,
  { count, minus, point, digits, most }: HardFeatures<T>,
  layout: RegisterLayout,
): HardRegisters<T> {
  const [K, S, R] = [operatorCount(layout), slotCount(layout), layout.digits];
  const [zero, one] = [ops.f64(0), ops.f64(1)];
  /** x (…, 1) → (…, size): 1 at the index x − first, else 0. */
  const oneHot = (x: T, size: number, first = 0): T =>
    ops.equal(x, ops.f64(Array.from({ length: size }, (_, k) => first + k)));
  const column = (x: T, i: number): T => ops.select(x, 2, i);

  const classes = oneHot(ops.argmax(ops.slice(outputs, 2, 0, CLASSES)), CLASSES - 1, 1);
  const writes = ops.sum(classes, 2);
  const operatorsSoFar = ops.cumsum(writes, 1);
  const slots = oneHot(ops.unsqueeze(operatorsSoFar, 2), S);
  const operators = oneHot(ops.unsqueeze(ops.sub(operatorsSoFar, writes), 2), K);
  /** x (B, T) summed over the tokens so far that write to the slot of each token, without that token where `isBefore`: (B, T). */
  const inOwnSlot = (x: T, isBefore: boolean): T => {
    const added = ops.mul(slots, ops.unsqueeze(x, 2));
    const sums = ops.cumsum(added, 1);
    return ops.sum(ops.mul(slots, isBefore ? ops.sub(sums, added) : sums), 2);
  };

  // Digits are appended to those already in the slot; digits beyond the layout are dropped.
  const places = ops.add(
    ops.unsqueeze(inOwnSlot(count, true), 2),
    ops.f64(Array.from({ length: most }, (_, j) => j)),
  );
  const placed = ops.matmul(digits, oneHot(ops.unsqueeze(places, 3), R));
  // Digits count as before the point until their number has one.
  const before = ops.mul(count, ops.sub(one, ops.atLeast(inOwnSlot(point, false), one)));
  // A sign only where the output is above 0; atLeast alone would include 0.
  const isSign = ops.sub(one, ops.atLeast(zero, column(outputs, OUTPUT.sign)));
  const parts = [
    ...[column(placed, 0), column(placed, 1)],
    ...[before, ops.mul(minus, isSign)].map((x) => ops.unsqueeze(x, 2)),
  ];
  const bySlot = ops.sumSoFar(slots, ops.concat(parts, 2), S, 2 * R + 2);

  const priority = ops.add(column(outputs, OUTPUT.level), ops.cumsum(column(outputs, OUTPUT.nesting), 1));
  const ofOperator = ops.concat([classes, ops.unsqueeze(ops.mul(writes, priority), 2)], 2);
  const byOperator = ops.sumSoFar(operators, ofOperator, K, CLASSES);
  return {
    digit: ops.slice(bySlot, 2, 0, R),
    present: ops.slice(bySlot, 2, R, 2 * R),
    length: column(bySlot, 2 * R),
    // A minus that several tokens wrote is one minus.
    negative: ops.atLeast(column(bySlot, 2 * R + 1), one),
    operators: ops.slice(byOperator, 2, 0, CLASSES - 1),
    priority: ops.sub(column(byOperator, CLASSES - 1), ops.f64(Array.from({ length: K }, (_, k) => TIE * k))),
  };
}
