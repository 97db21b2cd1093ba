import type { DagTensors } from './dag-tensors.js';
import { TensorizeError, type TensorizeErrorCode } from './error.js';

/** `value` as an error message shows it; never throws. */
export function named(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'string') return value.length > 40 ? 'a text' : `'${value}'`;
  if (listLength(value) !== null) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** The length of an array or array-like object; null for other values. */
export function listLength(list: unknown): number | null {
  if (typeof list !== 'object' || list === null) return null;
  try {
    const length: unknown = Reflect.get(list, 'length');
    return typeof length === 'number' && Number.isSafeInteger(length) && length >= 0 ? length : null;
  } catch {
    // Reading the length of a proxied typed array throws. The caller reports that it is no array.
    return null;
  }
}

/**
 * @param what what was expected, for the message: 'options such as { depth: 4 }'
 * @throws TensorizeError with `code` unless `value` is an object
 */
export function checkObject(what: string, value: unknown, code: TensorizeErrorCode = 'bad-option'): void {
  if (typeof value === 'object' && value !== null) return;
  throw new TensorizeError(code, `expected ${what}, got ${named(value)}`);
}

/**
 * @param example for the message: '{ depth: 4 }'
 * @throws TensorizeError `bad-option` unless `options` is an object, and for a key that is not `known`
 */
export function checkOptions(example: string, options: object, known: readonly string[]): void {
  checkObject(`options such as ${example}`, options);
  if (Array.isArray(options))
    throw new TensorizeError('bad-option', `expected options such as ${example}, got an array`);
  for (const key in options)
    if (!known.includes(key))
      throw new TensorizeError(
        'bad-option',
        `there is no option ${named(key)}: the options are ${known.join(', ')}`,
      );
}

/** @throws TensorizeError `bad-option` unless `value` is a whole number of at least 1 */
export function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new TensorizeError('bad-option', `${name} is a whole number of at least 1, got ${named(value)}`);
  }
}

/** @throws TensorizeError `bad-option` unless `index` is a row of `tensors` */
export function checkIndex({ size }: DagTensors, index: number): void {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new TensorizeError(
      'bad-option',
      `index is a whole number from 0 to ${size - 1}, got ${named(index)}`,
    );
  }
}

/** Whether all rows share one plan (`O`, `G`). False for a single row. */
export const sharesPlan = ({ size, depth, G }: DagTensors): boolean => size > 1 && G.length === depth;

const typedArray = Object.getPrototypeOf(Float64Array.prototype) as object;
/** A property of the memory of a typed array, which a subclass or an own property may fake. */
const read = (property: keyof Float64Array | typeof Symbol.toStringTag, array: unknown): unknown =>
  Reflect.get(typedArray, property, array);

/** Whether `value` is a typed array, whose elements can have no getters. */
export const isTypedArray = (value: unknown): value is Float64Array =>
  read(Symbol.toStringTag, value) !== undefined;

/** A view of the memory of `array` that has the methods of Float64Array. */
export const plainView = (array: Float64Array): Float64Array =>
  new Float64Array(
    read('buffer', array) as ArrayBuffer,
    read('byteOffset', array) as number,
    read('length', array) as number,
  );

/** Whether two typed arrays share memory. */
export function overlap(a: Float64Array, b: Float64Array): boolean {
  const end = (array: Float64Array) => begin(array) + (read('byteLength', array) as number);
  const begin = (array: Float64Array) => read('byteOffset', array) as number;
  return read('buffer', a) === read('buffer', b) && begin(a) < end(b) && begin(b) < end(a);
}

/** @throws TensorizeError with `code` unless `array` is a Float64Array, of the length that it says */
export function checkDoubles(
  name: string,
  array: unknown,
  code: TensorizeErrorCode,
): asserts array is Float64Array {
  // instanceof accepts proxies, and `length` may be overridden by an own property.
  if (
    !ArrayBuffer.isView(array) ||
    !(array instanceof Float64Array) ||
    array.length !== read('length', array)
  )
    throw new TensorizeError(code, `${name} is a Float64Array, got ${named(array)}`);
}

/**
 * Checks that an object has the types and lengths of the format: `depth` D and `size` N are whole numbers of at least
 * 1; `V_mag` and `V_sign` hold N·2D numbers; `O` and `G` hold N·2D² and N·D numbers, or 2D² and D where all rows share one
 * plan. The contents of the arrays are not checked, so the cost does not depend on N.
 *
 * @throws TensorizeError `bad-tensors` naming the field, with what was expected
 */
export function checkTensors(tensors: DagTensors): void {
  readTensors(tensors);
}

/** What `checkTensors` checks: the fields, each read once. */
export function readTensors(tensors: DagTensors): DagTensors {
  checkObject('DAG tensors, as tensorize returns them', tensors, 'bad-tensors');
  const { depth, size, V_mag, V_sign, O, G } = tensors;
  for (const [name, value] of Object.entries({ depth, size })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new TensorizeError('bad-tensors', `${name} is a whole number of at least 1, got ${named(value)}`);
    }
  }
  const width = 2 * depth;
  const shape = `for size ${size} and depth ${depth}`;
  for (const [name, array] of Object.entries({ V_mag, V_sign, O, G }))
    checkDoubles(name, array, 'bad-tensors');
  for (const [name, array] of Object.entries({ V_mag, V_sign })) {
    if (array.length !== size * width) {
      throw new TensorizeError(
        'bad-tensors',
        `${name} has ${size * width} numbers ${shape}, got ${array.length}`,
      );
    }
  }
  const plans = G.length === depth ? 1 : size;
  if (G.length !== plans * depth) {
    throw new TensorizeError(
      'bad-tensors',
      `G has ${size * depth} numbers ${shape}, or ${depth} for one shared plan, got ${G.length}`,
    );
  }
  if (O.length !== plans * depth * width) {
    throw new TensorizeError(
      'bad-tensors',
      `O has ${plans * depth * width} numbers ${shape} and a G of ${G.length}, got ${O.length}`,
    );
  }
  return { depth, size, V_mag, V_sign, O, G };
}
