import { named } from './arguments.js';
import type { DType } from './backend.js';
import { hostArray } from './backends/host.js';
import { ExecutorError } from './error.js';
import type { Shape } from './shape.js';
import { plainArray, typeOf } from './typed-array.js';

/** Numbers in rows of equal length, at any depth. */
export type NestedNumbers = ArrayLike<number> | readonly NestedNumbers[];

/** Largest depth of nesting; an array that contains itself has no end. */
const MOST_NESTED = 32;

/** The numbers of nested arrays in row-major order, or one number, their shape, and the default dtype: that of a typed array, else f32. */
export function flatten(
  op: string,
  values: number | NestedNumbers,
): { readonly flat: ArrayLike<number>; readonly shape: Shape; readonly dtype: DType } {
  if (typeof values === 'number') return { flat: [values], shape: [], dtype: 'f32' };
  checkRow(op, values);
  const shape: number[] = [];
  let row: unknown = values;
  for (; isRow(row) && shape.length <= MOST_NESTED; row = row[0]) {
    shape.push(row.length);
    if (!isRow(row[0])) break;
  }
  const dtype = defaultDType(row);
  if (shape.length === 1) return { flat: values as ArrayLike<number>, shape, dtype };
  if (shape.length > MOST_NESTED)
    throw new ExecutorError('shape', `${op}: arrays are nested up to ${MOST_NESTED} deep`);
  const flat: number[] = [];
  const collect = (values: unknown, depth: number): void => {
    if (!isRow(values) || values.length !== shape[depth])
      throw new ExecutorError(
        'shape',
        `${op}: nested arrays have equal lengths at each depth, ${shape[depth]} at depth ${depth}; one is ${named(values)}`,
      );
    for (let i = 0; i < values.length; i++)
      if (depth + 1 < shape.length) collect(values[i], depth + 1);
      else flat.push(values[i] as number);
  };
  collect(values, 0);
  return { flat, shape, dtype };
}

/** Whether `value` is an array, a typed array or an array-like object; strings are not. */
function isRow(value: unknown): value is ArrayLike<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return 'length' in value && Number.isSafeInteger(value.length);
  } catch {
    // A proxy of a typed array has no length that can be read.
    return false;
  }
}

/** @throws {ExecutorError} `value` for anything but an array or array-like object. */
export function checkRow(op: string, values: unknown): asserts values is ArrayLike<unknown> {
  if (!isRow(values))
    throw new ExecutorError('value', `${op}: takes an array of numbers, given ${named(values)}`);
}

function defaultDType(values: unknown): DType {
  if (values instanceof Float64Array) return 'f64';
  return values instanceof Int32Array ? 'i32' : 'f32';
}

/**
 * `values` as a typed array: itself, or a copy that reads each element once, since a getter may return another one the next time.
 *
 * @throws {ExecutorError} `value` for what is no number, and for numbers that i32 cannot hold.
 */
export function numbersOf(op: string, values: ArrayLike<unknown>, dtype: DType): ArrayLike<number> {
  const typed = plainArray(values);
  if (typed && (dtype !== 'i32' || typeOf(typed) === 'Int32Array')) return typed;
  const from = typed ?? values;
  const { length } = from;
  // As f64, which is rounded once to bf16.
  const numbers = hostArray(dtype === 'bf16' ? 'f64' : dtype, length);
  for (let i = 0; i < length; i++) {
    const value = from[i];
    checkValue(op, value, dtype, `element ${i}`);
    numbers[i] = value;
  }
  return numbers;
}

/** @throws {ExecutorError} `value` for what is no number, or what i32 cannot hold; the message calls it `name`. */
export function checkValue(op: string, value: unknown, dtype: DType, name: string): asserts value is number {
  if (typeof value !== 'number')
    throw new ExecutorError('value', `${op}: ${name} is a number, given ${named(value)}`);
  if (dtype === 'i32' && value !== (value | 0))
    throw new ExecutorError(
      'value',
      `${op}: i32 holds whole numbers from −2147483648 to 2147483647, ${name} is ${value}`,
    );
}
