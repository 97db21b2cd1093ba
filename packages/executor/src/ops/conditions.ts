import type { BinaryKind } from '../elementwise.js';
import { checkTensor, commonBackend, commonDType, Tensor } from '../tensor.js';
import { binary, type Operand } from './apply.js';
import { add, cast } from './elementwise.js';

/** The same numbers as f64, which holds all i32s. */
const inDouble = (x: Operand): Operand => (Tensor.is(x) ? cast(x, 'f64') : x);
const areWhole = (tensors: readonly Tensor[]): boolean =>
  tensors.length > 0 && tensors.every(({ dtype }) => dtype === 'i32');

function compare(kind: BinaryKind, a: Operand, b: Operand, op: string = kind): Tensor {
  if (areWhole([a, b].filter(Tensor.is))) return cast(compare(kind, inDouble(a), inDouble(b), op), 'i32');
  return binary(kind, a, b, op);
}

/**
 * 1 where a = b, else 0, in the dtype of the operands, with broadcasting; so are the other comparisons. i32 may be compared, too. Their gradients are 0.
 */
export const equal = (a: Operand, b: Operand): Tensor => compare('equal', a, b);
export const notEqual = (a: Operand, b: Operand): Tensor => compare('notEqual', a, b);
export const greater = (a: Operand, b: Operand): Tensor => compare('greater', a, b);
export const greaterEqual = (a: Operand, b: Operand): Tensor => compare('greaterEqual', a, b);
export const less = (a: Operand, b: Operand): Tensor => compare('greater', b, a, 'less');
export const lessEqual = (a: Operand, b: Operand): Tensor => compare('greaterEqual', b, a, 'lessEqual');
/** 1 where neither is 0, else 0. A NaN is not 0, as in PyTorch. */
export const logicalAnd = (a: Operand, b: Operand): Tensor => compare('logicalAnd', a, b);
/** 1 where x is 0, else 0. */
export const logicalNot = (x: Tensor): Tensor => compare('equal', x, 0, 'logicalNot');

/**
 * a where the condition is not 0, else b, with broadcasting. What is not chosen is not read, be it NaN, and receives a gradient of 0. Of two
 * numbers the result has the dtype of the condition, f32 where that is i32.
 *
 * @param condition Of any dtype, such as a comparison gives.
 * @example where(greater(x, 0), x, mul(x, 0.01))
 */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  checkTensor('where', condition);
  const values = [a, b].filter(Tensor.is);
  commonBackend('where', [condition, ...values]);
  if (areWhole(values)) return cast(where(condition, inDouble(a), inDouble(b)), 'i32');
  const own = condition.dtype === 'i32' ? 'f32' : condition.dtype;
  const dtype = values.length > 0 ? commonDType('where', values) : own;
  // Compared first: a small f64 would be 0 as f32.
  const holds = condition.dtype === dtype ? condition.detach() : cast(notEqual(condition, 0), dtype);
  return add(binary('masked', a, holds, 'where'), binary('masked', b, logicalNot(holds), 'where'));
}
