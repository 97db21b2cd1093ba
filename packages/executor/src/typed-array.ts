/**
 * The real memory of typed arrays. A subclass or a property can fake `length` or `buffer`, and kernels read and write as far as the length
 * says; the getters of the prototype cannot be faked.
 */

const prototype = Object.getPrototypeOf(Float64Array.prototype) as object;
const readerOf = (property: string | symbol) => Object.getOwnPropertyDescriptor(prototype, property)!.get!;
const readType = readerOf(Symbol.toStringTag) as () => string | undefined;
const readBuffer = readerOf('buffer') as () => ArrayBufferLike;
const readOffset = readerOf('byteOffset') as () => number;
const readBytes = readerOf('byteLength') as () => number;
const readLength = readerOf('length') as () => number;

const KINDS = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
};
type Kind = keyof typeof KINDS;
type TypedArray =
  | Int8Array<ArrayBufferLike>
  | Uint8Array<ArrayBufferLike>
  | Uint8ClampedArray<ArrayBufferLike>
  | Int16Array<ArrayBufferLike>
  | Uint16Array<ArrayBufferLike>
  | Int32Array<ArrayBufferLike>
  | Uint32Array<ArrayBufferLike>
  | Float32Array<ArrayBufferLike>
  | Float64Array<ArrayBufferLike>;

/** The class of a typed array, such as 'Float64Array'; undefined for everything else. */
export function typeOf(value: unknown): string | undefined {
  return readType.call(value);
}

/** The typed array of numbers that `value` is, or a plain view of its memory; null for everything else. */
export function plainArray(value: unknown): TypedArray | null {
  const type = typeOf(value);
  if (type === undefined || !isKind(type)) return null;
  return plain(value as TypedArray, KINDS[type]);
}

/** `plainArray` of a Float64Array, in half the time; null for everything else. */
export function plainDoubles(value: unknown): Float64Array | null {
  if (typeOf(value) !== 'Float64Array') return null;
  const array = value as Float64Array;
  return isPlain(array, Float64Array.prototype) ? array : plain(array, Float64Array);
}

function plain<T extends TypedArray>(
  array: T,
  kind: new (buffer: ArrayBufferLike, offset: number, length: number) => T,
): T {
  if (isPlain(array, kind.prototype as T)) return array;
  return new kind(readBuffer.call(array), readOffset.call(array), readLength.call(array));
}

/** Whether `length` is that of the memory. */
const isPlain = <T extends TypedArray>(array: T, prototype: T): boolean =>
  Object.getPrototypeOf(array) === prototype && !Object.hasOwn(array, 'length');

const isKind = (type: string): type is Kind => Object.hasOwn(KINDS, type);

export const bufferOf = (array: TypedArray): ArrayBufferLike => readBuffer.call(array);

/** Whether two arrays share memory. */
export function overlap(a: TypedArray, b: TypedArray): boolean {
  const [beginA, beginB] = [readOffset.call(a), readOffset.call(b)];
  return (
    readBuffer.call(a) === readBuffer.call(b) &&
    beginA < beginB + readBytes.call(b) &&
    beginB < beginA + readBytes.call(a)
  );
}
