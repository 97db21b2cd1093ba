import {
  add,
  affine,
  clamp,
  div,
  mul,
  select,
  stack,
  sum,
  zeros,
  type DagTensorFields,
  type Tensor,
} from '@dag/executor';
import { slotCount, type RegisterLayout } from './layout.js';
import { address, atMostOne, columns, join, not, range, unsqueeze } from './ops.js';
import type { Operators } from './operators.js';
import { distribution } from './registers.js';

/** The numbers in the slots, (N, S) each. */
export interface Numbers {
  readonly magnitude: Tensor;
  /** Probability that the number has a minus. */
  readonly negative: Tensor;
  /** Probability that the slot has a digit. */
  readonly begun: Tensor;
}

/** Reads magnitudes as mantissa ÷ 10^decimals with a whole mantissa: for certain registers the double nearest to the decimal number. */
export function readNumbers(
  digits: Tensor,
  length: Tensor,
  negative: Tensor,
  layout: RegisterLayout,
): Numbers {
  const classes = distribution(digits);
  const written = sum(classes, 3);
  const expected = sum(mul(classes, range(10, classes)), 3);
  let mantissa = affine(length, 0);
  let scale = affine(length, 0, 1);
  for (let r = 0; r < layout.digits; r++) {
    const present = select(written, 2, r);
    mantissa = add(mul(mantissa, affine(present, 9, 1)), select(expected, 2, r));
    const decimal = mul(present, clamp(affine(length, -1, r + 1), 0, 1));
    scale = mul(scale, affine(decimal, 9, 1));
  }
  const begun = select(written, 2, 0);
  return { magnitude: div(mantissa, scale), negative: mul(begun, atMostOne(negative)), begun };
}

/** (N, S, D): weight of each initial node for each slot. Slots that are empty because of a group's minus have no node. */
export function slotNodes({ negate }: Operators, layout: RegisterLayout): Tensor {
  const S = slotCount(layout);
  const empty = columns(S, negate, (k) => (k < S - 1 ? select(negate, 1, k) : null));
  let skipped = affine(select(empty, 1, 0), 0);
  const nodes: Tensor[] = [];
  for (let k = 0; k < S; k++) {
    nodes.push(affine(skipped, -1, k));
    skipped = add(skipped, select(empty, 1, k));
  }
  return mul(address(stack(nodes, 1), layout.depth), unsqueeze(not(empty)));
}

/** V_mag and V_sign (N, 2D): the number of each slot at its node. */
export function placeNumbers(
  { magnitude, negative }: Numbers,
  nodes: Tensor,
  { depth }: RegisterLayout,
): Pick<DagTensorFields, 'V_mag' | 'V_sign'> {
  const collect = (x: Tensor): Tensor => sum(mul(unsqueeze(x), nodes), 1);
  const unused = zeros([nodes.shape[0]!, depth], { dtype: 'f64', device: nodes.device });
  return {
    V_mag: join(collect(magnitude), unused),
    V_sign: join(affine(collect(negative), -2, 1), affine(unused, 0, 1)),
  };
}
