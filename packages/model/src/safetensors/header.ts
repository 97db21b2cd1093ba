import { ModelError } from '../error.js';
import { ARRAYS, elementsOf, isDtype, isSizes, type SafeDtype } from './tensor.js';

/** The limit of the format. */
const MAX_HEADER_BYTES = 100_000_000;

export const LENGTH_BYTES = 8;

export const METADATA = '__metadata__';

export function headerBytes(json: string): Uint8Array {
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

/** The offset at which the data begins, from the first 8 bytes of a file of `size` bytes. */
export function headerEnd(start: Uint8Array, size: number, source: string): number {
  if (start.length < LENGTH_BYTES) {
    throw bad(source, `${size} bytes are too few for a safetensors file`);
  }
  const length = new DataView(start.buffer, start.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw bad(
      source,
      `this is no safetensors file: its header claims ${length} bytes, above the format's ${MAX_HEADER_BYTES}`,
    );
  }
  const end = LENGTH_BYTES + Number(length);
  if (end > size) throw bad(source, `its header should end at byte ${end}, but the file has ${size}`);
  return end;
}

/** A tensor as the header describes it. */
export interface Entry {
  readonly name: string;
  readonly dtype: SafeDtype;
  readonly shape: readonly number[];
  /** Offset of the first byte, from the end of the header. */
  readonly begin: number;
  readonly end: number;
  /** The number of elements. */
  readonly count: number;
}

export function parseHeader(
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

/** A key that occurs twice in an object of a valid JSON text, of which `JSON.parse` silently keeps the last; undefined if none. */
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

/** The index after the string whose opening quote is at `start`. */
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
  // Only values of bounded size are shown, because a hostile header may nest any amount of data.
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function bad(source: string, problem: string, cause?: unknown): ModelError {
  return new ModelError('bad-file', `${source}: ${problem}`, { cause });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
