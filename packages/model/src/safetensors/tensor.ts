import { areWhole, checkObject, isTypedArray, named } from '../arguments.js';
import { ModelError } from '../error.js';

/**
 * The safetensors format (https://huggingface.co/docs/safetensors): the length of a header as a 64-bit little-endian
 * integer, the header as JSON (`{ name: { dtype, shape, data_offsets }, __metadata__ }`, padded with spaces), then the
 * tensors, row-major, little-endian, with neither holes nor overlaps. The values of typed arrays are written and read
 * as they lie in memory, which is little-endian on all platforms but s390x.
 */

/** Element types of safetensors files that this package reads and writes. */
export type SafeDtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'U8' | 'BOOL';

/** A tensor of a safetensors file, row-major. */
export interface SafeTensor {
  readonly dtype: SafeDtype;
  /** Sizes; `[]` is a scalar. Their product is the length of `data`. */
  readonly shape: readonly number[];
  /** The array type of the dtype; F16 and BF16 are raw bits in a Uint16Array, BOOL bytes 0 and 1. */
  readonly data: Float64Array | Float32Array | Int32Array | Uint8Array | Uint16Array | BigInt64Array;
}

/** The contents of a safetensors file. */
export interface Safetensors {
  /** Tensors by name, in the order of their data. */
  readonly tensors: Map<string, SafeTensor>;
  /** Free texts by key. */
  readonly metadata: Record<string, string>;
}

/** A file in memory: its bytes, or its pieces in order where they do not fit into one array. */
export type FileBytes = Uint8Array | readonly Uint8Array[];

type DataConstructor = new (buffer: ArrayBufferLike, offset?: number, length?: number) => SafeTensor['data'];

export const ARRAYS: Record<SafeDtype, { readonly bytes: number; readonly array: DataConstructor }> = {
  F64: { bytes: 8, array: Float64Array },
  I64: { bytes: 8, array: BigInt64Array },
  F32: { bytes: 4, array: Float32Array },
  I32: { bytes: 4, array: Int32Array },
  F16: { bytes: 2, array: Uint16Array },
  BF16: { bytes: 2, array: Uint16Array },
  U8: { bytes: 1, array: Uint8Array },
  BOOL: { bytes: 1, array: Uint8Array },
};

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function isDtype(value: unknown): value is SafeDtype {
  return typeof value === 'string' && Object.hasOwn(ARRAYS, value);
}

/**
 * Converts the values of a tensor to 32-bit floats: F16 and BF16 exactly, F64 and integers rounded to the nearest.
 * For an F32 tensor it returns `data` itself, not a copy.
 *
 * @throws {ModelError} `bad-input` for what is no tensor.
 */
export function toFloat32(tensor: SafeTensor): Float32Array {
  checkObject('a tensor such as { dtype, shape, data }', tensor);
  const { dtype, data } = tensor;
  if (!isTypedArray(data))
    throw new ModelError('bad-input', `expected the data of a tensor as a typed array, given ${named(data)}`);
  if (data instanceof Float32Array) return data;
  if (!(data instanceof Uint16Array)) return Float32Array.from<number | bigint>(data, Number);
  const values = new Float32Array(data.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < data.length; i++) {
    if (dtype === 'BF16') bits[i] = data[i]! << 16;
    else values[i] = halfToNumber(data[i]!);
  }
  return values;
}

/** IEEE 754 binary16: a sign, 5 bits of exponent (bias 15), 10 bits of fraction. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (0x400 + fraction) * 2 ** (exponent - 25);
}

/**
 * Converts 32-bit floats to the bits of F16, rounded to nearest, ties to even. Numbers from 65520 on become infinite.
 *
 * @throws {ModelError} `bad-input` for what is no Float32Array.
 */
export function toFloat16(values: Float32Array): Uint16Array {
  if (Object.prototype.toString.call(values) !== '[object Float32Array]')
    throw new ModelError('bad-input', `toFloat16: expected a Float32Array, given ${named(values)}`);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word) => {
    const sign = (word >>> 16) & 0x8000;
    const size = word & 0x7fffffff;
    if (size > 0x7f800000) return sign | 0x7e00;
    if (size >= 0x47800000) return sign | 0x7c00;
    // Below 2^-14 the fraction counts units of 2^-24.
    if (size < 0x38800000) {
      const value = Math.abs(floatOf(word)) * 2 ** 24;
      const floor = Math.floor(value);
      const up = value - floor > 0.5 || (value - floor === 0.5 && floor % 2 === 1);
      return sign | (floor + Number(up));
    }
    // Where the fraction overflows, the carry increments the exponent, which is right.
    return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  });
}

const WORD = new Uint32Array(1);
const NUMBER = new Float32Array(WORD.buffer);
function floatOf(word: number): number {
  WORD[0] = word;
  return NUMBER[0]!;
}

export function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && areWhole(value, 2 ** 53);
}
