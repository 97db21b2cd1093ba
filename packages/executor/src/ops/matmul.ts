import { ExecutorError } from '../error.js';
import type { MatmulSpec } from '../backend.js';
import { sameShape, show, sizeOf } from '../shape.js';
import {
  commonBackend,
  commonDType,
  empty,
  overwrite,
  record,
  wantedGradOf,
  type Tensor,
} from '../tensor.js';
import { add } from './elementwise.js';

/** (…, m, k) · (…, k, n) → (…, m, n); the leading dimensions are equal, or one side has none. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const backend = commonBackend('matmul', a, b);
  const dtype = commonDType('matmul', a, b);
  const [m, k] = a.shape.slice(-2);
  const [kb, n] = b.shape.slice(-2);
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const fits = batchA.length === 0 || batchB.length === 0 || batchA.join() === batchB.join();
  if (m === undefined || k === undefined || n === undefined || k !== kb || !fits)
    throw new ExecutorError('shape', `matmul: shapes ${show(a.shape)} and ${show(b.shape)} do not fit`);
  const leading = batchA.length ? batchA : batchB;
  const batch = sizeOf(leading);
  const strideA = batchA.length ? m * k : 0;
  const strideB = batchB.length ? k * n : 0;
  const y = empty([...leading, m, n], dtype, backend);
  const base = { batch, transposeA: false, transposeB: false };
  backend.matmul({ ...base, m, n, k, strideA, strideB, strideC: m * n }, a.storage, b.storage, overwrite(y));
  return record('matmul', y, [a, b], (gradY) => {
    const gradA = wantedGradOf(a);
    const toA: MatmulSpec = {
      ...base,
      m,
      n: k,
      k: n,
      transposeB: true,
      strideA: m * n,
      strideB,
      strideC: strideA,
    };
    if (gradA) backend.matmul(toA, gradY, b.storage, gradA);
    const gradB = wantedGradOf(b);
    const toB: MatmulSpec = {
      ...base,
      m: k,
      n,
      k: m,
      transposeA: true,
      strideA,
      strideB: m * n,
      strideC: strideB,
    };
    if (gradB) backend.matmul(toB, a.storage, gradY, gradB);
  });
}

/** x (…, in) · weightᵀ + bias, with weight (out, in) and bias (out) as in PyTorch → (…, out). */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor | null): Tensor {
  const inputs = bias ? [x, weight, bias] : [x, weight];
  const backend = commonBackend('linear', ...inputs);
  const dtype = commonDType('linear', ...inputs);
  const [n, k] = weight.shape;
  if (n === undefined || k === undefined || weight.shape.length !== 2 || x.shape[x.shape.length - 1] !== k)
    throw new ExecutorError(
      'shape',
      `linear: x ${show(x.shape)} and weight ${show(weight.shape)} do not fit`,
    );
  if (bias && !sameShape(bias.shape, [n]))
    throw new ExecutorError(
      'shape',
      `linear: weight ${show(weight.shape)} and bias ${show(bias.shape)} do not fit`,
    );
  const m = sizeOf(x.shape.slice(0, -1));
  const y = empty([...x.shape.slice(0, -1), n], dtype, backend);
  const base = {
    batch: 1,
    transposeA: false,
    transposeB: false,
    strideA: 0,
    strideB: 0,
    strideC: 0,
  };
  backend.matmul({ ...base, m, n, k, transposeB: true }, x.storage, weight.storage, overwrite(y));
  record('linear', y, [x, weight], (gradY) => {
    const gradX = wantedGradOf(x);
    if (gradX) backend.matmul({ ...base, m, n: k, k: n }, gradY, weight.storage, gradX);
    const gradWeight = wantedGradOf(weight);
    const toWeight = { ...base, m: n, n: k, k: m, transposeA: true };
    if (gradWeight) backend.matmul(toWeight, gradY, x.storage, gradWeight);
  });
  return bias ? add(y, bias) : y;
}
