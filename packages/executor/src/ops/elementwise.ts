import type { DType } from '../backend.js';
import { ABOVE_0, ANY_NUMBER, BELOW_1, checkNumber, NOT_NAN } from '../arguments.js';
import { record } from '../tape.js';
import { checkTensor, commonDType, empty, gradOf, overwrite, type Tensor } from '../tensor.js';
import { binary, unary, type Operand } from './apply.js';
import { checkedSeed, savedSeed, seedFrom, seedTensor, type SeedOption } from './scalar.js';

export { type Operand } from './apply.js';

/** a + b, with broadcasting as in NumPy; so are the other functions of two operands. */
export const add = (a: Operand, b: Operand): Tensor => binary('add', a, b);
export const sub = (a: Operand, b: Operand): Tensor => binary('sub', a, b);
export const mul = (a: Operand, b: Operand): Tensor => binary('mul', a, b);
export const div = (a: Operand, b: Operand): Tensor => binary('div', a, b);
export const maximum = (a: Operand, b: Operand): Tensor => binary('maximum', a, b);
export const minimum = (a: Operand, b: Operand): Tensor => binary('minimum', a, b);
/**
 * a to the power of b, as IEEE 754 has it: NaN of a negative number to a fraction. As in PyTorch the gradient of a is 0 where b is 0, and
 * that of b is 0 where a is 0 and b is not negative.
 */
export const pow = (a: Operand, b: Operand): Tensor => binary('pow', a, b);

export const abs = (x: Tensor): Tensor => unary('abs', x);
export const exp = (x: Tensor): Tensor => unary('exp', x);
export const log = (x: Tensor): Tensor => unary('log', x);
export const sqrt = (x: Tensor): Tensor => unary('sqrt', x);
export const square = (x: Tensor): Tensor => unary('square', x);
export const tanh = (x: Tensor): Tensor => unary('tanh', x);
export const sigmoid = (x: Tensor): Tensor => unary('sigmoid', x);
/** ln(1 + eˣ). */
export const softplus = (x: Tensor): Tensor => unary('softplus', x);
/** x·Φ(x), exact (with erf). */
export const gelu = (x: Tensor): Tensor => unary('gelu', x);
/** GELU as GPT-2 was trained with it: Φ by tanh, within 5e-4 of `gelu`; PyTorch's `gelu` with `approximate='tanh'`. */
export const geluTanh = (x: Tensor): Tensor => unary('geluTanh', x);
/** SiLU (swish), x·σ(x). */
export const silu = (x: Tensor): Tensor => unary('silu', x);
/** x where it is positive, else 0; its derivative at 0 is 0. */
export const relu = (x: Tensor): Tensor => unary('relu', x);
/** Of radians. */
export const sin = (x: Tensor): Tensor => unary('sin', x);
/** Of radians. */
export const cos = (x: Tensor): Tensor => unary('cos', x);
/** 1, −1, or x itself where that is ±0 or NaN; its gradient is 0. */
export const sign = (x: Tensor): Tensor => unary('sign', x);
/** scale·x + shift. */
export function affine(x: Tensor, scale: number, shift = 0): Tensor {
  checkNumber('affine', 'scale', scale, ANY_NUMBER);
  checkNumber('affine', 'shift', shift, ANY_NUMBER);
  return unary('affine', x, scale, shift);
}
export const neg = (x: Tensor): Tensor => affine(x, -1);
/** x held within [min, max]; the gradient passes inside and at the bounds. */
export function clamp(x: Tensor, min: number, max = Infinity): Tensor {
  checkNumber('clamp', 'min', min, NOT_NAN);
  checkNumber('clamp', 'max', max, { what: `a number from min, ${min}`, has: (x) => x >= min });
  return unary('clamp', x, min, max);
}
/** ½x² within ±delta, delta·(|x| − ½delta) outside (Huber 1964); PyTorch's `huber_loss` of x. */
export function huber(x: Tensor, delta = 1): Tensor {
  checkNumber('huber', 'delta', delta, ABOVE_0);
  return unary('huber', x, delta);
}

/**
 * The same numbers in another dtype, as typed arrays convert them on every device: to i32 fractions are cut off, NaN and
 * infinities become 0, and what has more than 32 bits keeps the lowest 32.
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
 * Keeps each element with probability 1 − p, scaled by 1/(1 − p); the mask is a pure function of `seed`.
 *
 * @throws {ExecutorError} `value` where p is not in [0, 1).
 */
export function dropout(x: Tensor, p: number, seed: SeedOption): Tensor {
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
