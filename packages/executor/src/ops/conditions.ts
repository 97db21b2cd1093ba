import type { BinaryKind } from '../elementwise.js';
import { checkTensor, commonBackend, commonDType, refuseBf16, Tensor } from '../tensor.js';
import { binary, type Operand } from './apply.js';
import { add, cast } from './elementwise.js';

/** As f64, which holds every i32 exactly. */
const inDouble = (x: Operand): Operand => (Tensor.is(x) ? cast(x, 'f64') : x);
const areWhole = (tensors: readonly Tensor[]): boolean =>
  tensors.length > 0 && tensors.every(({ dtype }) => dtype === 'i32');

function compare(kind: BinaryKind, a: Operand, b: Operand, op: string = kind): Tensor {
  if (areWhole([a, b].filter(Tensor.is))) return cast(compare(kind, inDouble(a), inDouble(b), op), 'i32');
  return binary(kind, a, b, op);
}

/**
 * 1 where a = b, else 0, in the dtype of the operands: f32, f64 or i32. This and the other comparisons broadcast as `add`, and their
 * gradients are 0.
 */
export const equal = (a: Operand, b: Operand): Tensor => compare('equal', a, b);
/** 1 where a ≠ b, else 0; NaN differs from everything. */
export const notEqual = (a: Operand, b: Operand): Tensor => compare('notEqual', a, b);
/** 1 where a > b, else 0. */
export const greater = (a: Operand, b: Operand): Tensor => compare('greater', a, b);
/** 1 where a ≥ b, else 0. */
export const greaterEqual = (a: Operand, b: Operand): Tensor => compare('greaterEqual', a, b);
/** 1 where a < b, else 0. */
export const less = (a: Operand, b: Operand): Tensor => compare('greater', b, a, 'less');
/** 1 where a ≤ b, else 0. */
export const lessEqual = (a: Operand, b: Operand): Tensor => compare('greaterEqual', b, a, 'lessEqual');
/** 1 where neither a nor b is 0, else 0. NaN counts as not 0, as in PyTorch. */
export const logicalAnd = (a: Operand, b: Operand): Tensor => compare('logicalAnd', a, b);
/** 1 where x is 0, else 0. */
export const logicalNot = (x: Tensor): Tensor => compare('equal', x, 0, 'logicalNot');

/**
 * a where the condition is not 0, else b, with broadcasting. Elements that are not chosen do not matter, even if NaN, and receive a
 * gradient of 0. Where a and b are both numbers, the result has the dtype of the condition, or f32 where that is i32.
 *
 * @param condition Of any dtype but bf16, for example the result of a comparison.
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the tensors do not go together.
 * @example where(greater(x, 0), x, mul(x, 0.01))
 */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  checkTensor('where', condition);
  refuseBf16('where', condition);
  const values = [a, b].filter(Tensor.is);
  commonBackend('where', [condition, ...values]);
  if (areWhole(values)) return cast(where(condition, inDouble(a), inDouble(b)), 'i32');
  const fallback = condition.dtype === 'i32' ? 'f32' : condition.dtype;
  const dtype = values.length > 0 ? commonDType('where', values) : fallback;
  // Compared with 0 before the cast: a small f64 would become 0 as f32.
  const holds = condition.dtype === dtype ? condition.detach() : cast(notEqual(condition, 0), dtype);
  return add(binary('masked', a, holds, 'where'), binary('masked', b, logicalNot(holds), 'where'));
}
