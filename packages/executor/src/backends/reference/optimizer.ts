import type { AdamWSpec, HostArray } from '../../backend.js';
import { numberOf } from '../host.js';

export function sumOfSquares(x: HostArray, total: HostArray): void {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
  total[0]! += sum;
}

/** Pascanu, Mikolov & Bengio (2013): scales the gradient to a largest norm. */
export function scaleToNorm(x: HostArray, total: HostArray, maxNorm: number): void {
  const scale = Math.min(1, maxNorm / (Math.sqrt(total[0]!) + 1e-6));
  if (scale < 1) for (let i = 0; i < x.length; i++) x[i]! *= scale;
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
