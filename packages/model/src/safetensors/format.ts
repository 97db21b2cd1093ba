import { ModelError } from '../error.js';
import { headerBytes, headerEnd, LENGTH_BYTES, METADATA, parseHeader } from './header.js';
import { ARRAYS, elementsOf, isSizes, type SafeTensor, type Safetensors } from './tensor.js';

/**
 * The bytes of a safetensors file. The same tensors give the same bytes in whatever order they come: wide dtypes lie
 * first, then names in order, so that every tensor is aligned.
 * @throws ModelError `shape` where a shape does not fit its data, `bad-input` where data is not the dtype's array or
 *   a tensor is called `__metadata__`
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const parts = partsOf(tensors, metadata);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/**
 * The tensors of a safetensors file. They are views of `bytes` where those are aligned, and copies elsewhere.
 * @throws ModelError `bad-file` for bytes that are not a whole, valid file, or that hold another dtype
 */
export function decodeSafetensors(bytes: Uint8Array): Safetensors {
  const source = 'safetensors data';
  const end = headerEnd(bytes.subarray(0, LENGTH_BYTES), bytes.length, source);
  const { entries, metadata } = parseHeader(bytes.subarray(LENGTH_BYTES, end), bytes.length - end, source);
  const tensors = new Map<string, SafeTensor>();
  for (const { name, dtype, shape, begin, count } of entries) {
    const { bytes: width, array } = ARRAYS[dtype];
    const offset = bytes.byteOffset + end + begin;
    const data =
      offset % width === 0
        ? new array(bytes.buffer, offset, count)
        : new array(Uint8Array.from(bytes.subarray(end + begin, end + begin + count * width)).buffer);
    tensors.set(name, { dtype, shape, data });
  }
  return { tensors, metadata };
}

/** The file, piece by piece, so that saving needs no second copy of the tensors. */
export function partsOf(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Record<string, string>,
): Uint8Array[] {
  const sorted = [...tensors].sort(
    ([nameA, a], [nameB, b]) => ARRAYS[b.dtype].bytes - ARRAYS[a.dtype].bytes || (nameA < nameB ? -1 : 1),
  );
  // Joined by hand: an object would put names that look like integers first.
  const fields = Object.keys(metadata).length ? [`"${METADATA}":${JSON.stringify(metadata)}`] : [];
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, tensor] of sorted) {
    checkTensor(name, tensor);
    const { dtype, shape, data } = tensor;
    const data_offsets = [offset, offset + data.byteLength];
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets })}`);
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    offset += data.byteLength;
  }
  return [headerBytes(`{${fields.join(',')}}`), ...parts];
}

function checkTensor(name: string, { dtype, shape, data }: SafeTensor): void {
  if (name === METADATA) {
    throw new ModelError('bad-input', `no tensor can be called "${METADATA}": the format keeps that name`);
  }
  const expected = ARRAYS[dtype].array.name;
  // Not instanceof: arrays from another realm (a worker's, a test runner's) are as good.
  const given = data[Symbol.toStringTag];
  if (given !== expected) {
    throw new ModelError('bad-input', `tensor "${name}": ${dtype} needs a ${expected}, not a ${given}`);
  }
  if (!isSizes(shape) || elementsOf(shape) !== data.length) {
    const problem = `shape [${shape.join(', ')}] does not fit its ${data.length} elements`;
    throw new ModelError('shape', `tensor "${name}": ${problem}`);
  }
}
