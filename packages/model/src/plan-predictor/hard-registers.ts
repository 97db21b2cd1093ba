import { tensor, type Device, type Tensor } from '@dag/executor';
import type { TokenRecord } from '../tokenizer/tokenizer.js';
import type { ArrayOps } from './array-ops.js';
import { operatorCount, slotCount, type RegisterLayout } from './layout.js';
import { CLASSES, OUTPUT, TIE } from './registers.js';

/** What tokens contribute by their text alone: `TokenFeatures` as a hard readout reads them, in double. */
export interface HardFeatures<T> {
  /** (B, T) digits that the token holds. */
  readonly count: T;
  /** (B, T) 1 where it holds a minus. */
  readonly minus: T;
  /** (B, T) 1 where it holds a decimal point. */
  readonly point: T;
  /** (B, T, 2, J) its first J digits, 0 where it has fewer, and 1 for each that it has. */
  readonly digits: T;
  /** J, at most `digits` of the layout. */
  readonly most: number;
}

/** `HardFeatures` of distinct records, row-major: the counts, minuses and points of n records (n) and their digits (n, 2, J). */
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
  };
}

/** Features of B·T tokens as tensors. */
export function hardFeatures(
  records: readonly TokenRecord[],
  [B, T]: readonly [number, number],
  layout: RegisterLayout,
  like: { readonly device?: Device },
): HardFeatures<Tensor> {
  const { most, digits, count, minus, point } = recordTable(records, layout);
  const of = (values: Float64Array): Tensor => tensor(values, [B, T], like);
  return {
    most,
    digits: tensor(digits, [B, T, 2, most], like),
    count: of(count),
    minus: of(minus),
    point: of(point),
  };
}

/** Registers with every choice made, of N texts or prefixes. */
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
  /** (N, K) */
  readonly priority: T;
}

/** The constants of `writeHardRegisters`, which are made once. */
export function writingConstants<T>(ops: ArrayOps<T>, layout: RegisterLayout) {
  const range = (n: number): T => ops.f64(Array.from({ length: n }, (_, k) => k));
  const [K, S, R] = [operatorCount(layout), slotCount(layout), layout.digits];
  return {
    zero: ops.f64(0),
    one: ops.f64(1),
    classes: ops.f64(Array.from({ length: CLASSES - 1 }, (_, c) => c + 1)),
    operators: range(K),
    slots: range(S),
    digits: range(R),
    ties: ops.f64(Array.from({ length: K }, (_, k) => TIE * k)),
  };
}

/**
 * What `RegisterWriter.forward` writes, where each token decides before its decision is summed: a doubt at one token is none at
 * those after it. All but priorities are sums of whole numbers, which are exact.
 *
 * @param outputs (B, T, 8) what the writer's head says of each token.
 * @param upTo (B, T, 1) 1 for each token that counts, to read registers once a row: N = B. Null: at every token, N = B·T.
 */
export function writeHardRegisters<T>(
  ops: ArrayOps<T>,
  constants: ReturnType<typeof writingConstants<T>>,
  outputs: T,
  { count, minus, point, digits, most }: HardFeatures<T>,
  layout: RegisterLayout,
  upTo: T | null,
): HardRegisters<T> {
  const [K, S, R] = [operatorCount(layout), slotCount(layout), layout.digits];
  const { zero, one, ties } = constants;
  const oneHot = (x: T, positions: T, axis: number): T => ops.equal(ops.unsqueeze(x, axis), positions);
  /** Sums over tokens of x (B, T, n), written to registers by weights (B, T, m): (N, m, n). */
  const written = (weights: T, x: T, m: number, n: number): T =>
    upTo
      ? ops.matmul(ops.transpose(ops.mul(weights, upTo), [0, 2, 1]), x)
      : ops.reshape(ops.cumsum(ops.mul(ops.unsqueeze(weights, 3), ops.unsqueeze(x, 2)), 1), [-1, m, n]);
  const column = (x: T, i: number): T => ops.select(x, 2, i);

  const classes = ops.equal(ops.argmax(ops.slice(outputs, 2, 0, CLASSES)), constants.classes);
  const writes = ops.sum(classes, 2);
  const operatorsSoFar = ops.cumsum(writes, 1);
  const slots = oneHot(operatorsSoFar, constants.slots, 2);
  const operators = oneHot(ops.sub(operatorsSoFar, writes), constants.operators, 2);
  /** (B, T) what registers of the token's own slot hold, of x (B, T). */
  const inOwnSlot = (x: T, isBefore: boolean): T => {
    const added = ops.mul(slots, ops.unsqueeze(x, 2));
    const sums = ops.cumsum(added, 1);
    return ops.sum(ops.mul(slots, isBefore ? ops.sub(sums, added) : sums), 2);
  };

  // Digits are appended to those already in the slot; those that no register has room for are written nowhere.
  const places = ops.add(
    ops.unsqueeze(inOwnSlot(count, true), 2),
    ops.f64(Array.from({ length: most }, (_, j) => j)),
  );
  const placed = ops.matmul(digits, oneHot(places, constants.digits, 3));
  // Digits stand before the point until their own number has one.
  const before = ops.mul(count, ops.sub(one, ops.atLeast(inOwnSlot(point, false), one)));
  // ≥ would take an output of 0 for positive.
  const isSign = ops.sub(one, ops.atLeast(zero, column(outputs, OUTPUT.sign)));
  const parts = [
    ...[column(placed, 0), column(placed, 1)],
    ...[before, ops.mul(minus, isSign)].map((x) => ops.unsqueeze(x, 2)),
  ];
  const bySlot = written(slots, ops.concat(parts, 2), S, 2 * R + 2);

  const priority = ops.add(column(outputs, OUTPUT.level), ops.cumsum(column(outputs, OUTPUT.nesting), 1));
  const ofOperator = ops.concat([classes, ops.unsqueeze(ops.mul(writes, priority), 2)], 2);
  const byOperator = written(operators, ofOperator, K, CLASSES);
  return {
    digit: ops.slice(bySlot, 2, 0, R),
    present: ops.slice(bySlot, 2, R, 2 * R),
    length: column(bySlot, 2 * R),
    // A minus that was written twice is one minus.
    negative: ops.atLeast(column(bySlot, 2 * R + 1), one),
    operators: ops.slice(byOperator, 2, 0, CLASSES - 1),
    priority: ops.sub(column(byOperator, CLASSES - 1), ties),
  };
}
