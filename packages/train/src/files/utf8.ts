import { createReadStream } from 'node:fs';
import { TrainError } from '../error.js';

/** Largest file that is read as a whole; a string has at most 512 MiB. */
const MOST_BYTES = 2 ** 28;

/**
 * Reads a UTF-8 file (or a pipe to its end), without a byte order mark.
 * @throws {TrainError} `io` if it cannot be read, `bad-input` if it is not UTF-8 (with the line) or has more than `mostBytes`
 */
export async function readText(path: string, mostBytes = MOST_BYTES): Promise<string> {
  const bytes = await readBytes(path, mostBytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    // Decoding also fails if the text exceeds the largest string.
    if (isNotUtf8(error)) throw await notUtf8(path, [bytes], error);
    throw error;
  }
}

async function readBytes(path: string, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) {
      chunks.push(chunk as Buffer);
      size += (chunk as Buffer).length;
      if (size > mostBytes)
        throw new TrainError('bad-input', `${path} has more than ${mostBytes} bytes, which is the limit`);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    throw error instanceof TrainError ? error : unreadable(path, error);
  }
}

export function unreadable(path: string, error: unknown): TrainError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === 'EISDIR' ? 'it is a folder' : message.replace(/, \w+( '.*)?$/s, '');
  return new TrainError('io', `${path} cannot be read: ${reason}`, { cause: error });
}

/** Whether an error is that of a `fatal` TextDecoder for invalid bytes. */
export const isNotUtf8 = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA';

/** The error for a file that is not UTF-8, with the line of the first invalid bytes. */
export async function notUtf8(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  cause: unknown,
): Promise<TrainError> {
  const line = await invalidLine(chunks);
  return new TrainError(
    'bad-input',
    `${path} is not UTF-8: see line ${line}; convert it, e.g. by iconv -t UTF-8, or leave it out`,
    { cause },
  );
}

const NEWLINE = 0x0a;

async function invalidLine(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<number> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  try {
    for await (const chunk of chunks)
      for (let start = 0; start < chunk.length;) {
        const newline = chunk.indexOf(NEWLINE, start);
        const end = newline < 0 ? chunk.length : newline + 1;
        decoder.decode(chunk.subarray(start, end), { stream: true });
        if (newline >= 0) line++;
        start = end;
      }
  } catch (error) {
    if (!isNotUtf8(error)) throw error;
  }
  return line;
}
