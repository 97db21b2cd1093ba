import type { HostArray, LinearSpec } from '../../backend.js';
import { dropout } from './dropout.js';
import { unary, unaryBackward } from './elementwise.js';
import { matmul } from './matmul.js';

/** y = residual + dropout(activation(x·weightᵀ + bias)). */
export function linear(
  spec: LinearSpec,
  x: HostArray,
  weight: HostArray,
  bias: HostArray | null,
  residual: HostArray | null,
  y: HostArray,
  preactivation: HostArray | null,
): void {
  const { m, n, k } = spec;
  const product = {
    batch: 1,
    m,
    n,
    k,
    transposeA: false,
    transposeB: true,
    strideA: 0,
    strideB: 0,
    strideC: 0,
  };
  y.fill(0);
  matmul(product, x, weight, y);
  if (bias) for (let i = 0; i < y.length; i++) y[i]! += bias[i % n]!;
  preactivation?.set(y);
  if (spec.activation) unary(spec.activation, y, y, 0, 0);
  if (spec.dropout > 0) dropout(y, y, spec.dropout, spec.seed, false);
  if (residual) for (let i = 0; i < y.length; i++) y[i]! += residual[i]!;
}

export function linearBackward(
  spec: LinearSpec,
  gradY: HostArray,
  preactivation: HostArray | null,
  gradSum: HostArray | null,
  gradBias: HostArray | null,
): void {
  let gradient = gradY;
  if (gradSum) {
    const kept = gradY.slice();
    if (spec.dropout > 0) dropout(gradY, kept, spec.dropout, spec.seed, false);
    gradSum.fill(0);
    // The derivatives of the activations depend on their input only.
    if (preactivation && spec.activation)
      unaryBackward(spec.activation, preactivation, preactivation, kept, gradSum, 0, 0);
    else gradSum.set(kept);
    gradient = gradSum;
  }
  if (gradBias) for (let i = 0; i < gradient.length; i++) gradBias[i % spec.n]! += gradient[i]!;
}
