import { add, affine, mul, select, stack, sub, sum, type Tensor } from '@dag/executor';
import { operatorCount, type RegisterLayout } from './layout.js';
import { not, unsqueeze } from './ops.js';
import { distribution } from './registers.js';

/** Properties of each operator, as probabilities (N, K). */
export interface Operators {
  /** The operator exists and a number follows it. */
  readonly active: Tensor;
  /** + or −. */
  readonly linear: Tensor;
  /** × or ÷. */
  readonly log: Tensor;
  /** The minus of a group. */
  readonly negate: Tensor;
  /** Coefficient of the right operand: −1 for − ÷ and the minus of a group, else 1. */
  readonly right: Tensor;
}

/** @param classes (N, K, 5) probabilities. @param begun (N, S) probability that a slot has a digit. */
export function readOperators(classes: Tensor, begun: Tensor, layout: RegisterLayout): Operators {
  const K = operatorCount(layout);
  // An operator takes part where any slot after it holds a number.
  let none = affine(select(begun, 1, K), -1, 1);
  const followed: Tensor[] = [];
  for (let k = K - 1; k >= 0; k--) {
    followed.unshift(not(none));
    none = mul(none, not(select(begun, 1, k)));
  }
  const weight = mul(distribution(classes), unsqueeze(stack(followed, 1)));
  const of = (c: number): Tensor => select(weight, 2, c);
  const [plus, minus, times, over, negate] = [of(0), of(1), of(2), of(3), of(4)];
  return {
    active: sum(weight, 2),
    linear: add(plus, minus),
    log: add(times, over),
    negate,
    right: sub(add(plus, times), add(add(minus, over), negate)),
  };
}
