import { readFile } from 'node:fs/promises';
import { TrainError } from './error.js';

/**
 * The text of a file in UTF-8, without a byte order mark at its beginning.
 * @throws {TrainError} `io` where it cannot be read, `bad-input` where it is not UTF-8, with the line
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    // A text may also be longer than any string.
    if (isNotUtf8(error)) throw await notUtf8(path, [bytes], error);
    throw error;
  }
}

export function unreadable(path: string, error: unknown): TrainError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === 'EISDIR' ? 'it is a folder' : message.replace(/, \w+( '.*)?$/s, '');
  return new TrainError('io', `${path} cannot be read: ${reason}`, { cause: error });
}

/** Whether that is what a `TextDecoder` throws that is `fatal`. */
export const isNotUtf8 = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA';

/** Says in which line the bytes of a file are not UTF-8. */
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
