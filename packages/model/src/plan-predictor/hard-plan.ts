import type { ArrayOps } from './array-ops.js';
import type { HardRegisters } from './hard-registers.js';
import { slotCount, type RegisterLayout } from './layout.js';

/** The fields of N hard plans in f64: V_mag, V_sign (N, 2D), O (N, D, 2D), G (N, D); of some readouts also whether to trust them. */
export interface HardPlan<T> {
  readonly V_mag: T;
  readonly V_sign: T;
  readonly O: T;
  readonly G: T;
  /** (N) why the text cannot be read, as an index of `FAULTS`; 0 where it can. */
  readonly fault?: T;
  /** (N) probability that the text up to there is a whole expression. */
  readonly complete?: T;
  /** (N) product of the probabilities of all decisions up to there and of `complete`, before calibration (`PredictorConfig.calibration`). */
  readonly confidence?: T;
}

/** Powers of ten that a double holds exactly. */
const POWERS = Array.from({ length: 23 }, (_, n) => 10 ** n);

/** Properties of the operator classes + − × ÷ and the minus of a group. */
const OPERATOR_TABLE = {
  active: [1, 1, 1, 1, 1],
  linear: [1, 1, 0, 0, 0],
  log: [0, 0, 1, 1, 0],
  negate: [0, 0, 0, 0, 1],
  isLinear: [1, 1, 0, 0, 1],
  /** The coefficient of the right operand. */
  right: [1, -1, 1, -1, -1],
};
const PROPERTIES = Object.keys(OPERATOR_TABLE) as (keyof typeof OPERATOR_TABLE)[];

function readingConstants<T>(ops: ArrayOps<T>, layout: RegisterLayout) {
  const { depth: D, digits: R } = layout;
  const S = slotCount(layout);
  const matrix = (rows: number, columns: number, test: (row: number, column: number) => boolean): T =>
    ops.f64(
      Array.from({ length: rows * columns }, (_, n) => Number(test(Math.floor(n / columns), n % columns))),
      [rows, columns],
    );
  const range = (n: number): T => ops.f64(Array.from({ length: n }, (_, k) => k));
  return {
    zero: ops.f64(0),
    one: ops.f64(1),
    two: ops.f64(2),
    powers: ops.f64(POWERS),
    // (5, properties)
    properties: ops.f64(
      [0, 1, 2, 3, 4].flatMap((c) => PROPERTIES.map((name) => OPERATOR_TABLE[name][c]!)),
      [5, PROPERTIES.length],
    ),
    nodes: range(D),
    slots: range(S),
    places: range(R),
    /** x·laterSlots (N, D): for each operator the sum of x (N, S) over the slots after it. The same for digits (…, R). */
    laterSlots: matrix(S, D, (slot, k) => slot > k),
    laterDigits: matrix(R, R, (from, to) => from > to),
    /** Operator k stands between slots k and k + 1. */
    ownSlot: matrix(D, S, (k, slot) => k === slot),
    earlierOperators: matrix(D, S, (k, slot) => k < slot),
    identity: matrix(D, D, (i, j) => i === j),
    upper: matrix(D, D, (i, j) => i < j),
    lower: matrix(D, D, (i, j) => i > j),
    upTo: matrix(D, D, (i, j) => i <= j),
    /** x·next (N, D) is x of the next operator, x·previous of the previous one; 0 where there is none. */
    next: matrix(D, D, (i, j) => i === j + 1),
    previous: matrix(D, D, (i, j) => i === j - 1),
    /** Unused steps: step i passes on the result of step i − 1, step 0 passes on node 0. */
    identitySteps: matrix(D, 2 * D, (i, j) => j === (i === 0 ? 0 : D + i - 1)),
    unusedNumbers: matrix(D, 2 * D, (i, j) => i === j),
  };
}

/**
 * Reads the plan from hard registers: the plan that `tensorize` makes of the expression. Where `readPlan` multiplies probabilities over
 * many terms, this counts terms and compares the count with 0, since sums of 0 and 1 are exact.
 */
export function readHardPlan<T>(
  ops: ArrayOps<T>,
  registers: HardRegisters<T>,
  layout: RegisterLayout,
): HardPlan<T> {
  const constants = readingConstants(ops, layout);
  const D = layout.depth;
  const { zero, one, upper, lower } = constants;
  const not = (x: T): T => ops.sub(one, x);
  const isZero = (x: T): T => ops.equal(x, zero);
  const column = (x: T): T => ops.unsqueeze(x, 2);
  const row = (x: T): T => ops.unsqueeze(x, 1);
  const pair = (x: T): T => ops.mul(column(x), row(x));
  const transposed = (x: T): T => ops.transpose(x, [0, 2, 1]);
  const oneHot = (x: T): T => ops.equal(column(x), constants.nodes);

  // An operator takes part where any slot after it holds a number.
  const begun = ops.select(registers.present, 2, 0);
  const followed = ops.atLeast(ops.matmul(begun, constants.laterSlots), one);
  const properties = ops.matmul(ops.mul(registers.operators, column(followed)), constants.properties);
  const [active, linear, log, negate, isLinear, right] = PROPERTIES.map((_, i) =>
    ops.select(properties, 2, i),
  ) as [T, T, T, T, T, T];

  // The node of each slot, one-hot (N, S, D); slots that are empty because of a group's minus have none.
  const empty = ops.matmul(negate, constants.ownSlot);
  const node = ops.sub(constants.slots, ops.matmul(negate, constants.earlierOperators));
  const nodes = ops.mul(oneHot(node), column(not(empty)));

  // Operator k is an ancestor of j where it binds later than j and every operator between them.
  const binds = ops.atLeast(column(registers.priority), row(registers.priority));
  const leftOf = transposed(isZero(ops.matmul(constants.upTo, ops.mul(not(binds), upper))));
  const rightOf = isZero(ops.matmul(ops.mul(binds, upper), constants.upTo));
  const ancestor = ops.mul(ops.add(ops.mul(leftOf, lower), ops.mul(rightOf, upper)), pair(active));
  const parent = ops.mul(ancestor, isZero(ops.matmul(ancestor, ancestor)));
  // A left child of the same domain continues in the step of its parent.
  const merged = ops.mul(ops.mul(parent, ops.add(pair(linear), pair(log))), lower);
  const leads = ops.mul(active, not(ops.sum(merged, 1)));

  // Steps in post-order, and the operators that belong to each: chains of merged operators are Σ Mᵖ over p = 0 … D − 1.
  const comesBefore = ops.add(ops.mul(not(ancestor), upper), ops.mul(transposed(ancestor), lower));
  const step = oneHot(ops.reshape(ops.matmul(row(leads), comesBefore), [-1, D]));
  const leading = ops.mul(column(leads), step);
  let power = transposed(merged);
  let chain = ops.add(power, constants.identity);
  for (let reached = 1; reached < D - 1; reached = 2 * reached + 1) {
    power = ops.matmul(power, power);
    chain = ops.add(chain, ops.matmul(power, chain));
  }
  const member = ops.matmul(chain, leading);

  // Operands of each operator (N, K, 2D): numbers beside it that no other operator takes, and the steps of its children.
  const nextActive = ops.matmul(active, constants.next);
  const bindsNext = ops.atLeast(registers.priority, ops.matmul(registers.priority, constants.next));
  const takesRight = ops.add(not(nextActive), ops.mul(nextActive, bindsNext));
  const takesLeft = ops.mul(not(negate), not(ops.matmul(bindsNext, constants.previous)));
  const numbers = ops.add(
    ops.mul(column(takesLeft), ops.slice(nodes, 1, 0, D)),
    ops.mul(column(ops.mul(right, takesRight)), ops.slice(nodes, 1, 1, D + 1)),
  );
  const coefficients = ops.add(ops.mul(column(right), upper), lower);
  const steps = ops.matmul(ops.mul(ops.sub(parent, merged), coefficients), step);

  const unused = isZero(ops.sum(leading, 1));
  const O = ops.add(
    ops.matmul(transposed(member), ops.concat([numbers, steps], 2)),
    ops.mul(column(unused), constants.identitySteps),
  );
  const stepsIsLinear = ops.sum(ops.mul(column(ops.mul(leads, isLinear)), step), 1);
  return { ...initialNodes(ops, constants, registers, begun, nodes), O, G: ops.add(stepsIsLinear, unused) };
}

/** mantissa ÷ 10^decimals with a whole mantissa below 2^53: the double nearest to the decimal number. */
function initialNodes<T>(
  ops: ArrayOps<T>,
  constants: ReturnType<typeof readingConstants<T>>,
  { digit, present, length, negative }: HardRegisters<T>,
  begun: T,
  nodes: T,
): Pick<HardPlan<T>, 'V_mag' | 'V_sign'> {
  const tenTo = (n: T): T => ops.take(constants.powers, n);
  // The place value of a digit is ten to the number of digits after it.
  const place = tenTo(ops.matmul(present, constants.laterDigits));
  const mantissa = ops.sum(ops.mul(digit, place), 2);
  const isDecimal = ops.atLeast(constants.places, ops.unsqueeze(length, 2));
  const magnitude = ops.div(mantissa, tenTo(ops.sum(ops.mul(present, isDecimal), 2)));
  /** x (N, S) of the number at each node, (N, 2D). */
  const collected = (x: T): T =>
    ops.matmul(ops.sum(ops.mul(ops.unsqueeze(x, 2), nodes), 1), constants.unusedNumbers);
  const V_sign = ops.sub(constants.one, ops.mul(constants.two, collected(ops.mul(begun, negative))));
  return { V_mag: collected(magnitude), V_sign };
}
