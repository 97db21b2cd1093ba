import { named } from '../arguments.js';
import { ExecutorError } from '../error.js';
import type { DType, HostArray, Scalar, Seed, Storage } from '../backend.js';
import { sizeClass } from '../size-class.js';

/** Storage that JavaScript can read as an array. */
export abstract class ArrayStorage implements Storage {
  abstract readonly dtype: DType;
  abstract readonly length: number;
  abstract readonly capacity: number;
  /** The elements. Read it again after any allocation: the memory of WebAssembly moves when it grows. */
  abstract readonly data: HostArray;
  /** The memory block, which later storages reuse. */
  abstract readonly block: Block;
}

/** A block of memory. */
export interface Block {
  /** The recorded steps that work in this block; it goes back to them when it is freed. */
  arena?: Arena;
}

/** Takes back the memory that recorded steps work in. */
export interface Arena {
  keep(storage: Storage): void;
  /** JavaScript has collected a storage of it that was not freed: `giveBack` runs once no recording works in its block. */
  abandon(giveBack: () => void): void;
}

/** Storage in the memory of JavaScript. */
export class HostStorage extends ArrayStorage {
  readonly dtype: DType;
  readonly data: HostArray;
  readonly capacity: number;
  readonly block: Block;

  constructor(dtype: DType, data: HostArray, capacity = data.byteLength, block: Block = {}) {
    super();
    this.dtype = dtype;
    this.data = data;
    this.capacity = capacity;
    this.block = block;
  }

  get length(): number {
    return this.data.length;
  }
}

/** @throws {ExecutorError} `memory` where JavaScript has no room for so many bytes. */
export function hostBuffer(bytes: number): ArrayBuffer {
  return orNoMemory(bytes, () => new ArrayBuffer(bytes));
}

/** All of a buffer. @throws {ExecutorError} `memory` where it is longer than a Uint8Array may be, which is 4 GiB in Node 20. */
export function hostBytes(buffer: ArrayBufferLike): Uint8Array {
  return orNoMemory(buffer.byteLength, () => new Uint8Array(buffer));
}

/** The dtype of values in JavaScript's memory. */
const inHost = (dtype: DType): Exclude<DType, 'bf16'> => (dtype === 'bf16' ? 'f32' : dtype);

/**
 * A new array of `length` elements, or a view of `buffer` from byte `begin`.
 *
 * @throws {ExecutorError} `memory` where there is no room, or JavaScript allows no array of that length.
 */
export function hostArray(
  dtype: DType,
  length: number,
  buffer: ArrayBufferLike = hostBuffer(length * bytesOf(inHost(dtype))),
  begin = 0,
): HostArray {
  return orNoMemory(length * bytesOf(dtype), () => viewOf(inHost(dtype), length, buffer, begin));
}

function orNoMemory<T>(bytes: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    // JavaScript's RangeError; not tested by instanceof, since a vm context has a class of its own.
    throw new ExecutorError('memory', `out of memory: no array of ${bytes} bytes (${String(error)})`);
  }
}

function viewOf(
  dtype: Exclude<DType, 'bf16'>,
  length: number,
  buffer: ArrayBufferLike,
  begin: number,
): HostArray {
  switch (dtype) {
    case 'f32':
      return new Float32Array(buffer, begin, length);
    case 'f64':
      return new Float64Array(buffer, begin, length);
    case 'i32':
      return new Int32Array(buffer, begin, length);
  }
}

export function dtypeOf(data: HostArray): DType {
  if (data instanceof Float64Array) return 'f64';
  return data instanceof Float32Array ? 'f32' : 'i32';
}

/** Bytes of an element on its device. @throws {ExecutorError} `dtype` for an unknown dtype. */
export function bytesOf(dtype: DType): number {
  switch (dtype) {
    case 'f32':
    case 'i32':
      return 4;
    case 'f64':
      return 8;
    case 'bf16':
      return 2;
    default:
      throw new ExecutorError(
        'dtype',
        `unknown dtype ${named(dtype satisfies never)}: it is 'f32', 'f64', 'i32' or 'bf16'`,
      );
  }
}

/** Not that of the caller's array, which may override it. */
const setAll = Float64Array.prototype.set;

/** A copy of the values, in `into` where it is given. */
export function copyOf(from: HostArray, into?: HostArray): HostArray {
  if (!into) return from.slice();
  // Not for empty arrays: a detached `into` has length 0 as well, and its `set` throws.
  if (from.length > 0) setAll.call(into, from);
  return into;
}

/** Storage in a new block of memory. */
export function allocateOnHost(dtype: DType, length: number): HostStorage {
  const capacity = sizeClass(length * bytesOf(dtype));
  return new HostStorage(dtype, hostArray(dtype, length, hostBuffer(capacity)), capacity);
}

/** Storage of another dtype or length in the memory of `storage`. */
export function reuseOnHost(storage: Storage, dtype: DType, length: number): HostStorage {
  const { buffer, byteOffset } = dataOf(storage);
  const data = hostArray(dtype, length, buffer, byteOffset);
  return new HostStorage(dtype, data, storage.capacity, blockOf(storage));
}

/** The elements of a storage of a host backend. @throws {ExecutorError} `device` for storage of another device. */
export function dataOf(storage: Storage): HostArray {
  if (storage instanceof ArrayStorage) return storage.data;
  throw new ExecutorError('device', 'storage of another device reached a backend of the host');
}

/** The memory block of a storage of a host backend. */
export function blockOf(storage: Storage): Block {
  return (storage as ArrayStorage).block;
}

/** The value of a scalar, which the host can read at once. */
export function numberOf(x: Scalar): number {
  return typeof x === 'number' ? x : dataOf(x)[0]!;
}

/** The two words of a seed. */
export function seedOf([low, high]: Seed): readonly [number, number] {
  return [seedWord(numberOf(low)), high];
}

/** A number as a word of 32 bits: its whole part modulo 2³²; 0 for NaN and for sizes from 2⁶³. */
const seedWord = (x: number): number => (Math.abs(x) < 2 ** 63 ? x >>> 0 : 0);

/** The smallest and the largest element; null where there are none. */
export function rangeOf(values: HostArray): [low: number, high: number] | null {
  if (values.length === 0) return null;
  let [low, high] = [values[0]!, values[0]!];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
