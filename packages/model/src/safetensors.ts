import { randomUUID } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ModelError } from './error.js';

/**
 * The safetensors format (https://huggingface.co/docs/safetensors): the length of a header as a 64-bit little-endian
 * integer, the header as JSON (`{ name: { dtype, shape, data_offsets }, __metadata__ }`, padded with spaces), then the
 * tensors, row-major, little-endian, with neither holes nor overlaps. The values of typed arrays are written and read
 * as they lie in memory, which is little-endian on all platforms but s390x.
 */

export type SafeDtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'U8';

/** A tensor of a safetensors file, row-major. */
export interface SafeTensor {
  readonly dtype: SafeDtype;
  /** Sizes; `[]` is a scalar. Their product is the length of `data`. */
  readonly shape: readonly number[];
  /** The array type of the dtype; F16 and BF16 are raw bits in a Uint16Array. */
  readonly data: Float64Array | Float32Array | Int32Array | Uint8Array | Uint16Array | BigInt64Array;
}

/** What a safetensors file holds. */
export interface Safetensors {
  /** Tensors by name, in the order of their data. */
  readonly tensors: Map<string, SafeTensor>;
  readonly metadata: Record<string, string>;
}

type DataConstructor = new (buffer: ArrayBufferLike, offset?: number, length?: number) => SafeTensor['data'];

const ARRAYS: Record<SafeDtype, { readonly bytes: number; readonly array: DataConstructor }> = {
  F64: { bytes: 8, array: Float64Array },
  I64: { bytes: 8, array: BigInt64Array },
  F32: { bytes: 4, array: Float32Array },
  I32: { bytes: 4, array: Int32Array },
  F16: { bytes: 2, array: Uint16Array },
  BF16: { bytes: 2, array: Uint16Array },
  U8: { bytes: 1, array: Uint8Array },
};

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const LENGTH_BYTES = 8;
const METADATA = '__metadata__';

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

/**
 * Writes a safetensors file, whole or not at all: beside `path` first, then flushed to the disk and renamed into place.
 * @throws ModelError as `encodeSafetensors`; errors of the file system as they are
 */
export async function saveSafetensors(
  path: string,
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const parts = partsOf(tensors, metadata);
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(beside, 'wx');
    try {
      for (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Reads a safetensors file, of any size that memory holds: every tensor goes into a buffer of its own.
 * @throws ModelError `bad-file`, naming the file, where it cannot be read or as `decodeSafetensors`
 */
export async function loadSafetensors(path: string): Promise<Safetensors> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new ModelError('bad-file', `${path}: cannot be opened (${messageOf(cause)})`, { cause });
  });
  try {
    const { size } = await file.stat();
    const length = await readExactly(file, 0, Math.min(LENGTH_BYTES, size), path);
    const end = headerEnd(length, size, path);
    const header = await readExactly(file, LENGTH_BYTES, end - LENGTH_BYTES, path);
    const { entries, metadata } = parseHeader(header, size - end, path);
    const tensors = new Map<string, SafeTensor>();
    for (const { name, dtype, shape, begin, count } of entries) {
      const { bytes: width, array } = ARRAYS[dtype];
      const data = await readExactly(file, end + begin, count * width, path);
      tensors.set(name, { dtype, shape, data: new array(data.buffer) });
    }
    return { tensors, metadata };
  } finally {
    await file.close();
  }
}

/**
 * The values of a tensor as 32-bit floats: F16 and BF16 widened exactly, F64 and integers rounded to the nearest.
 * An F32 tensor gives its own `data`, not a copy.
 */
export function toFloat32(tensor: SafeTensor): Float32Array {
  const { dtype, data } = tensor;
  if (data instanceof Float32Array) return data;
  const values = new Float32Array(data.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i]!);
    if (dtype === 'BF16') bits[i] = value << 16;
    else values[i] = dtype === 'F16' ? halfToNumber(value) : value;
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

/** The file, piece by piece, so that saving needs no second copy of the tensors. */
function partsOf(tensors: ReadonlyMap<string, SafeTensor>, metadata: Record<string, string>): Uint8Array[] {
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

function headerBytes(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const padded = Math.ceil(text.length / 8) * 8;
  if (padded > MAX_HEADER_BYTES) {
    throw new ModelError(
      'bad-input',
      `a header of ${padded} bytes is above the format's ${MAX_HEADER_BYTES}`,
    );
  }
  const bytes = new Uint8Array(LENGTH_BYTES + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(text, LENGTH_BYTES);
  return bytes;
}

/** Where the data begins, from the first 8 bytes of a file of `size` bytes. */
function headerEnd(start: Uint8Array, size: number, source: string): number {
  if (start.length < LENGTH_BYTES) {
    throw bad(source, `${size} bytes are too few for a safetensors file`);
  }
  const length = new DataView(start.buffer, start.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw bad(source, `its header claims ${length} bytes, above the format's ${MAX_HEADER_BYTES}`);
  }
  const end = LENGTH_BYTES + Number(length);
  if (end > size) throw bad(source, `its header should end at byte ${end}, but the file has ${size}`);
  return end;
}

interface Entry {
  readonly name: string;
  readonly dtype: SafeDtype;
  readonly shape: readonly number[];
  /** The first byte, counted from the end of the header. */
  readonly begin: number;
  readonly end: number;
  /** The number of elements. */
  readonly count: number;
}

function parseHeader(
  bytes: Uint8Array,
  dataBytes: number,
  source: string,
): { entries: Entry[]; metadata: Record<string, string> } {
  const header = parseJson(bytes, source);
  const metadata = parseMetadata(header[METADATA] ?? {}, source);
  const entries = Object.entries(header)
    .filter(([name]) => name !== METADATA)
    .map(([name, info]) => parseEntry(name, info, source))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const entry of entries) {
    if (entry.begin !== end) {
      const problem = entry.begin < end ? 'overlaps the one before it' : 'leaves a hole before it';
      throw bad(
        source,
        `tensor "${entry.name}" at ${entry.begin} … ${entry.end} ${problem} (data so far: ${end})`,
      );
    }
    end = entry.end;
  }
  if (end !== dataBytes) {
    throw bad(source, `its tensors take ${end} bytes, but ${dataBytes} follow the header`);
  }
  return { entries, metadata };
}

function parseJson(bytes: Uint8Array, source: string): Record<string, unknown> {
  if (bytes[0] !== 0x7b) throw bad(source, 'its header does not begin with "{"');
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw bad(source, `its header is not JSON (${messageOf(cause)})`, cause);
  }
  const repeated = repeatedKey(text);
  if (repeated !== undefined) throw bad(source, `its header has the key "${repeated}" twice`);
  // Valid JSON that begins with "{" is an object.
  return isObject(header) ? header : {};
}

/** A key that an object of a valid JSON text has twice: `JSON.parse` keeps the last and says nothing. */
function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (let at = 0; at < json.length; at++) {
    if (json[at] === '{') open.push(new Set());
    else if (json[at] === '}') open.pop();
    else if (json[at] === '"') {
      const end = stringEnd(json, at);
      let next = end;
      while (/\s/.test(json[next] ?? '')) next++;
      if (json[next] === ':') {
        const key = String(JSON.parse(json.slice(at, end)));
        if (open.at(-1)!.has(key)) return key;
        open.at(-1)!.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Where the string that starts with the quote at `start` has ended. */
function stringEnd(json: string, start: number): number {
  let end = start + 1;
  while (json[end] !== '"') end += json[end] === '\\' ? 2 : 1;
  return end + 1;
}

function parseMetadata(value: unknown, source: string): Record<string, string> {
  const entries = isObject(value) ? Object.entries(value) : [['', undefined] as const];
  return Object.fromEntries(
    entries.map(([key, text]) => {
      if (typeof text !== 'string') throw bad(source, `its ${METADATA} is not an object of strings`);
      return [key, text];
    }),
  );
}

function parseEntry(name: string, info: unknown, source: string): Entry {
  const where = `tensor "${name}"`;
  if (!isObject(info)) throw bad(source, `${where} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = info;
  // Values are shown where they are sure to be small: what a hostile header nests has no bounds.
  if (!isDtype(dtype)) {
    const given = typeof dtype === 'string' ? `the dtype "${dtype}"` : 'no dtype';
    throw bad(source, `${where} has ${given}: expected one of ${Object.keys(ARRAYS).join(', ')}`);
  }
  const count = isSizes(shape) ? elementsOf(shape) : NaN;
  if (!isSizes(shape) || !Number.isSafeInteger(count)) {
    throw bad(source, `${where} has no valid shape: expected a list of sizes`);
  }
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw bad(source, `${where} has no valid data_offsets: expected [begin, end]`);
  }
  const [begin, end] = [offsets[0]!, offsets[1]!];
  if (end - begin !== count * ARRAYS[dtype].bytes) {
    const takes = `${dtype} [${shape.join(', ')}] takes ${count * ARRAYS[dtype].bytes} bytes`;
    throw bad(source, `${where}: ${takes}, but its data_offsets are ${begin} … ${end}`);
  }
  return { name, dtype, shape, begin, end, count };
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isDtype(value: unknown): value is SafeDtype {
  return typeof value === 'string' && Object.hasOwn(ARRAYS, value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function bad(source: string, problem: string, cause?: unknown): ModelError {
  return new ModelError('bad-file', `${source}: ${problem}`, { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A single read or write moves less than 2 GiB. */
const MAX_CHUNK = 1 << 30;

async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
  source: string,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let offset = 0;
  while (offset < length) {
    const chunk = Math.min(length - offset, MAX_CHUNK);
    const { bytesRead } = await file.read(bytes, offset, chunk, position + offset);
    if (bytesRead === 0) throw bad(source, `it ends at byte ${position + offset}, while it is being read`);
    offset += bytesRead;
  }
  return bytes;
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesWritten } = await file.write(bytes, offset, Math.min(bytes.length - offset, MAX_CHUNK));
    offset += bytesWritten;
  }
}

/** A rename lasts through a power cut once its folder is flushed; Windows opens no folders and needs none flushed. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
