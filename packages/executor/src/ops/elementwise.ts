import type { DType } from '../backend.js';
import { BINARY, SHARES, UNARY, type BinaryKind, type Share, type UnaryKind } from '../elementwise.js';
import { ABOVE_0, ANY_NUMBER, BELOW_1, checkNumber, NOT_NAN } from '../arguments.js';
import { broadcastShapes, broadcastStrides, sameShape } from '../shape.js';
import { record } from '../tape.js';
import {
  checkTensor,
  commonBackend,
  commonDType,
  empty,
  gradOf,
  overwrite,
  passGradient,
  Tensor,
  wantedGradOf,
} from '../tensor.js';
import { checkedSeed, savedSeed, seedFrom, seedTensor, type SeedOption } from './scalar.js';

function unary(kind: UnaryKind, x: Tensor, p = 0, q = 0): Tensor {
  const dtype = commonDType(kind, [x]);
  const y = empty(x.shape, dtype, x.backend);
  x.backend.unary(kind, x.storage, y.storage, p, q);
  const { from } = UNARY[kind];
  const saved = { x: from === 'x' ? x : null, y: from === 'y' ? y : null };
  // What a kernel does not need it may read all the same: the gradient has the same length.
  return record(kind, y, [x], saved, (gradY, { x: savedX, y: savedY }) =>
    x.backend.unaryBackward(kind, savedX ?? gradY, savedY ?? gradY, gradY, gradOf(x), p, q),
  );
}

function binary(kind: BinaryKind, left: Tensor | number, right: Tensor | number): Tensor {
  const [a, b] = [operand(left, right), operand(right, left)];
  const backend = commonBackend(kind, [a, b]);
  const dtype = commonDType(kind, [a, b]);
  const shape = broadcastShapes(a.shape, b.shape, kind);
  const walk = { shape, strides: [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)] };
  const y = empty(shape, dtype, backend);
  backend.binary(kind, walk, a.storage, b.storage, y.storage);
  // The gradient of what another one is added to, or taken from, is that of the result.
  const passesOn = (kind === 'add' || kind === 'sub') && sameShape(a.shape, shape);
  const [shareA, shareB] = BINARY[kind].shares;
  const needs = (operand: 'a' | 'b'): boolean =>
    (a.requiresGrad && isMadeFrom(shareA, operand === 'a' ? 'self' : 'other')) ||
    (b.requiresGrad && isMadeFrom(shareB, operand === 'b' ? 'self' : 'other'));
  const saved = { a: needs('a') ? a : null, b: needs('b') ? b : null };
  return record(kind, y, [a, b], saved, (gradY, { a: savedA, b: savedB }) => {
    const gradA = passesOn ? null : wantedGradOf(a);
    // What a kernel does not need it may read all the same: the gradient is at least as long.
    backend.binaryBackward(kind, walk, savedA ?? gradY, savedB ?? gradY, gradY, gradA, wantedGradOf(b));
    if (passesOn) passGradient(y, a);
  });
}

/** A number beside a tensor is one element like it. */
function operand(x: Tensor | number, other: Tensor | number): Tensor {
  if (typeof x !== 'number' || !Tensor.is(other)) return x as Tensor;
  const one = empty([], other.dtype, other.backend);
  one.backend.fill(one.storage, x);
  return one;
}

function isMadeFrom([rule]: Share, operand: 'self' | 'other'): boolean {
  const from: readonly string[] = SHARES[rule].from;
  return from.includes(operand);
}

/** A tensor, or a number, which counts as a tensor of that element; one of the two is a tensor. */
export type Operand = Tensor | number;

/** a + b, with broadcasting as in NumPy; so are the other functions of two operands. */
export const add = (a: Operand, b: Operand): Tensor => binary('add', a, b);
export const sub = (a: Operand, b: Operand): Tensor => binary('sub', a, b);
export const mul = (a: Operand, b: Operand): Tensor => binary('mul', a, b);
export const div = (a: Operand, b: Operand): Tensor => binary('div', a, b);
export const maximum = (a: Operand, b: Operand): Tensor => binary('maximum', a, b);
export const minimum = (a: Operand, b: Operand): Tensor => binary('minimum', a, b);
/** 1 where a ≥ b, else 0; its gradient is 0. */
export const greaterEqual = (a: Operand, b: Operand): Tensor => binary('greaterEqual', a, b);

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
