import { checkBoolean, refuseMore } from '../arguments.js';
import type { DType } from '../backend.js';
import { ExecutorError } from '../error.js';
import { dimension, show, stridesOf } from '../shape.js';
import { record } from '../tape.js';
import { commonDType, empty, gradOf, overwrite, type Tensor } from '../tensor.js';
import { affine } from './elementwise.js';
import { reshape } from './shape.js';

/** Sum over `dims` (default: all), which are removed unless `keepDim`; f32 or f64. @throws {ExecutorError} `shape`, `dtype`. */
export function sum(x: Tensor, dims?: number | readonly number[], keepDim?: boolean): Tensor;
export function sum(
  x: Tensor,
  dims?: number | readonly number[],
  keepDim = false,
  ...more: unknown[]
): Tensor {
  const dtype = commonDType('sum', [x]);
  checkReduction('sum', keepDim, more);
  return sumOver(x, reduced(x, dims, 'sum'), keepDim, dtype);
}

function sumOver(x: Tensor, over: ReadonlySet<number>, keepDim: boolean, dtype: DType): Tensor {
  const kept = x.shape.map((n, d) => (over.has(d) ? 1 : n));
  const y = empty(kept, dtype, x.backend);
  const inX = stridesOf(x.shape);
  const inY = stridesOf(kept).map((s, d) => (over.has(d) ? 0 : s));
  x.backend.copyStrided({ shape: x.shape, strides: [inX, inY] }, x.storage, 0, overwrite(y), 0);
  if (x.size === 0) x.backend.fill(y.storage, 0);
  record('sum', y, [x], {}, (gradY) =>
    x.backend.copyStrided({ shape: x.shape, strides: [inY, inX] }, gradY, 0, gradOf(x), 0),
  );
  return keepDim
    ? y
    : reshape(
        y,
        x.shape.filter((_, d) => !over.has(d)),
      );
}

/** Mean over `dims` (default: all), which are removed unless `keepDim`. @throws {ExecutorError} `shape`, also of no elements; `dtype`. */
export function mean(x: Tensor, dims?: number | readonly number[], keepDim?: boolean): Tensor;
export function mean(
  x: Tensor,
  dims?: number | readonly number[],
  keepDim = false,
  ...more: unknown[]
): Tensor {
  const dtype = commonDType('mean', [x]);
  checkReduction('mean', keepDim, more);
  const over = reduced(x, dims, 'mean');
  const count = [...over].reduce((n, d) => n * x.shape[d]!, 1);
  if (count === 0)
    throw new ExecutorError('shape', `mean: no elements in a tensor of shape ${show(x.shape)}`);
  return affine(sumOver(x, over, keepDim, dtype), 1 / count);
}

/** Checks the arguments after `dims`. @throws {ExecutorError} `value` */
function checkReduction(op: string, keepDim: unknown, more: readonly unknown[]): void {
  checkBoolean(op, 'keepDim', keepDim);
  refuseMore(op, more);
}

/** `dims` as a set of dimensions from 0. */
export function reduced(x: Tensor, dims: number | readonly number[] | undefined, op: string): Set<number> {
  if (dims === undefined) return new Set(x.shape.keys());
  return new Set([dims].flat().map((d) => dimension(d, x.shape.length, op)));
}

/** Tensor x as (outer, n, inner), where n is the size of dimension `d`. */
export function columns({ shape, size }: Tensor, d: number): { outer: number; n: number; inner: number } {
  const n = shape[d]!;
  const inner = stridesOf(shape)[d]!;
  return { outer: n * inner === 0 ? 0 : size / (n * inner), n, inner };
}

/** Running sums along `dim`: y[t] = Σ_{s ≤ t} x[s]. */
export function cumsum(x: Tensor, dim: number): Tensor;
export function cumsum(x: Tensor, dim: number, ...more: unknown[]): Tensor {
  refuseMore('cumsum', more);
  const dtype = commonDType('cumsum', [x]);
  const { outer, n, inner } = columns(x, dimension(dim, x.shape.length, 'cumsum'));
  const y = empty(x.shape, dtype, x.backend);
  x.backend.cumsum(x.storage, overwrite(y), outer, n, inner, false);
  return record('cumsum', y, [x], {}, (gradY) => x.backend.cumsum(gradY, gradOf(x), outer, n, inner, true));
}

/** Running products along `dim`: y[t] = x[0] ⋯ x[t]. The gradient is right also where an x is 0. */
export function cumprod(x: Tensor, dim: number): Tensor;
export function cumprod(x: Tensor, dim: number, ...more: unknown[]): Tensor {
  refuseMore('cumprod', more);
  const dtype = commonDType('cumprod', [x]);
  const { outer, n, inner } = columns(x, dimension(dim, x.shape.length, 'cumprod'));
  const y = empty(x.shape, dtype, x.backend);
  x.backend.cumprod(x.storage, y.storage, outer, n, inner);
  return record('cumprod', y, [x], { x, y }, (gradY, saved) =>
    x.backend.cumprodBackward(saved.x, saved.y, gradY, gradOf(x), outer, n, inner),
  );
}
