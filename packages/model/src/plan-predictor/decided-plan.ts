import type { ArrayOps } from './array-ops.js';
import {
  address,
  decidedOperators,
  OPERATOR_COLUMNS,
  SLOT_COLUMNS,
  type DecidedRegisters,
  type OperatorColumn,
} from './decided-registers.js';
import type { HardPlan } from './hard-plan.js';
import type { RegisterLayout } from './layout.js';
import { MOST_PERCENTS, nearestDouble } from './nearest-double.js';

/** Why registers hold no expression, by the code of `fault`: the first of these that there is. */
export const FAULTS = [
  'none',
  'more numbers or operators than there is room for',
  'a number of more digits, or percent signs, than there is room for',
  'no number',
  'an operator without what it needs on its left',
  'an operator without what it needs on its right',
  'an exponent that is no number',
  'two numbers without an operator between them',
] as const;

/**
 * Reads the plans of N registers. Terms are counted and counts clamped: exact where decisions are certain, and differentiable.
 *
 * @param isExact Whether numbers are the nearest doubles to the last bit.
 * @returns the plan, and functions: `fault` writes the code of the fault (N), see `FAULTS`, of certain decisions with their count `total`;
 *   `nodes` writes the node that each slot (N, K + 1) and each operator (N, K) is or belongs to, from 1; 0 where there is none.
 */
export function decidedPlan<T>(
  ops: ArrayOps<T>,
  { operators, slots }: DecidedRegisters<T>,
  layout: RegisterLayout,
  isExact: boolean,
): {
  readonly plan: HardPlan<T>;
  readonly fault: (total: T) => T;
  readonly nodes: () => { readonly ofSlots: T; readonly ofOperators: T };
} {
  const { depth: D, digits: R } = layout;
  const K = decidedOperators(layout);
  const S = K + 1;
  const { add, sub, mul, matmul } = ops;
  const [one, two] = [ops.f64(1), ops.f64(2)];
  const matrix = (rows: number, columns: number, test: (row: number, column: number) => boolean): T => {
    const values = new Float64Array(rows * columns);
    for (let i = 0, n = 0; i < rows; i++)
      for (let j = 0; j < columns; j++, n++) if (test(i, j)) values[n] = 1;
    return ops.f64(values, [rows, columns]);
  };
  const not = (x: T): T => sub(one, x);
  /** max(0, min(1, x)) and max(0, 1 − |x|). */
  const some = (x: T): T => ops.clamp(x, 0, 1);
  const isZero = (x: T): T => some(not(ops.abs(x)));
  const column = (x: T): T => ops.unsqueeze(x, 2);
  const row = (x: T): T => ops.unsqueeze(x, 1);
  const pair = (x: T): T => mul(column(x), row(x));
  const transposed = (x: T): T => ops.transpose(x, [0, 2, 1]);
  const of = (name: OperatorColumn): T => ops.select(operators, 2, OPERATOR_COLUMNS.indexOf(name));
  const ofSlot = (name: (typeof SLOT_COLUMNS)[number]): T =>
    ops.select(slots, 2, 2 * R + SLOT_COLUMNS.indexOf(name));

  const [written, pow, prefix, priority] = [of('active'), of('pow'), of('prefix'), of('priority')];
  const [upper, lower, upTo] = [
    matrix(K, K, (i, j) => i < j),
    matrix(K, K, (i, j) => i > j),
    matrix(K, K, (i, j) => i <= j),
  ];
  /** Of operator k the element [k, k + 1]. */
  const besideNext = matrix(K, K, (i, j) => j === i + 1);
  const atNext = (x: T): T => ops.sum(mul(x, besideNext), 2);
  /** x (N, K) of the operator after or before each. */
  const next = (x: T): T => matmul(x, ops.transpose(besideNext, [1, 0]));
  const previous = (x: T): T => matmul(x, besideNext);
  /** x (N, K) at the slot to the right of each operator, and at the one after that. */
  const toRight = matrix(K, S, (k, s) => s === k + 1);
  const toSecond = matrix(K, S, (k, s) => s === k + 2);
  /** x (N, S, …) of the slot to the left or right of each operator. */
  const left = (x: T): T => ops.slice(x, 1, 0, K);
  const right = (x: T): T => ops.slice(x, 1, 1, S);

  // The numbers of the slots.
  const [digit, present] = [ops.slice(slots, 2, 0, R), ops.slice(slots, 2, R, 2 * R)];
  const share = of('percentOfLeft');
  const percents = add(
    ofSlot('percents'),
    matmul(
      share,
      matrix(K, S, (k, s) => s === k),
    ),
  );
  const hundreds = matmul(of('percentOf'), toRight);
  const typed = some(ops.select(present, 2, 0));
  const begun = some(add(typed, hundreds));
  const number = add(
    nearestDouble(ops, { digit, present, length: ofSlot('length'), percents }, R, isExact),
    mul(hundreds, ops.f64(100)),
  );

  // "2 * -" is still 2: an operator before its operand is none where no number follows.
  const follows = some(
    matmul(
      begun,
      matrix(S, K, (s, k) => s > k),
    ),
  );
  const active = mul(written, not(mul(prefix, not(follows))));

  // binds [i, k], i < k: whether operator i binds before k. One of a higher level does, among equals the left one.
  const isHigher = some(add(sub(column(priority), row(priority)), one));
  const postfix = column(of('postfix'));
  const binds = add(postfix, mul(mul(not(postfix), row(not(prefix))), isHigher));
  // An operator is an ancestor of another one if it binds later than that one and all between them.
  const leftOf = transposed(some(not(matmul(upTo, mul(not(binds), upper)))));
  const rightOf = some(not(matmul(mul(binds, upper), upTo)));
  const ancestor = mul(add(mul(leftOf, lower), mul(rightOf, upper)), pair(active));
  // The parent is the ancestor that has all the others.
  const ancestors = ops.sum(ancestor, 1);
  const parent = mul(ancestor, isZero(sub(sub(row(ancestors), column(ancestors)), one)));

  // Whether an operator takes the number beside it.
  const bindsNext = atNext(binds);
  const takesLeft = mul(mul(active, not(prefix)), not(previous(bindsNext)));
  const takesRight = mul(mul(active, not(of('postfix'))), not(mul(next(active), not(bindsNext))));
  const hasLeft = mul(takesLeft, left(begun));
  const hasRight = mul(takesRight, right(begun));
  // A minus before a number is its sign and no step. Under a cube root it is one, and both change places: ∛−8 is −∛8.
  const negative = mul(of('neg'), hasRight);
  const turned = mul(parent, mul(column(of('cbrt')), row(negative)));
  const [roots, minuses] = [ops.sum(turned, 2), ops.sum(turned, 1)];
  const signs = sub(negative, minuses);
  const linear = add(of('linear'), sub(roots, minuses));
  // An exponent, a number with or without a sign, is a coefficient and no node.
  const exponents = mul(pow, hasRight);
  const negativeExponents = mul(mul(pow, atNext(parent)), next(signs));
  const exponent = sub(
    mul(exponents, right(number)),
    mul(negativeExponents, matmul(number, ops.transpose(toSecond, [1, 0]))),
  );
  const constants = add(matmul(exponents, toRight), matmul(negativeExponents, toSecond));
  const holds = mul(begun, not(constants));
  const earlier = matrix(S, S, (i, j) => i < j);
  const index = matmul(holds, earlier);
  const nodes = mul(address(ops, column(index), D), column(holds));

  // A left child of the same domain continues in the step of its parent, unless a percentage is of it; a mean of means is none of all their
  // operands.
  const averages = mul(pair(of('averages')), isZero(sub(column(priority), row(priority))));
  const alike = mul(add(add(pair(of('adds')), pair(of('multiplies'))), averages), column(not(next(share))));
  const merged = mul(mul(parent, alike), lower);
  const merges = ops.sum(merged, 1);
  const leads = mul(mul(active, not(signs)), not(merges));
  // Steps in post-order. A mean takes two: the sum of its operands, and that divided by their count, a number that it writes itself.
  // A change by a percentage does, too: the product of its operands, and the right one with that added or taken off.
  const means = mul(leads, of('averages'));
  const changes = add(of('onto'), of('off'));
  const twice = add(means, mul(leads, changes));
  const comesBefore = add(mul(not(ancestor), upper), mul(transposed(ancestor), lower));
  const step = ops.reshape(matmul(row(add(leads, twice)), comesBefore), [-1, K, 1]);
  const beginning = mul(column(twice), address(ops, step, D));
  const leading = mul(column(leads), address(ops, add(step, column(twice)), D));
  // The operators that belong to each step: those below it with all between merged.
  const above = sub(sub(ancestors, merges), ops.reshape(matmul(row(merges), ancestor), [-1, K]));
  const chain = mul(ancestor, isZero(sub(column(above), row(above))));
  const withChain = (x: T): T => add(x, matmul(transposed(chain), x));
  const first = add(mul(column(not(add(of('averages'), changes))), leading), beginning);
  const member = withChain(first);
  const counts = mul(
    column(means),
    address(ops, column(add(ops.sum(holds, 1, true), matmul(means, upper))), D),
  );

  // Operands of each operator (N, K, 2D): the number or the step on each side, times its coefficients.
  // An exponent stands in place of the coefficient: 1 + (0.1 − 1) is not 0.1.
  const ofLeft = add(mul(of('left'), not(add(exponents, negativeExponents))), exponent);
  const ofRight = add(mul(of('right'), not(add(roots, minuses))), sub(mul(minuses, ops.f64(1 / 3)), roots));
  const signed = mul(column(signs), right(nodes));
  const initial = matrix(D, 2 * D, (i, j) => i === j);
  const results = ops.concat([signed, leading], 2);
  const operandOn = (side: T, numbers: T, takes: T): T =>
    add(matmul(mul(column(takes), numbers), initial), matmul(mul(parent, side), results));
  const onLeft = operandOn(lower, left(nodes), takesLeft);
  const onRight = operandOn(upper, right(nodes), takesRight);
  const ofPrevious = matmul(ops.transpose(besideNext, [1, 0]), onLeft);
  const operands = add(
    add(mul(column(ofLeft), onLeft), mul(column(ofRight), onRight)),
    mul(column(share), ofPrevious),
  );
  const unused = some(not(ops.sum(add(leading, beginning), 1)));
  /** Unused steps: step i passes on the result of step i − 1, step 0 passes on node 0. */
  const identity = matrix(D, 2 * D, (i, j) => j === (i === 0 ? 0 : D + i - 1));
  const intermediate = matrix(D, 2 * D, (i, j) => j === D + i);
  /** Of the second steps: the result of the first one, and what that is divided by or added to. */
  const ofFirst = mul(column(add(of('averages'), sub(of('onto'), of('off')))), beginning);
  const second = sub(
    add(matmul(ofFirst, intermediate), mul(column(changes), onRight)),
    matmul(counts, initial),
  );
  const O = add(
    add(matmul(transposed(member), operands), matmul(transposed(leading), second)),
    mul(column(unused), identity),
  );
  const G = some(add(ops.sum(add(mul(column(linear), first), mul(column(changes), leading)), 1), unused));

  /** x (N, S) of the number at each node, (N, 2D). */
  const collected = (x: T): T => matmul(ops.sum(mul(column(x), nodes), 1), initial);
  /** Operands of a mean: one more than its operators. */
  const counted = add(ops.sum(chain, 2), two);
  const V_mag = add(collected(number), matmul(ops.sum(mul(column(counted), counts), 1), initial));
  const V_sign = sub(one, mul(two, some(collected(matmul(signs, toRight)))));

  const fault = (total: T): T => {
    const count = (x: T): T => ops.sum(x, 1);
    const beyond = (x: T, most: number): T => some(sub(x, ops.f64(most)));
    const [wantsLeft, wantsRight] = [mul(active, not(prefix)), mul(written, not(of('postfix')))];
    const leftOperands = add(hasLeft, ops.sum(mul(parent, lower), 2));
    const rightOperands = add(hasRight, ops.sum(mul(parent, upper), 2));
    const lacks = (x: T, wanted: T): T => count(some(sub(wanted, x)));
    // A tree has one root: an operator without a parent, or a number that no operator takes.
    const tops = add(
      sub(count(begun), count(add(hasLeft, hasRight))),
      count(mul(active, ops.abs(not(ops.sum(parent, 1))))),
    );
    const surplus = add(lacks(wantsLeft, leftOperands), lacks(wantsRight, rightOperands));
    const faults = [
      add(
        beyond(total, K),
        add(beyond(add(count(holds), count(means)), D), beyond(count(add(leads, twice)), D)),
      ),
      count(add(some(sub(ofSlot('count'), ops.sum(present, 2))), beyond(percents, MOST_PERCENTS))),
      not(some(count(begun))),
      add(
        add(lacks(leftOperands, wantsLeft), count(mul(some(percents), not(typed)))),
        // A percentage of a left operand is itself the right operand of a sum or difference.
        count(mul(share, not(previous(mul(of('adds'), atNext(parent)))))),
      ),
      lacks(rightOperands, wantsRight),
      // "2 ^ 3 ^ 2" is 2 ^ 9 to most people: an exponent that no number is.
      add(
        sub(count(pow), count(add(exponents, negativeExponents))),
        count(mul(mul(pow, previous(pow)), isZero(sub(priority, previous(priority))))),
      ),
      add(add(count(add(ofSlot('breaks'), mul(typed, hundreds))), ops.abs(sub(tops, one))), surplus),
    ].map(some);
    return faults.reduceRight(
      (code, is, i) => add(mul(code, not(is)), mul(is, ops.f64(i + 1))),
      mul(total, ops.f64(0)),
    );
  };
  const nodesOf = () => {
    const from = (first: number): T => ops.f64(Array.from({ length: D }, (_, i) => first + i));
    const indices = (oneHot: T, first: number): T => ops.sum(mul(oneHot, from(first)), 2);
    return {
      ofSlots: indices(nodes, 1),
      ofOperators: add(indices(withChain(leading), D + 1), indices(signed, 1)),
    };
  };
  return { plan: { V_mag, V_sign, O, G }, fault, nodes: nodesOf };
}
