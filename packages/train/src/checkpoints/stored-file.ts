import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { FileBytes } from '@dag/model';
import { TrainError } from '../error.js';
import { isAbsent, systemCode, systemError } from '../files/system-error.js';

/** Bytes per call: Node can hash, read and write less than 2 GiB at a time. */
const CHUNK = 2 ** 28;
/** Larger files are read in pieces of this size: an array has at most 4 GiB. */
const PIECE = 2 ** 30;

/** The entry of a file in a manifest. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** Writes a new file of any size, piece by piece. It is synced to disk when the promise resolves. */
export async function writeStored(path: string, pieces: Iterable<Uint8Array>): Promise<Digest> {
  const sha256 = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'wx');
  try {
    for (const piece of pieces)
      for (const chunk of chunksOf(piece)) {
        sha256.update(chunk);
        await file.writeFile(chunk);
        bytes += chunk.byteLength;
      }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: sha256.digest('hex') };
}

/**
 * Reads a file of a checkpoint and verifies its size and checksum. Each piece starts its own buffer, so that typed array
 * views are aligned.
 * @param pieceSize Larger files are returned in pieces of this many bytes.
 * @throws {TrainError} `bad-checkpoint` if the file does not match `expected`, `io` if the system refuses
 */
export function readStored(path: string, expected: Digest, pieceSize = PIECE): Promise<FileBytes> {
  return withStored(path, async (file, size) => {
    if (size !== expected.bytes) throw damaged(path, `has ${size} bytes instead of ${expected.bytes}`);
    const sha256 = createHash('sha256');
    const pieces: Uint8Array[] = [];
    let rest = size;
    do {
      const piece = new Uint8Array(Math.min(rest, pieceSize));
      await fill(file, piece, path);
      sha256.update(piece);
      pieces.push(piece);
      rest -= piece.length;
    } while (rest > 0);
    if (sha256.digest('hex') !== expected.sha256) throw damaged(path, 'has the wrong checksum');
    return pieces.length === 1 ? pieces[0]! : pieces;
  });
}

/** Reads a small text file of a checkpoint. @throws {TrainError} as `readStored` */
export function readStoredText(path: string, maxBytes: number): Promise<string> {
  return withStored(path, async (file, size) => {
    if (size > maxBytes) throw damaged(path, `has ${size} bytes, more than the limit of ${maxBytes}`);
    const bytes = new Uint8Array(size);
    await fill(file, bytes, path);
    return Buffer.from(bytes).toString();
  });
}

/** The error for a checkpoint with a damaged file. */
export const damaged = (path: string, problem: string): TrainError =>
  new TrainError('bad-checkpoint', `checkpoint ${dirname(path)} is damaged: ${basename(path)} ${problem}`);

async function withStored<T>(path: string, read: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
  try {
    // Without O_NONBLOCK, opening a FIFO blocks until another process opens it for writing.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw damaged(path, 'cannot be read: it is not a regular file');
      return await read(file, stat.size);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isAbsent(error)) throw damaged(path, 'is missing');
    if (systemCode(error) === 'ENXIO') throw damaged(path, 'cannot be read: it is not a regular file');
    throw systemError(`${path} cannot be read`, error);
  }
}

async function fill(file: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await file.read(bytes, at, Math.min(CHUNK, bytes.length - at));
    if (bytesRead === 0) throw damaged(path, 'became shorter while it was read');
    at += bytesRead;
  }
}

function* chunksOf(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}
