import type { HostArray } from '../../backend.js';

/** Rows of n: exp(x − max) / Σ, or its logarithm. */
export function softmax(x: HostArray, y: HostArray, n: number, log: boolean): void {
  for (let row = 0; row < x.length; row += n) {
    let max = -Infinity;
    for (let i = 0; i < n; i++) max = Math.max(max, x[row + i]!);
    let sum = 0;
    for (let i = 0; i < n; i++) sum += Math.exp(x[row + i]! - max);
    const logSum = max + Math.log(sum);
    for (let i = 0; i < n; i++) y[row + i] = log ? x[row + i]! - logSum : Math.exp(x[row + i]! - max) / sum;
  }
}

/** softmax: dx = y·(dy − Σ y·dy); its logarithm: dx = dy − exp(y)·Σ dy. */
export function softmaxBackward(
  y: HostArray,
  gradY: HostArray,
  gradX: HostArray,
  n: number,
  log: boolean,
): void {
  for (let row = 0; row < y.length; row += n) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += gradY[row + i]! * (log ? 1 : y[row + i]!);
    for (let i = 0; i < n; i++)
      gradX[row + i]! += log
        ? gradY[row + i]! - Math.exp(y[row + i]!) * sum
        : y[row + i]! * (gradY[row + i]! - sum);
  }
}

/** Rows of n: losses[i] = ln Σ exp(x[i]) − x[i, targets[i]]; a target of −1 gives 0. */
export function crossEntropy(
  x: HostArray,
  targets: HostArray,
  losses: HostArray,
  logSums: HostArray,
  n: number,
): void {
  for (let i = 0; i < targets.length; i++) {
    let max = -Infinity;
    for (let j = 0; j < n; j++) max = Math.max(max, x[i * n + j]!);
    let sum = 0;
    for (let j = 0; j < n; j++) sum += Math.exp(x[i * n + j]! - max);
    logSums[i] = max + Math.log(sum);
    losses[i] = targets[i]! < 0 ? 0 : logSums[i]! - x[i * n + targets[i]!]!;
  }
}

/** dx = (softmax(x) − onehot(target))·dloss. */
export function crossEntropyBackward(
  x: HostArray,
  targets: HostArray,
  logSums: HostArray,
  gradLosses: HostArray,
  gradX: HostArray,
  n: number,
): void {
  for (let i = 0; i < targets.length; i++) {
    if (targets[i]! < 0) continue;
    for (let j = 0; j < n; j++) gradX[i * n + j]! += gradLosses[i]! * Math.exp(x[i * n + j]! - logSums[i]!);
    gradX[i * n + targets[i]!]! -= gradLosses[i]!;
  }
}

/** Ba, Kiros & Hinton, "Layer Normalization" (2016); the variance is the biased one, as in PyTorch. */
export function layerNorm(
  x: HostArray,
  weight: HostArray,
  bias: HostArray | null,
  y: HostArray,
  stats: HostArray,
  n: number,
  eps: number,
): void {
  for (let row = 0, r = 0; row < x.length; row += n, r++) {
    let mean = 0;
    for (let i = 0; i < n; i++) mean += x[row + i]!;
    mean /= n;
    let variance = 0;
    for (let i = 0; i < n; i++) variance += (x[row + i]! - mean) ** 2;
    const rstd = 1 / Math.sqrt(variance / n + eps);
    for (let i = 0; i < n; i++) y[row + i] = (x[row + i]! - mean) * rstd * weight[i]! + (bias ? bias[i]! : 0);
    stats[2 * r] = mean;
    stats[2 * r + 1] = rstd;
  }
}

export function layerNormBackward(
  x: HostArray,
  weight: HostArray,
  stats: HostArray,
  gradY: HostArray,
  gradX: HostArray | null,
  gradWeight: HostArray | null,
  gradBias: HostArray | null,
  n: number,
): void {
  for (let row = 0, r = 0; row < x.length; row += n, r++) {
    const mean = stats[2 * r]!;
    const rstd = stats[2 * r + 1]!;
    let sum = 0;
    let sumNormal = 0;
    for (let i = 0; i < n; i++) {
      const normal = (x[row + i]! - mean) * rstd;
      const g = gradY[row + i]!;
      sum += g * weight[i]!;
      sumNormal += g * weight[i]! * normal;
      if (gradWeight) gradWeight[i]! += g * normal;
      if (gradBias) gradBias[i]! += g;
    }
    if (!gradX) continue;
    for (let i = 0; i < n; i++) {
      const normal = (x[row + i]! - mean) * rstd;
      gradX[row + i]! += rstd * (gradY[row + i]! * weight[i]! - sum / n - (normal * sumNormal) / n);
    }
  }
}
