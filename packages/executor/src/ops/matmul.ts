import { ExecutorError } from '../error.js';
import type { MatmulSpec } from '../backend.js';
import { sameShape, show, sizeOf } from '../shape.js';
import { record } from '../tape.js';
import { commonBackend, commonDType, empty, overwrite, wantedGradOf, type Tensor } from '../tensor.js';

/**
 * Matrix product (…, m, k) · (…, k, n) → (…, m, n) of f32 or f64; the leading dimensions are equal, or one side has none.
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the two do not go together.
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const backend = commonBackend('matmul', [a, b]);
  const dtype = commonDType('matmul', [a, b]);
  const [m, k] = a.shape.slice(-2);
  const [kb, n] = b.shape.slice(-2);
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const fits = batchA.length === 0 || batchB.length === 0 || sameShape(batchA, batchB);
  if (m === undefined || k === undefined || n === undefined || k !== kb || !fits)
    throw new ExecutorError(
      'shape',
      `matmul: shapes ${show(a.shape)} and ${show(b.shape)} do not fit; expected (…, m, k) and (…, k, n) with equal leading dimensions, or none on one side`,
    );
  const leading = batchA.length ? batchA : batchB;
  const batch = sizeOf(leading);
  const strideA = batchA.length ? m * k : 0;
  const strideB = batchB.length ? k * n : 0;
  const y = empty([...leading, m, n], dtype, backend);
  const base = { batch, transposeA: false, transposeB: false };
  backend.matmul({ ...base, m, n, k, strideA, strideB, strideC: m * n }, a.storage, b.storage, overwrite(y));
  const saved = { a: b.requiresGrad ? a : null, b: a.requiresGrad ? b : null };
  return record('matmul', y, [a, b], saved, (gradY, saved) => {
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
    if (gradA) backend.matmul(toA, gradY, saved.b!, gradA);
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
    if (gradB) backend.matmul(toB, saved.a!, gradY, gradB);
  });
}
