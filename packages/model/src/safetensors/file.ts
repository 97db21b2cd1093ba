import { randomUUID } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkText } from '../arguments.js';
import { safetensorsPieces } from './format.js';
import { bad, headerEnd, LENGTH_BYTES, messageOf, parseHeader, type Entry } from './header.js';
import { ARRAYS, type SafeTensor, type Safetensors } from './tensor.js';

/**
 * Writes a safetensors file atomically: to a temporary file beside `path`, which is flushed to the disk and renamed.
 * @throws ModelError as `encodeSafetensors`; errors of the file system unchanged
 */
export async function saveSafetensors(
  path: string,
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Record<string, string> = {},
): Promise<void> {
  checkText('the path of a file', path);
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(beside, 'wx');
    try {
      for (const piece of safetensorsPieces(tensors, metadata)) await file.writeFile(piece);
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
 * Reads a safetensors file into memory, of any size, with a buffer for each tensor.
 * @throws ModelError `bad-file` with the path, where the file cannot be opened or as `decodeSafetensors`
 */
export async function loadSafetensors(path: string): Promise<Safetensors> {
  return withSafetensors(path, async ({ entries, metadata, read }) => {
    const tensors = new Map<string, SafeTensor>();
    for (const entry of entries) tensors.set(entry.name, await read(entry));
    return { tensors, metadata };
  });
}

/** An open safetensors file: its header, and a function that reads a tensor. */
interface OpenSafetensors {
  readonly entries: readonly Entry[];
  readonly metadata: Record<string, string>;
  readonly read: (entry: Entry) => Promise<SafeTensor>;
}

/**
 * Opens a safetensors file for `body`, which reads the tensors that it needs. Closes it afterwards.
 * @throws ModelError as `loadSafetensors`
 */
export async function withSafetensors<T>(
  path: string,
  body: (file: OpenSafetensors) => Promise<T>,
): Promise<T> {
  checkText('the path of a file', path);
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw bad(path, `cannot be opened (${messageOf(cause)})`, cause);
  });
  try {
    const { size } = await file.stat();
    const length = await readExactly(file, 0, Math.min(LENGTH_BYTES, size), path);
    const end = headerEnd(length, size, path);
    const header = await readExactly(file, LENGTH_BYTES, end - LENGTH_BYTES, path);
    const { entries, metadata } = parseHeader(header, size - end, path);
    const read = async ({ dtype, shape, begin, count }: Entry): Promise<SafeTensor> => {
      const { bytes: width, array } = ARRAYS[dtype];
      const data = await readExactly(file, end + begin, count * width, path);
      return { dtype, shape, data: new array(data.buffer) };
    };
    return await body({ entries, metadata, read });
  } finally {
    await file.close();
  }
}

/** A single read moves less than 2 GiB. */
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

/** Flushes a folder, without which a rename may not survive a power cut. Windows cannot open folders and need not flush them. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
