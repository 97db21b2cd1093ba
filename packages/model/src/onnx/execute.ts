import type { GraphBuilder, Value } from './graph-builder.js';
import type { HardPlan } from '../plan-predictor/hard-plan.js';

/**
 * Executes hard plans → (N, 1) values. Linear steps are sums in node order; log steps are products of the numerators in node order,
 * divided by each denominator, as in `execute` for whole coefficients.
 *
 * @param powers Whether there are coefficients other than −1, 0 and 1.
 */
export function executePlan(g: GraphBuilder, plan: HardPlan<Value>, depth: number, powers: boolean): Value {
  const [zero, one] = [g.f64(0), g.f64(1)];
  let nodes = g.slice(g.mul(plan.V_sign, plan.V_mag), 1, 0, depth);
  let value = nodes;
  const gates = g.columns(plan.G, 1, depth);
  const rows = g.columns(plan.O, 1, depth).map((row) => g.reshape(row, [-1, 2 * depth]));
  for (let i = 0; i < depth; i++) {
    const count = depth + i;
    const c = g.slice(rows[i]!, 1, 0, count);
    const isUp = g.op('Greater', [c, zero]);
    const isDown = g.op('Less', [c, zero]);
    const takesPart = g.op('Or', [isUp, isDown]);
    const sums = g.cumsum(g.where(takesPart, g.mul(c, nodes), zero), 1);
    const factors = powers ? g.op('Pow', [nodes, g.op('Abs', [c])]) : nodes;
    const numerators = g.columns(g.where(isUp, factors, one), 1, count);
    const denominators = g.columns(g.where(isDown, factors, one), 1, count);
    const product = denominators.reduce(g.div, numerators.reduce(g.mul));
    const isLinear = g.op('Equal', [gates[i]!, one]);
    value = g.where(isLinear, g.slice(sums, 1, count - 1, count), product);
    nodes = g.concat([nodes, value], 1);
  }
  return value;
}
