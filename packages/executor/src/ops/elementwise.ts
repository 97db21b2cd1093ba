import type { DType } from '../backend.js';
import { ABOVE_0, ANY_NUMBER, BELOW_1, checkNumber, NOT_NAN, refuseMore } from '../arguments.js';
import type { BinaryKind, UnaryKind } from '../elementwise.js';
import { record } from '../tape.js';
import { checkTensor, commonDType, empty, gradOf, overwrite, type Tensor } from '../tensor.js';
import { binary, unary, type Operand } from './apply.js';
import { checkedSeed, savedSeed, seedFrom, seedTensor, type SeedOption } from './scalar.js';

export { type Operand } from './apply.js';

type OfOne = (x: Tensor) => Tensor;
type OfTwo = (a: Operand, b: Operand) => Tensor;

function ofOne(kind: UnaryKind, x: Tensor, ...more: unknown[]): Tensor {
  refuseMore(kind, more, kind === 'gelu' ? "; geluTanh is approximate='tanh'" : '');
  return unary(kind, x);
}

function ofTwo(kind: BinaryKind, a: Operand, b: Operand, ...more: unknown[]): Tensor {
  refuseMore(kind, more);
  return binary(kind, a, b);
}

/**
 * a + b. This and the other functions of two operands broadcast as NumPy does. Operands are both f32 or both f64; one of them may be a
 * number.
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the operands do not go together.
 */
export const add: OfTwo = (...given) => ofTwo('add', ...given);
/** a − b. */
export const sub: OfTwo = (...given) => ofTwo('sub', ...given);
/** a · b, element by element. */
export const mul: OfTwo = (...given) => ofTwo('mul', ...given);
/** a / b; of 0 an infinity or NaN, as in IEEE 754. */
export const div: OfTwo = (...given) => ofTwo('div', ...given);
/** The larger of a and b, NaN where either is; equal operands share the gradient, half each. */
export const maximum: OfTwo = (...given) => ofTwo('maximum', ...given);
/** The smaller of a and b; NaN and gradients as `maximum`. */
export const minimum: OfTwo = (...given) => ofTwo('minimum', ...given);
/**
 * a to the power of b as in IEEE 754: a fractional power of a negative number is NaN. As in PyTorch, the gradient of a is 0 where b is 0,
 * and the gradient of b is 0 where a is 0 and b ≥ 0.
 */
export const pow: OfTwo = (...given) => ofTwo('pow', ...given);

/** |x|; its derivative at 0 is 0. This and the other functions of one tensor take f32 or f64 of any shape. */
export const abs: OfOne = (...given) => ofOne('abs', ...given);
/** eˣ. */
export const exp: OfOne = (...given) => ofOne('exp', ...given);
/** Natural logarithm; −∞ of 0, NaN of negative numbers. */
export const log: OfOne = (...given) => ofOne('log', ...given);
/** √x; NaN of negative numbers; its derivative at 0 is infinite. */
export const sqrt: OfOne = (...given) => ofOne('sqrt', ...given);
/** x². */
export const square: OfOne = (...given) => ofOne('square', ...given);
/** Hyperbolic tangent. */
export const tanh: OfOne = (...given) => ofOne('tanh', ...given);
/** Logistic function, 1/(1 + e⁻ˣ). */
export const sigmoid: OfOne = (...given) => ofOne('sigmoid', ...given);
/** ln(1 + eˣ). */
export const softplus: OfOne = (...given) => ofOne('softplus', ...given);
/** GELU, x·Φ(x), with the exact erf (Hendrycks & Gimpel 2016). */
export const gelu: OfOne = (...given) => ofOne('gelu', ...given);
/** GELU as GPT-2 was trained with it: Φ by tanh, within 5e-4 of `gelu`; PyTorch's `gelu` with `approximate='tanh'`. */
export const geluTanh: OfOne = (...given) => ofOne('geluTanh', ...given);
/** SiLU (swish), x·σ(x). */
export const silu: OfOne = (...given) => ofOne('silu', ...given);
/** x where it is positive, else 0; its derivative at 0 is 0. */
export const relu: OfOne = (...given) => ofOne('relu', ...given);
/** Sine of radians. */
export const sin: OfOne = (...given) => ofOne('sin', ...given);
/** Cosine of radians. */
export const cos: OfOne = (...given) => ofOne('cos', ...given);
/** 1, −1, or x itself where it is ±0 or NaN; its gradient is 0. */
export const sign: OfOne = (...given) => ofOne('sign', ...given);

/** scale·x + shift, with two numbers. */
export function affine(x: Tensor, scale: number, shift = 0): Tensor {
  checkNumber('affine', 'scale', scale, ANY_NUMBER);
  checkNumber('affine', 'shift', shift, ANY_NUMBER);
  return unary('affine', x, scale, shift);
}

/** −x. */
export const neg: OfOne = (x, ...more: unknown[]) => {
  refuseMore('neg', more);
  return affine(x, -1);
};

/** x clamped to [min, max]; the gradient passes inside and at the bounds. @throws {ExecutorError} `value` where max < min. */
export function clamp(x: Tensor, min: number, max = Infinity): Tensor {
  checkNumber('clamp', 'min', min, NOT_NAN);
  checkNumber('clamp', 'max', max, { what: `a number from min, ${min}`, has: (x) => x >= min });
  return unary('clamp', x, min, max);
}

/** Huber loss (1964), as PyTorch's `huber_loss`: ½x² within ±delta, delta·(|x| − ½delta) outside. */
export function huber(x: Tensor, delta?: number): Tensor;
export function huber(x: Tensor, delta = 1, ...more: unknown[]): Tensor {
  refuseMore('huber', more);
  checkNumber('huber', 'delta', delta, ABOVE_0);
  return unary('huber', x, delta);
}

/**
 * Converts to another dtype as typed arrays do, on every device: i32 cuts fractions off, makes 0 of NaN and infinities, and keeps the
 * lowest 32 bits of larger numbers. Rounds to bf16, on `cuda` alone, to nearest with ties to even. Passes gradients back between floats.
 *
 * @throws {ExecutorError} `dtype` for bf16 on another device.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  checkTensor('cast', x);
  if (x.dtype === dtype) return x;
  const y = empty(x.shape, dtype, x.backend);
  x.backend.cast(x.storage, overwrite(y));
  if (dtype === 'i32') return y;
  return record('cast', y, [x], {}, (gradY) => x.backend.cast(gradY, gradOf(x)));
}

/**
 * Keeps each element with probability 1 − p, scaled by 1/(1 − p), and sets the others to 0. The mask is a pure function of `seed`.
 *
 * @throws {ExecutorError} `value` where p is not in [0, 1), or the seed is not two whole numbers from 0 to 2³² − 1.
 */
export function dropout(x: Tensor, p: number, seed: SeedOption): Tensor;
export function dropout(x: Tensor, p: number, seed: SeedOption, ...more: unknown[]): Tensor {
  refuseMore('dropout', more);
  const dtype = commonDType('dropout', [x]);
  checkNumber('dropout', 'p', p, BELOW_1);
  seed = checkedSeed('dropout', seed);
  if (p === 0) return x;
  const y = empty(x.shape, dtype, x.backend);
  x.backend.dropout(x.storage, overwrite(y), p, seedFrom('dropout', seed, x.backend));
  return record('dropout', y, [x], { seed: seedTensor(seed) }, (gradY, saved) =>
    x.backend.dropout(gradY, gradOf(x), p, savedSeed(seed, saved.seed)),
  );
}
