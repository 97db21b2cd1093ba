import {
  add,
  affine,
  cat,
  clamp,
  gather,
  log,
  mul,
  neg,
  reshape,
  softplus,
  square,
  sub,
  sum,
  type Tensor,
} from '@dag/executor';
import { isTensor, named } from '../arguments.js';
import { ModelError } from '../error.js';
import type { ReadoutLoss } from './readout.js';
import { distribution, type Registers } from './registers.js';

/** Probabilities are clamped to at least this before the logarithm. */
const EPSILON = 1e-6;

/** Losses on registers. The formulas are in docs/reference.md of `@dag/train`. */
export const registerLosses: Readonly<Record<string, ReadoutLoss<Registers>>> = {
  /** NLL of the sign of every number that has a digit; a minus that several tokens wrote is one minus. */
  negative: {
    targets: ['valid', 'begun', 'signs'],
    compute: ({ negative }, { valid, begun, signs }) => {
      const nll = binaryNll(clamp(negative, 0, 1), reshape(signs, negative.shape));
      return meanOver(sum(mul(reshape(begun, negative.shape), nll), 2), valid);
    },
  },
  /** NLL of the operator classes, summed over operators, without those that have no operand yet. */
  operators: {
    targets: ['valid', 'operatorClasses', 'operatorsKnown'],
    compute: ({ operators, priority }, { valid, operatorClasses, operatorsKnown }) => {
      const nll = classNll(operators, operatorClasses);
      return meanOver(sum(mul(reshape(operatorsKnown, priority.shape), nll), 2), valid);
    },
  },
  /** softplus(4·(p_k − p_j)) for each operator k that is an ancestor of operator j: k must have the lower priority. */
  precedence: {
    targets: ['valid', 'above'],
    compute: ({ priority }, { valid, above }) => {
      const [B, T, K] = priority.shape as [number, number, number];
      const difference = sub(reshape(priority, [B, T, K, 1]), reshape(priority, [B, T, 1, K]));
      const wrong = mul(reshape(above, difference.shape), softplus(affine(difference, 4)));
      return meanOver(sum(wrong, [2, 3]), valid);
    },
  },
  /** Squared error of the counter, wherever it is known. */
  count: {
    targets: ['counted', 'counts'],
    compute: ({ count }, { counted, counts }) =>
      meanOver(square(sub(count, reshape(counts, count.shape))), counted),
  },
};

/** NLL of classes. x (…, C) are written probabilities; class C means that nothing was written. → (…). */
function classNll(x: Tensor, target: Tensor): Tensor {
  const written = distribution(x);
  const probabilities = cat([written, affine(sum(written, -1, true), -1, 1)], -1);
  return nll(gather(probabilities, reshape(target, x.shape.slice(0, -1))));
}

/** Binary NLL, element by element: −ln p where `target` is 1, −ln(1 − p) where it is 0. Shapes broadcast. */
export function binaryNll(p: Tensor, target: Tensor): Tensor {
  // p where the target is 1, else 1 − p.
  const right = add(mul(target, p), mul(affine(target, -1, 1), affine(p, -1, 1)));
  return nll(right);
}

function nll(p: Tensor): Tensor {
  return neg(log(clamp(p, EPSILON)));
}

/** Σ x·shares: the mean of x (B, T) over tokens weighted by `shares` (B·T), such as the target `valid`. @throws {ModelError} `bad-input`. */
export function meanOver(x: Tensor, shares: Tensor): Tensor {
  if (!isTensor(x)) throw new ModelError('bad-input', `meanOver: takes tensors, given ${named(x)}`);
  return sum(mul(x, reshape(shares, x.shape)));
}
