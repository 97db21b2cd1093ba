import type { DType } from '../backend.js';
import { ABOVE_0, ANY_NUMBER, BELOW_1, checkNumber, NOT_NAN, refuseMore } from '../arguments.js';
import { record } from '../tape.js';
import { checkTensor, commonDType, empty, gradOf, overwrite, type Tensor } from '../tensor.js';
import { binary, unary, type Operand } from './apply.js';
import { checkedSeed, savedSeed, seedFrom, seedTensor, type SeedOption } from './scalar.js';

export { type Operand } from './apply.js';

/**
 * a + b. This and the other functions of two operands broadcast as NumPy does. Operands are both f32 or both f64; one of them may be a
 * number.
 *
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the operands do not go together.
 */
export function add(a: Operand, b: Operand): Tensor;
export function add(a: Operand, b: Operand, ...more: unknown[]): Tensor {
  refuseMore('add', more);
  return binary('add', a, b);
}
/** a − b. */
export function sub(a: Operand, b: Operand): Tensor;
export function sub(a: Operand, b: Operand, ...more: unknown[]): Tensor {
  refuseMore('sub', more);
  return binary('sub', a, b);
}
/** a · b, element by element. */
export const mul = (a: Operand, b: Operand): Tensor => binary('mul', a, b);
/** a / b; of 0 an infinity or NaN, as in IEEE 754. */
export function div(a: Operand, b: Operand): Tensor;
export function div(a: Operand, b: Operand, ...more: unknown[]): Tensor {
  refuseMore('div', more);
  return binary('div', a, b);
}
/** The larger of a and b, NaN where either is; equal operands share the gradient, half each. */
export const maximum = (a: Operand, b: Operand): Tensor => binary('maximum', a, b);
/** The smaller of a and b; NaN and gradients as `maximum`. */
export const minimum = (a: Operand, b: Operand): Tensor => binary('minimum', a, b);
/**
 * a to the power of b as in IEEE 754: a fractional power of a negative number is NaN. As in PyTorch, the gradient of a is 0 where b is 0,
 * and the gradient of b is 0 where a is 0 and b ≥ 0.
 */
export const pow = (a: Operand, b: Operand): Tensor => binary('pow', a, b);

/** |x|; its derivative at 0 is 0. This and the other functions of one tensor take f32 or f64 of any shape. */
export const abs = (x: Tensor): Tensor => unary('abs', x);
/** eˣ. */
export const exp = (x: Tensor): Tensor => unary('exp', x);
/** Natural logarithm; −∞ of 0, NaN of negative numbers. */
export const log = (x: Tensor): Tensor => unary('log', x);
/** √x; NaN of negative numbers; its derivative at 0 is infinite. */
export const sqrt = (x: Tensor): Tensor => unary('sqrt', x);
/** x². */
export const square = (x: Tensor): Tensor => unary('square', x);
/** Hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => unary('tanh', x);
/** Logistic function, 1/(1 + e⁻ˣ). */
export const sigmoid = (x: Tensor): Tensor => unary('sigmoid', x);
/** ln(1 + eˣ). */
export function softplus(x: Tensor): Tensor;
export function softplus(x: Tensor, ...more: unknown[]): Tensor {
  refuseMore('softplus', more);
  return unary('softplus', x);
}
/** GELU, x·Φ(x), with the exact erf (Hendrycks & Gimpel 2016). */
export function gelu(x: Tensor): Tensor;
export function gelu(x: Tensor, ...more: unknown[]): Tensor {
  refuseMore('gelu', more, "; geluTanh is approximate='tanh'");
  return unary('gelu', x);
}
/** GELU as GPT-2 was trained with it: Φ by tanh, within 5e-4 of `gelu`; PyTorch's `gelu` with `approximate='tanh'`. */
export const geluTanh = (x: Tensor): Tensor => unary('geluTanh', x);
/** SiLU (swish), x·σ(x). */
export function silu(x: Tensor): Tensor;
export function silu(x: Tensor, ...more: unknown[]): Tensor {
  refuseMore('silu', more);
  return unary('silu', x);
}
/** x where it is positive, else 0; its derivative at 0 is 0. */
export function relu(x: Tensor): Tensor;
export function relu(x: Tensor, ...more: unknown[]): Tensor {
  refuseMore('relu', more);
  return unary('relu', x);
}
/** Sine of radians. */
export const sin = (x: Tensor): Tensor => unary('sin', x);
/** Cosine of radians. */
export const cos = (x: Tensor): Tensor => unary('cos', x);
/** 1, −1, or x itself where it is ±0 or NaN; its gradient is 0. */
export const sign = (x: Tensor): Tensor => unary('sign', x);

/** scale·x + shift, with two numbers. */
export function affine(x: Tensor, scale: number, shift = 0): Tensor {
  checkNumber('affine', 'scale', scale, ANY_NUMBER);
  checkNumber('affine', 'shift', shift, ANY_NUMBER);
  return unary('affine', x, scale, shift);
}

/** −x. */
export const neg = (x: Tensor): Tensor => affine(x, -1);

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
