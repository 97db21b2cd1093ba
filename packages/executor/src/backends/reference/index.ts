import type { Backend, DagFields, HostArray, Storage, Target } from '../../backend.js';
import { attention, attentionBackward } from './attention.js';
import { dag, dagBackward } from './dag.js';
import { dropout } from './dropout.js';
import { binary, binaryBackward, copyStrided, sumsUp, unary, unaryBackward } from './elementwise.js';
import { embedding, embeddingBackward, gather, gatherBackward } from './gather.js';
import { allocateOnHost, copyOf, dataOf, dtypeOf, HostStorage, rangeOf, reuseOnHost } from '../host.js';
import { linear, linearBackward } from './linear.js';
import { matmul } from './matmul.js';
import {
  crossEntropy,
  crossEntropyBackward,
  layerNorm,
  layerNormBackward,
  softmax,
  softmaxBackward,
} from './normalization.js';
import { argmax, cumprod, cumprodBackward, cumsum } from './scans.js';
import { adamW, normOf, scaleToNorm, sumOfSquares } from './optimizer.js';

/** The backend `reference`: plain TypeScript over typed arrays, which runs anywhere and is the oracle of the fast backends. */
export const reference: Backend = {
  device: 'reference',
  recorder: () => null,
  allocate: allocateOnHost,
  reuse: reuseOnHost,
  free: () => undefined,
  share: (data) => new HostStorage(dtypeOf(data), data),
  write: (storage, data) => dataOf(storage).set(data),
  read: (storage) => Promise.resolve(dataOf(storage).slice()),
  readSync: (storage, into) => copyOf(dataOf(storage), into),
  rangeOf: (storage) => rangeOf(dataOf(storage)),

  fill: (y, value) => void dataOf(y).fill(value),
  cast: (x, y) => {
    const from = dataOf(x);
    const to = dataOf(y.storage);
    if (y.accumulate) for (let i = 0; i < to.length; i++) to[i]! += from[i]!;
    else to.set(from);
  },
  copyStrided: (walk, x, offsetX, { storage, accumulate }, offsetY) => {
    const copyTo = (y: HostArray): void => copyStrided(walk, dataOf(x), offsetX, y, offsetY, accumulate);
    // Elements that the walk does not visit keep their values.
    if (sumsUp(walk)) inDouble((sumOf) => copyTo(sumOf({ storage, accumulate: true })));
    else copyTo(dataOf(storage));
  },
  unary: (kind, x, y, p, q) => unary(kind, dataOf(x), dataOf(y), p, q),
  unaryBackward: (kind, x, y, gradY, gradX, p, q) =>
    unaryBackward(kind, dataOf(x), dataOf(y), dataOf(gradY), into(gradX), p, q),
  binary: (kind, walk, a, b, y) => binary(kind, walk, dataOf(a), dataOf(b), dataOf(y)),
  binaryBackward: (kind, walk, a, b, gradY, gradA, gradB) =>
    inDouble((sumOf) => {
      const [sumA, sumB] = [gradA && sumOf(gradA), gradB && sumOf(gradB)];
      binaryBackward(kind, walk, dataOf(a), dataOf(b), dataOf(gradY), sumA, sumB);
    }),
  cumsum: (x, y, outer, n, inner, reverse) =>
    cumsum(dataOf(x), dataOf(y.storage), outer, n, inner, reverse, y.accumulate),
  cumprod: (x, y, outer, n, inner) => cumprod(dataOf(x), dataOf(y), outer, n, inner),
  cumprodBackward: (x, y, gradY, gradX, outer, n, inner) =>
    cumprodBackward(dataOf(x), dataOf(y), dataOf(gradY), into(gradX), outer, n, inner),
  argmax: (x, index, outer, n, inner) => argmax(dataOf(x), dataOf(index), outer, n, inner),
  gather: (x, index, y, n) => gather(dataOf(x), dataOf(index), dataOf(y), n),
  gatherBackward: (index, gradY, gradX, n) => gatherBackward(dataOf(index), dataOf(gradY), into(gradX), n),

  matmul: (spec, a, b, c) => inDouble((sumOf) => matmul(spec, dataOf(a), dataOf(b), sumOf(c))),
  linear: (spec, x, weight, bias, residual, y, preactivation) =>
    linear(
      spec,
      dataOf(x),
      dataOf(weight),
      optional(bias),
      optional(residual),
      dataOf(y),
      optional(preactivation),
    ),
  linearBackward: (spec, gradY, preactivation, gradSum, gradBias) =>
    inDouble((sumOf) =>
      linearBackward(
        spec,
        dataOf(gradY),
        optional(preactivation),
        optional(gradSum),
        gradBias && sumOf(gradBias),
      ),
    ),
  softmax: (x, y, n, log) => softmax(dataOf(x), dataOf(y), n, log),
  softmaxBackward: (y, gradY, gradX, n, log) =>
    softmaxBackward(dataOf(y), dataOf(gradY), into(gradX), n, log),
  crossEntropy: (x, targets, losses, logSums, n) =>
    crossEntropy(dataOf(x), dataOf(targets), dataOf(losses), dataOf(logSums), n),
  crossEntropyBackward: (x, targets, logSums, gradLosses, gradX, n) =>
    crossEntropyBackward(dataOf(x), dataOf(targets), dataOf(logSums), dataOf(gradLosses), into(gradX), n),
  layerNorm: (x, weight, bias, y, stats, n, eps) =>
    layerNorm(dataOf(x), dataOf(weight), optional(bias), dataOf(y), dataOf(stats), n, eps),
  layerNormBackward: (x, weight, stats, gradY, gradX, gradWeight, gradBias, n) =>
    inDouble((sumOf) =>
      layerNormBackward(
        dataOf(x),
        dataOf(weight),
        dataOf(stats),
        dataOf(gradY),
        gradX && sumOf(gradX),
        gradWeight && sumOf(gradWeight),
        gradBias && sumOf(gradBias),
        n,
      ),
    ),
  embedding: (table, index, y, n) => embedding(dataOf(table), dataOf(index), dataOf(y), n),
  embeddingBackward: (index, gradY, gradTable, n) =>
    inDouble((sumOf) => embeddingBackward(dataOf(index), dataOf(gradY), sumOf(gradTable), n)),
  attention: (spec, qkv, y, logSums) =>
    inDouble((sumOf) =>
      attention(spec, dataOf(qkv), sumOf({ storage: y, accumulate: false }), dataOf(logSums)),
    ),
  attentionBackward: (spec, qkv, y, logSums, gradY, gradQkv) =>
    inDouble((sumOf) =>
      attentionBackward(spec, dataOf(qkv), dataOf(y), dataOf(logSums), dataOf(gradY), sumOf(gradQkv)),
    ),
  dropout: (x, y, p, seed) => dropout(dataOf(x), dataOf(y.storage), p, seed, y.accumulate),

  norm: (xs, total, norm) => {
    for (const x of xs) sumOfSquares(dataOf(x), dataOf(total));
    dataOf(norm)[0] = normOf(dataOf(total));
  },
  scaleToNorm: (xs, total, maxNorm) => {
    for (const x of xs) scaleToNorm(dataOf(x), dataOf(total), maxNorm);
  },
  adamW: (spec, parameters) => {
    for (const { parameter, gradient, m, v } of parameters) {
      const clipped = spec.clip ? dataOf(gradient).slice() : dataOf(gradient);
      if (spec.clip) scaleToNorm(clipped, dataOf(spec.clip.total), spec.clip.maxNorm);
      adamW(spec, dataOf(parameter), clipped, dataOf(m), dataOf(v));
    }
  },

  dag: (spec, fields, values) => dag(spec, mapFields(fields, dataOf), dataOf(values)),
  dagBackward: (spec, fields, upstream, values, gradients) =>
    dagBackward(
      spec,
      mapFields(fields, dataOf),
      optional(upstream),
      optional(values),
      mapFields(gradients, wanted),
    ),
};

/** The array of a target, set to zero unless it accumulates, for kernels that add to it. */
function into({ storage, accumulate }: Target): HostArray {
  const data = dataOf(storage);
  return accumulate ? data : data.fill(0);
}

function wanted(target: Target | null): HostArray | null {
  return target && into(target);
}

/**
 * Runs `kernel` on f64 copies of f32 targets and rounds once at the end: an f32 sum of ones would stop growing at 2^24. Targets with the
 * same storage share a copy.
 */
function inDouble(kernel: (sumOf: SumOf) => void): void {
  const sums = new Map<Storage, Float64Array>();
  const sumOf = (target: Target): HostArray => {
    const { storage, accumulate } = target;
    if (storage.dtype !== 'f32') return into(target);
    const sum = sums.get(storage) ?? new Float64Array(storage.length);
    if (accumulate && !sums.has(storage)) sum.set(dataOf(storage));
    sums.set(storage, sum);
    return sum;
  };
  kernel(sumOf);
  for (const [storage, sum] of sums) dataOf(storage).set(sum);
}
type SumOf = (target: Target) => HostArray;

function optional(storage: Storage | null) {
  return storage && dataOf(storage);
}

function mapFields<A, B>(fields: DagFields<A>, f: (a: A) => B): DagFields<B> {
  return { V_mag: f(fields.V_mag), V_sign: f(fields.V_sign), O: f(fields.O), G: f(fields.G) };
}
