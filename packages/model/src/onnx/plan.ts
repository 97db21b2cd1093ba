import { slotCount, type RegisterLayout } from '../plan-predictor/layout.js';
import type { GraphBuilder, Value } from './graph-builder.js';
import type { HardRegisters } from './registers.js';

/** The fields of N plans in double: V_mag, V_sign (N, 2D), O (N, D, 2D), G (N, D). */
export interface Plan {
  readonly V_mag: Value;
  readonly V_sign: Value;
  readonly O: Value;
  readonly G: Value;
}

/** What `readPlan` does with hard registers. Sums of 0 and 1 are exact, so that products over many terms are counts of them. */
export function readHardPlan(g: GraphBuilder, registers: HardRegisters, layout: RegisterLayout): Plan {
  const D = layout.depth;
  const S = slotCount(layout);
  const one = g.f64(1);
  const not = (x: Value): Value => g.sub(one, x);
  const isZero = (x: Value): Value => g.cast(g.op('Equal', [x, g.f64(0)]), 'f64');
  const constant = (rows: number, columns: number, f: (row: number, column: number) => number): Value =>
    g.f64(
      Array.from({ length: rows * columns }, (_, n) => f(Math.floor(n / columns), n % columns)),
      [rows, columns],
    );
  const triangle = (test: (row: number, column: number) => boolean): Value =>
    constant(D, D, (row, column) => Number(test(row, column)));
  const pair = (x: Value): Value => g.mul(g.unsqueeze(x, 2), g.unsqueeze(x, 1));
  const transposed = (x: Value): Value => g.transpose(x, [0, 2, 1]);

  // Operators that a number follows.
  const begun = g.select(registers.present, 2, 0);
  const after = g.slice(g.cumsum(begun, 1, { reverse: 1 }), 1, 1);
  const followed = not(isZero(after));
  const classes = g.mul(registers.operators, g.unsqueeze(followed, 2));
  const [plus, minus, times, over, negate] = g.columns(classes, 2, 5).map((x) => g.reshape(x, [-1, D])) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const active = g.sum(classes, 2);
  const linear = g.add(plus, minus);
  const log = g.add(times, over);
  const right = g.sub(g.add(plus, times), g.add(g.add(minus, over), negate));

  // Nodes of the slots.
  const empty = g.concat([negate, g.mul(g.slice(negate, 1, 0, 1), g.f64(0))], 1);
  const node = g.sub(g.f64(Array.from({ length: S }, (_, k) => k)), g.cumsum(empty, 1, { exclusive: 1 }));
  const nodes = g.mul(oneHot(g, node, D), g.unsqueeze(not(empty), 2));

  // What stands above what: no operator between binds otherwise.
  const binds = g.cast(
    g.op('GreaterOrEqual', [g.unsqueeze(registers.priority, 2), g.unsqueeze(registers.priority, 1)]),
    'f64',
  );
  const upper = triangle((i, k) => i < k);
  const leftOf = transposed(isZero(g.cumsum(g.mul(not(binds), upper), 1, { reverse: 1 })));
  const rightOf = isZero(g.cumsum(g.mul(binds, upper), 2));
  const lower = triangle((k, j) => j < k);
  const ancestor = g.mul(g.add(g.mul(leftOf, lower), g.mul(rightOf, upper)), pair(active));
  const parent = g.mul(ancestor, isZero(g.matmul(ancestor, ancestor)));
  const merged = g.mul(g.mul(parent, g.add(pair(linear), pair(log))), lower);
  const leads = g.mul(active, not(g.sum(merged, 1)));

  // Steps in post-order, and those that operators belong to.
  const comesBefore = g.add(g.mul(not(ancestor), upper), g.mul(transposed(ancestor), lower));
  const position = g.reshape(g.matmul(g.unsqueeze(leads, 1), comesBefore), [-1, D]);
  const row = oneHot(g, position, D);
  const own = g.mul(g.unsqueeze(leads, 2), row);
  // Σ Mᵖ over p = 0, 1, … D: an operator may continue in one that continues in another.
  let chain = g.add(
    transposed(merged),
    constant(D, D, (i, j) => Number(i === j)),
  );
  let power = transposed(merged);
  for (let reached = 1; reached < D - 1; reached = 2 * reached + 1) {
    power = g.matmul(power, power);
    chain = g.add(chain, g.matmul(power, chain));
  }
  const member = g.matmul(chain, own);

  // Operands.
  const nextActive = g.concat([g.slice(active, 1, 1), g.mul(g.slice(active, 1, 0, 1), g.f64(0))], 1);
  const priorityAfter = g.concat(
    [g.slice(registers.priority, 1, 1), g.slice(registers.priority, 1, D - 1)],
    1,
  );
  const bindsNext = g.cast(g.op('GreaterOrEqual', [registers.priority, priorityAfter]), 'f64');
  const takesRight = g.add(not(nextActive), g.mul(nextActive, bindsNext));
  // Operator 0 has none before it.
  const bindsPrevious = g.concat(
    [g.mul(g.slice(active, 1, 0, 1), g.f64(0)), g.slice(bindsNext, 1, 0, D - 1)],
    1,
  );
  const takesLeft = g.mul(not(negate), not(bindsPrevious));
  const numbers = g.add(
    g.mul(g.unsqueeze(takesLeft, 2), g.slice(nodes, 1, 0, D)),
    g.mul(g.unsqueeze(g.mul(right, takesRight), 2), g.slice(nodes, 1, 1, D + 1)),
  );
  const coefficients = g.add(g.mul(g.unsqueeze(right, 2), upper), lower);
  const steps = g.matmul(g.mul(g.sub(parent, merged), coefficients), row);
  const operands = g.concat([numbers, steps], 2);

  const used = g.op('Min', [one, g.sum(own, 1)]);
  const unused = not(used);
  const identity = constant(D, 2 * D, (i, j) => Number(j === (i === 0 ? 0 : D + i - 1)));
  const O = g.add(g.matmul(transposed(member), operands), g.mul(g.unsqueeze(unused, 2), identity));
  const G = g.add(g.sum(g.mul(g.unsqueeze(g.mul(leads, g.add(linear, negate)), 2), row), 1), unused);
  return { ...numbersOf(g, registers, begun, nodes, layout), O, G };
}

/** x whole, (N, n) → (N, n, size). */
function oneHot(g: GraphBuilder, x: Value, size: number): Value {
  const positions = g.f64(Array.from({ length: size }, (_, i) => i));
  return g.cast(g.op('Equal', [g.unsqueeze(x, 2), positions]), 'f64');
}

/** Powers of ten that a double holds exactly. */
const POWERS = Array.from({ length: 23 }, (_, n) => 10 ** n);

function numbersOf(
  g: GraphBuilder,
  { digit, present, length, negative }: HardRegisters,
  begun: Value,
  nodes: Value,
  { digits: R }: RegisterLayout,
): Pick<Plan, 'V_mag' | 'V_sign'> {
  const powers = g.f64(POWERS);
  const tenTo = (n: Value): Value => g.op('Gather', [powers, g.cast(n, 'i64')]);
  // A digit counts as much as digits follow it. Sums of whole numbers below 2^53 are exact.
  const place = tenTo(g.cumsum(present, 2, { exclusive: 1, reverse: 1 }));
  const mantissa = g.sum(g.mul(digit, place), 2);
  const positions = g.f64(Array.from({ length: R }, (_, r) => r));
  const isDecimal = g.cast(g.op('GreaterOrEqual', [positions, g.unsqueeze(length, 2)]), 'f64');
  const magnitude = g.div(mantissa, tenTo(g.sum(g.mul(present, isDecimal), 2)));
  const collected = (x: Value): Value => g.sum(g.mul(g.unsqueeze(x, 2), nodes), 1);
  const V_mag = collected(magnitude);
  const zeros = g.mul(V_mag, g.f64(0));
  const V_sign = g.sub(g.f64(1), g.mul(g.f64(2), collected(g.mul(begun, negative))));
  return {
    V_mag: g.concat([V_mag, zeros], 1),
    V_sign: g.concat([V_sign, g.add(zeros, g.f64(1))], 1),
  };
}
