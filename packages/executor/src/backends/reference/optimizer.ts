import type { AdamWSpec, HostArray } from '../../backend.js';
import { numberOf } from '../host.js';

/** Elements from this size on are scaled by SHRINK before they are squared, since the sum would overflow. */
const LARGE = 2 ** 480;
const SHRINK = 2 ** -600;
/** Splits a factor that is too small for f32, or for f64, in two. */
const LIFT = 2 ** 64;

/** total[0] += Σ x² of small numbers, total[1] += Σ (x·SHRINK)² of large ones. NaN counts as large. */
export function sumOfSquares(x: HostArray, total: HostArray): void {
  let [small, large] = [0, 0];
  for (let i = 0; i < x.length; i++)
    if (Math.abs(x[i]!) < LARGE) small += x[i]! * x[i]!;
    else large += (x[i]! * SHRINK) ** 2;
  total[0]! += small;
  total[1]! += large;
}

/** The norm as a quotient whose parts do not overflow. */
function rootOf(total: HostArray): readonly [root: number, unit: number] {
  const [small, large] = [total[0]!, total[1]!];
  if (large === 0) return [Math.sqrt(small), 1];
  return [Math.sqrt(large + small * SHRINK * SHRINK), SHRINK];
}

export function normOf(total: HostArray): number {
  const [root, unit] = rootOf(total);
  return root / unit;
}

/**
 * Gradient clipping (Pascanu, Mikolov & Bengio 2013): two factors whose product scales the gradients to the largest norm; null where
 * they stay as they are.
 */
export function factorsToNorm(total: HostArray, maxNorm: number): readonly [number, number] | null {
  const [root, unit] = rootOf(total);
  const lifted = (maxNorm * LIFT * unit) / (root + 1e-6 * unit);
  if (!(lifted < LIFT) || root === Infinity) return null;
  return lifted < 2 ** -36 ? [1 / LIFT, lifted] : [1, lifted / LIFT];
}

export function scaleToNorm(x: HostArray, total: HostArray, maxNorm: number): void {
  const factors = factorsToNorm(total, maxNorm);
  if (!factors) return;
  for (let i = 0; i < x.length; i++) x[i] = x[i]! * factors[0] * factors[1];
}

/** Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, as PyTorch orders it. */
export function adamW(
  spec: AdamWSpec,
  parameter: HostArray,
  gradient: HostArray,
  m: HostArray,
  v: HostArray,
): void {
  const { beta1, beta2, eps, weightDecay } = spec;
  const [lr, step] = [numberOf(spec.lr), numberOf(spec.step)];
  const correction1 = 1 - beta1 ** step;
  const correction2 = Math.sqrt(1 - beta2 ** step);
  for (let i = 0; i < parameter.length; i++) {
    const g = gradient[i]!;
    m[i] = beta1 * m[i]! + (1 - beta1) * g;
    v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
    const decayed = parameter[i]! * (1 - lr * weightDecay);
    parameter[i] = decayed - ((lr / correction1) * m[i]!) / (Math.sqrt(v[i]!) / correction2 + eps);
  }
}
