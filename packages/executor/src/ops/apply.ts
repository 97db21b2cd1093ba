/** Runs the ops of src/elementwise.ts on tensors. */
import { BINARY, SHARES, UNARY, type BinaryKind, type Share, type UnaryKind } from '../elementwise.js';
import { broadcastShapes, broadcastStrides, sameShape } from '../shape.js';
import { record } from '../tape.js';
import { commonBackend, commonDType, empty, gradOf, passGradient, Tensor, wantedGradOf } from '../tensor.js';

/** An op on one tensor; p and q are the parameters of `affine`, `clamp` and `huber`. */
export function unary(kind: UnaryKind, x: Tensor, p = 0, q = 0): Tensor {
  const dtype = commonDType(kind, [x]);
  const y = empty(x.shape, dtype, x.backend);
  x.backend.unary(kind, x.storage, y.storage, p, q);
  const { from } = UNARY[kind];
  const saved = { x: from === 'x' ? x : null, y: from === 'y' ? y : null };
  // A kernel may read an operand that its formula does not use: gradY, of the same length, stands in for one that was not saved.
  return record(kind, y, [x], saved, (gradY, { x: savedX, y: savedY }) =>
    x.backend.unaryBackward(kind, savedX ?? gradY, savedY ?? gradY, gradY, gradOf(x), p, q),
  );
}

/** An op on two operands, with broadcasting; errors name `op`. */
export function binary(kind: BinaryKind, left: Operand, right: Operand, op: string = kind): Tensor {
  const [a, b] = [operand(left, right), operand(right, left)];
  const backend = commonBackend(op, [a, b]);
  const dtype = commonDType(op, [a, b]);
  const shape = broadcastShapes(a.shape, b.shape, op);
  const walk = { shape, strides: [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)] };
  const y = empty(shape, dtype, backend);
  backend.binary(kind, walk, a.storage, b.storage, y.storage);
  // In a + b and a − b the gradient of an a that was not broadcast is that of the result.
  const passesOn = (kind === 'add' || kind === 'sub') && sameShape(a.shape, shape);
  const [shareA, shareB] = BINARY[kind].shares;
  const needs = (operand: 'a' | 'b'): boolean =>
    (a.requiresGrad && isMadeFrom(shareA, operand === 'a' ? 'self' : 'other')) ||
    (b.requiresGrad && isMadeFrom(shareB, operand === 'b' ? 'self' : 'other'));
  const saved = { a: needs('a') ? a : null, b: needs('b') ? b : null };
  return record(op, y, [a, b], saved, (gradY, { a: savedA, b: savedB }) => {
    const gradA = passesOn ? null : wantedGradOf(a);
    // As above; gradY is at least as long as either operand.
    backend.binaryBackward(kind, walk, savedA ?? gradY, savedB ?? gradY, gradY, gradA, wantedGradOf(b));
    if (passesOn) passGradient(y, a);
  });
}

/** A number becomes a tensor of one element with the dtype and device of the other operand. */
function operand(x: Tensor | number, other: Tensor | number): Tensor {
  if (typeof x !== 'number' || !Tensor.is(other)) return x as Tensor;
  const one = empty([], other.dtype, other.backend);
  one.backend.fill(one.storage, x);
  return one;
}

/** Whether the gradient by this rule reads that operand. */
function isMadeFrom([rule]: Share, operand: 'self' | 'other'): boolean {
  const from: readonly string[] = SHARES[rule].from;
  return from.includes(operand);
}

/** A tensor, or a number, which stands for a tensor of one element; at least one operand of an op is a tensor. */
export type Operand = Tensor | number;
