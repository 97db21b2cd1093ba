import { checkObject, checkText, isBytes, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { headerBytes, headerEnd, LENGTH_BYTES, METADATA, parseHeader } from './header.js';
import {
  ARRAYS,
  elementsOf,
  isDtype,
  isSizes,
  type FileBytes,
  type SafeDtype,
  type SafeTensor,
  type Safetensors,
} from './tensor.js';

/**
 * Encodes tensors as the bytes of a safetensors file. The bytes do not depend on the order of the map: tensors are sorted by
 * width of dtype, widest first, so that all are aligned, and then by name.
 * @throws ModelError `shape` where a shape does not fit its data, `bad-input` where data is not the dtype's array, a
 *   tensor is called `__metadata__`, or the file is larger than one array can be: `safetensorsPieces` has no limit
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Record<string, string> = {},
): Uint8Array {
  return joined([...safetensorsPieces(tensors, metadata)]);
}

/**
 * Decodes a safetensors file. Tensors are views of `bytes` where their data is aligned, and copies elsewhere.
 * @param bytes the file, or its pieces in order where it is larger than one array can be
 * @throws ModelError `bad-file` for an incomplete or invalid file and for unknown dtypes; `bad-input` unless given bytes
 */
export function decodeSafetensors(bytes: FileBytes): Safetensors {
  const source = 'safetensors data';
  const pieces = ArrayBuffer.isView(bytes) ? [bytes] : bytes;
  // Spread into a copy, in which the holes of an array are undefined.
  if (!Array.isArray(pieces) || ![...(pieces as readonly unknown[])].every(isBytes))
    throw new ModelError(
      'bad-input',
      `expected the bytes of a safetensors file as a Uint8Array, given ${named(bytes)}; await readFile(path) reads those of a path`,
    );
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const end = headerEnd(range(pieces, 0, Math.min(LENGTH_BYTES, size)), size, source);
  const { entries, metadata } = parseHeader(range(pieces, LENGTH_BYTES, end), size - end, source);
  const tensors = new Map<string, SafeTensor>();
  for (const { name, dtype, shape, begin, count } of entries) {
    const { bytes: width, array } = ARRAYS[dtype];
    const values = range(pieces, end + begin, end + begin + count * width);
    const data =
      values.byteOffset % width === 0
        ? new array(values.buffer, values.byteOffset, count)
        : new array(Uint8Array.from(values).buffer);
    tensors.set(name, { dtype, shape, data });
  }
  return { tensors, metadata };
}

/**
 * The bytes of `encodeSafetensors` in pieces: the header, then one tensor after another. There is no limit on the size. A
 * tensor's `data` may be a getter, which is read once, when its piece is due.
 * @throws ModelError as `encodeSafetensors`
 */
export function* safetensorsPieces(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Record<string, string> = {},
): Generator<Uint8Array> {
  checkTensors(tensors, metadata);
  const sorted = [...tensors].sort(
    ([nameA, a], [nameB, b]) => ARRAYS[b.dtype].bytes - ARRAYS[a.dtype].bytes || (nameA < nameB ? -1 : 1),
  );
  // Joined by hand: an object would put names that look like integers first.
  const fields = Object.keys(metadata).length ? [`"${METADATA}":${JSON.stringify(metadata)}`] : [];
  let offset = 0;
  for (const [name, { dtype, shape }] of sorted) {
    if (name === METADATA)
      throw new ModelError('bad-input', `no tensor can be called "${METADATA}": the format keeps that name`);
    if (!isSizes(shape))
      throw new ModelError('shape', `tensor "${name}": shape ${named(shape)} is not a list of sizes`);
    const data_offsets = [offset, (offset += elementsOf(shape) * ARRAYS[dtype].bytes)];
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets })}`);
  }
  yield headerBytes(`{${fields.join(',')}}`);
  for (const [name, { dtype, shape, data }] of sorted) {
    checkData(name, dtype, shape, data);
    yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

function checkTensors(tensors: unknown, metadata: unknown): void {
  // Not instanceof, which is false for a map from another realm.
  if (Object.prototype.toString.call(tensors) !== '[object Map]')
    throw new ModelError('bad-input', `expected a Map of tensors by name, given ${named(tensors)}`);
  for (const [name, tensor] of tensors as Map<unknown, SafeTensor>) {
    checkText('the name of a tensor', name);
    checkObject(`tensor "${String(name)}" as an object`, tensor);
    if (!isDtype(tensor.dtype))
      throw new ModelError(
        'bad-input',
        `tensor "${String(name)}": dtype is one of ${Object.keys(ARRAYS).join(', ')}, given ${named(tensor.dtype)}`,
      );
  }
  checkObject('metadata as an object of texts', metadata);
  for (const text of Object.values(metadata as object)) checkText('metadata as an object of texts', text);
}

/** Joins the pieces of a file. @throws ModelError `bad-input` where that is larger than an array can be. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(size);
  } catch (cause) {
    throw new ModelError('bad-input', `${size} bytes do not fit into one array; use them in pieces`, {
      cause,
    });
  }
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

/** Bytes `begin` … `end` − 1 of a file: a view where one piece has them all, else a copy. */
function range(pieces: readonly Uint8Array[], begin: number, end: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const piece of pieces) {
    const [from, to] = [begin - offset, end - offset];
    if (from >= 0 && to <= piece.length) return piece.subarray(from, to);
    if (to > 0 && from < piece.length) parts.push(piece.subarray(Math.max(from, 0), to));
    offset += piece.length;
  }
  return joined(parts);
}

function checkData(name: string, dtype: SafeDtype, shape: readonly number[], data: SafeTensor['data']): void {
  const expected = ARRAYS[dtype].array.name;
  // Not instanceof, which is false for arrays from another realm (a worker, a test runner).
  const given = ArrayBuffer.isView(data) ? data[Symbol.toStringTag] : null;
  if (given !== expected) {
    throw new ModelError(
      'bad-input',
      `tensor "${name}": ${dtype} needs a ${expected}, not ${given === null ? named(data) : `a ${given}`}`,
    );
  }
  if (elementsOf(shape) !== data.length) {
    const problem = `shape [${shape.join(', ')}] does not fit its ${data.length} elements`;
    throw new ModelError('shape', `tensor "${name}": ${problem}`);
  }
}
