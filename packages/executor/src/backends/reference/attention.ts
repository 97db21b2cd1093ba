import type { AttentionSpec, HostArray } from '../../backend.js';
import { dropout } from './dropout.js';

/**
 * Causal scaled dot-product attention (Vaswani et al. 2017, equation 1): softmax(Q·Kᵀ/√d)·V, each position over
 * itself and those before it.
 */
export function attention(spec: AttentionSpec, qkv: HostArray, y: HostArray, logSums: HostArray): void {
  const scores = scoresOf(spec, qkv);
  forEachHead(spec, ({ row, sums }, T) => {
    for (let t = 0; t < T; t++) {
      const of = scores.subarray(row + t * T, row + t * T + t + 1);
      const max = of.reduce((a, b) => Math.max(a, b), -Infinity);
      logSums[sums + t] = max + Math.log(of.reduce((sum, score) => sum + Math.exp(score - max), 0));
    }
  });
  const weights = dropped(spec, probabilities(spec, scores, logSums));
  y.fill(0);
  forEachHead(spec, ({ v, out, row, width, step, outStep }, T) => {
    for (let t = 0; t < T; t++)
      for (let s = 0; s <= t; s++) {
        const w = weights[row + t * T + s]!;
        for (let i = 0; i < width; i++) y[out + t * outStep + i]! += w * qkv[v + s * step + i]!;
      }
  });
}

/** (batch, heads, time, time): Q·Kᵀ/√d, and −∞ at later positions. */
function scoresOf(spec: AttentionSpec, qkv: HostArray): Float64Array {
  const scores = new Float64Array(spec.batch * spec.heads * spec.time * spec.time).fill(-Infinity);
  forEachHead(spec, ({ q, k, row, width, step }, T) => {
    for (let t = 0; t < T; t++)
      for (let s = 0; s <= t; s++) {
        let dot = 0;
        for (let i = 0; i < width; i++) dot += qkv[q + t * step + i]! * qkv[k + s * step + i]!;
        scores[row + t * T + s] = dot / Math.sqrt(width);
      }
  });
  return scores;
}

function probabilities({ time }: AttentionSpec, scores: Float64Array, logSums: HostArray): Float64Array {
  return scores.map((score, i) => Math.exp(score - logSums[Math.floor(i / time)]!));
}

export function attentionBackward(
  spec: AttentionSpec,
  qkv: HostArray,
  y: HostArray,
  logSums: HostArray,
  gradY: HostArray,
  gradQkv: HostArray,
): void {
  const p = probabilities(spec, scoresOf(spec, qkv), logSums);
  const weights = dropped(spec, p);
  const gradWeights = new Float64Array(p.length);
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
  const gradP = dropped(spec, gradWeights);
  forEachHead(spec, ({ q, k, out, row, width, step, outStep }, T) => {
    const scale = 1 / Math.sqrt(width);
    for (let t = 0; t < T; t++) {
      // Σ p·dp over a row is y·dy, as y is Σ p·v (Dao et al. 2022, appendix B.2).
      let sum = 0;
      for (let i = 0; i < width; i++) sum += y[out + t * outStep + i]! * gradY[out + t * outStep + i]!;
      for (let s = 0; s <= t; s++) {
        const g = p[row + t * T + s]! * (gradP[row + t * T + s]! - sum) * scale;
        for (let i = 0; i < width; i++) {
          gradQkv[q + t * step + i]! += g * qkv[k + s * step + i]!;
          gradQkv[k + s * step + i]! += g * qkv[q + t * step + i]!;
        }
      }
    }
  });
}

function dropped(spec: AttentionSpec, p: Float64Array): Float64Array {
  if (spec.dropout === 0) return p;
  const weights = p.slice();
  dropout(p, weights, spec.dropout, spec.seed, false);
  return weights;
}

/** Offsets of one head of one sequence: of q, k, v, its output, its (T, T) probabilities and its sums. */
interface Head {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly out: number;
  readonly row: number;
  readonly sums: number;
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
      const sums = (b * heads + h) * time;
      const row = sums * time;
      const out = b * time * channels + h * width;
      use({ q, k: q + channels, v: q + 2 * channels, out, row, sums, width, step, outStep: channels }, time);
    }
}
