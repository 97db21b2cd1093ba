import { checkNumber, checkOptions, FINITE_FROM_0, refuseMore } from '../arguments.js';
import type { DType } from '../backend.js';
import { ExecutorError } from '../error.js';
import { dimension, show } from '../shape.js';
import { record } from '../tape.js';
import {
  commonBackend,
  commonDType,
  empty,
  gradOf,
  resultDType,
  wantedGradOf,
  type Tensor,
} from '../tensor.js';
import { transpose } from './shape.js';

function lastSize(op: string, x: Tensor): number {
  const n = x.shape[x.shape.length - 1];
  if (n === undefined || n === 0)
    throw new ExecutorError('shape', `${op}: needs a last dimension, given ${show(x.shape)}`);
  return n;
}

function softmaxOf(op: 'softmax' | 'logSoftmax', x: Tensor, dim = -1): Tensor {
  const log = op === 'logSoftmax';
  const dtype = commonDType(op, [x]);
  const n = lastSize(op, x);
  const d = dimension(dim, x.shape.length, op);
  if (d < x.shape.length - 1) return transpose(softmaxOf(op, transpose(x, d, -1)), d, -1);
  const y = empty(x.shape, dtype, x.backend);
  x.backend.softmax(x.storage, y.storage, n, log);
  return record(op, y, [x], { y }, (gradY, saved) =>
    x.backend.softmaxBackward(saved.y, gradY, gradOf(x), n, log),
  );
}

/** softmax(x) = eˣ / Σ eˣ over dimension `dim`, by default the last, of f32 or f64. @throws {ExecutorError} `shape`, `dtype`. */
export function softmax(x: Tensor, dim?: number): Tensor;
export function softmax(x: Tensor, dim?: number, ...more: unknown[]): Tensor {
  refuseMore('softmax', more);
  return softmaxOf('softmax', x, dim);
}

/** ln softmax(x) over dimension `dim`, by default the last, of f32 or f64. @throws {ExecutorError} `shape`, `dtype`. */
export function logSoftmax(x: Tensor, dim?: number): Tensor;
export function logSoftmax(x: Tensor, dim?: number, ...more: unknown[]): Tensor {
  refuseMore('logSoftmax', more);
  return softmaxOf('logSoftmax', x, dim);
}

/** Options of `layerNorm`. */
export interface LayerNormOptions {
  /** The dtype of the result: bf16, of f32 on `cuda`; left out: that of x. */
  readonly dtype?: DType;
}

/**
 * Layer normalisation (Ba, Kiros & Hinton 2016) of x (…, C) over the last dimension, with weight (C) and bias (C) or null → (…, C), f32 or
 * f64; the result may be bf16.
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the tensors do not go together; `value` for a negative `eps`.
 */
export function layerNorm(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  eps = 1e-5,
  options: LayerNormOptions = {},
): Tensor {
  checkNumber('layerNorm', 'eps', eps, FINITE_FROM_0);
  checkOptions('layerNorm', options, ['dtype']);
  const inputs = bias === null ? [x, weight] : [x, weight, bias];
  const backend = commonBackend('layerNorm', inputs);
  const computed = commonDType('layerNorm', inputs);
  const dtype = resultDType('layerNorm', computed, options.dtype);
  const n = lastSize('layerNorm', x);
  for (const p of inputs.slice(1))
    if (p.size !== n)
      throw new ExecutorError(
        'shape',
        `layerNorm: x ${show(x.shape)} and parameter ${show(p.shape)} do not fit`,
      );
  const y = empty(x.shape, dtype, backend);
  const stats = empty([x.size / n, 2], computed, backend);
  backend.layerNorm(x.storage, weight.storage, bias?.storage ?? null, y.storage, stats.storage, n, eps);
  return record('layerNorm', y, inputs, { x, weight, stats }, (gradY, saved) => {
    const gradBias = bias && wantedGradOf(bias);
    backend.layerNormBackward(
      saved.x,
      saved.weight,
      saved.stats,
      gradY,
      wantedGradOf(x),
      wantedGradOf(weight),
      gradBias,
      n,
    );
  });
}
