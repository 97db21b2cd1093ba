import { add, affine, clamp, log, mul, neg, reshape, sum, type Tensor } from '@dag/executor';
import { isTensor, named } from '../arguments.js';
import { ModelError } from '../error.js';

/** Probabilities are clamped to at least this before the logarithm. */
const EPSILON = 1e-6;

/** Binary NLL, element by element: −ln p where `target` is 1, −ln(1 − p) where it is 0. Shapes broadcast. */
export function binaryNll(p: Tensor, target: Tensor): Tensor {
  // p where the target is 1, else 1 − p.
  const right = add(mul(target, p), mul(affine(target, -1, 1), affine(p, -1, 1)));
  return neg(log(clamp(right, EPSILON)));
}

/** Σ x·shares: the mean of x (B, T) over tokens weighted by `shares` (B·T), such as the target `valid`. @throws {ModelError} `bad-input`. */
export function meanOver(x: Tensor, shares: Tensor): Tensor {
  if (!isTensor(x)) throw new ModelError('bad-input', `meanOver: takes tensors, given ${named(x)}`);
  return sum(mul(x, reshape(shares, x.shape)));
}
