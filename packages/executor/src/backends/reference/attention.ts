import type { AttentionSpec, HostArray } from '../../backend.js';
import { dropout } from './dropout.js';

/**
 * Causal scaled dot-product attention (Vaswani et al. 2017, equation 1): softmax(Q·Kᵀ/√d)·V, each position over
 * itself and those before it. `saved` keeps the probabilities before dropout.
 */
export function attention(spec: AttentionSpec, qkv: HostArray, y: HostArray, saved: HostArray): void {
  probabilities(spec, qkv, saved);
  const weights = dropped(spec, saved);
  y.fill(0);
  forEachHead(spec, ({ v, out, row, width, step, outStep }, T) => {
    for (let t = 0; t < T; t++)
      for (let s = 0; s <= t; s++) {
        const w = weights[row + t * T + s]!;
        for (let i = 0; i < width; i++) y[out + t * outStep + i]! += w * qkv[v + s * step + i]!;
      }
  });
}

function probabilities(spec: AttentionSpec, qkv: HostArray, saved: HostArray): void {
  saved.fill(0);
  forEachHead(spec, ({ q, k, row, width, step }, T) => {
    const scale = 1 / Math.sqrt(width);
    for (let t = 0; t < T; t++) {
      const p = row + t * T;
      let max = -Infinity;
      for (let s = 0; s <= t; s++) {
        let dot = 0;
        for (let i = 0; i < width; i++) dot += qkv[q + t * step + i]! * qkv[k + s * step + i]!;
        saved[p + s] = dot * scale;
        max = Math.max(max, saved[p + s]!);
      }
      let sum = 0;
      for (let s = 0; s <= t; s++) sum += saved[p + s] = Math.exp(saved[p + s]! - max);
      for (let s = 0; s <= t; s++) saved[p + s]! /= sum;
    }
  });
}

export function attentionBackward(
  spec: AttentionSpec,
  qkv: HostArray,
  saved: HostArray,
  gradY: HostArray,
  gradQkv: HostArray,
): void {
  const weights = dropped(spec, saved);
  const gradWeights = saved.slice().fill(0);
  forEachHead(spec, ({ v, out, row, width, step, outStep }, T) => {
    for (let t = 0; t < T; t++)
      for (let s = 0; s <= t; s++) {
        const w = weights[row + t * T + s]!;
        let dot = 0;
        for (let i = 0; i < width; i++) {
          const g = gradY[out + t * outStep + i]!;
          dot += g * qkv[v + s * step + i]!;
          gradQkv[v + s * step + i]! += w * g;
        }
        gradWeights[row + t * T + s] = dot;
      }
  });
  if (spec.dropout > 0) dropout(gradWeights.slice(), gradWeights, spec.dropout, spec.seed, false);
  forEachHead(spec, ({ q, k, row, width, step }, T) => {
    const scale = 1 / Math.sqrt(width);
    for (let t = 0; t < T; t++) {
      const p = row + t * T;
      let sum = 0;
      for (let s = 0; s <= t; s++) sum += saved[p + s]! * gradWeights[p + s]!;
      for (let s = 0; s <= t; s++) {
        const g = saved[p + s]! * (gradWeights[p + s]! - sum) * scale;
        for (let i = 0; i < width; i++) {
          gradQkv[q + t * step + i]! += g * qkv[k + s * step + i]!;
          gradQkv[k + s * step + i]! += g * qkv[q + t * step + i]!;
        }
      }
    }
  });
}

function dropped(spec: AttentionSpec, saved: HostArray): HostArray {
  if (spec.dropout === 0) return saved;
  const weights = saved.slice();
  dropout(saved, weights, spec.dropout, spec.seed, false);
  return weights;
}

/** Where one head of one sequence lies: starts of q, k, v, of its output and of its (T, T) probabilities. */
interface Head {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly out: number;
  readonly row: number;
  readonly width: number;
  readonly step: number;
  readonly outStep: number;
}

function forEachHead(
  { batch, time, channels, heads }: AttentionSpec,
  use: (head: Head, time: number) => void,
): void {
  const width = channels / heads;
  const step = 3 * channels;
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++) {
      const q = b * time * step + h * width;
      const row = (b * heads + h) * time * time;
      const out = b * time * channels + h * width;
      use({ q, k: q + channels, v: q + 2 * channels, out, row, width, step, outStep: channels }, time);
    }
}
