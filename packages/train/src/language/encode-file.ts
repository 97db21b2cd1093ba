import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Tokenizer } from '@dag/model';
import { TrainError } from '../error.js';
import { isNotUtf8, notUtf8, unreadable } from '../files/utf8.js';

/** Bytes `start` … `end` − 1 of a text file. Both ends are at character boundaries. */
export interface Section {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** Bytes per read. */
const CHUNK = 2 ** 20;

/**
 * Encodes a section in pieces; yields their ids and the number of bytes read. The ids are those of the text encoded as a
 * whole, except that runs of more than MAX_RUN letters, digits, signs or spaces are cut, and so are megabytes without a space.
 *
 * @throws {TrainError} `bad-input` if it is not UTF-8, `io` if it cannot be read
 */
export async function* encodeFile(
  section: Section,
  tokens: Tokenizer,
): AsyncGenerator<{ ids: number[]; bytes: number }> {
  let text = '';
  for await (const { read, bytes } of decoded(section)) {
    text += read;
    const cut = lastCut(text);
    yield { ids: encode(text.slice(0, cut), tokens), bytes };
    text = text.slice(cut);
  }
  yield { ids: encode(text, tokens), bytes: 0 };
}

async function* decoded({ path, start, end }: Section): AsyncGenerator<{ read: string; bytes: number }> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let position = start;
  try {
    for await (const bytes of createReadStream(path, { start, end: end - 1, highWaterMark: CHUNK })) {
      const chunk = bytes as Buffer;
      yield { read: decoder.decode(chunk, { stream: true }), bytes: chunk.length };
      position += chunk.length;
    }
    if (position !== end)
      throw new TrainError('io', `${path} ends at byte ${position}: it was truncated while it was read`);
    yield { read: decoder.decode(), bytes: 0 };
  } catch (error) {
    if (isNotUtf8(error)) throw await notUtf8(path, createReadStream(path), error);
    throw error instanceof TrainError ? error : unreadable(path, error);
  }
}

/** Text without a space is buffered up to this length, then cut. */
const MAX_HELD = CHUNK;

/**
 * How much of a text can be encoded before the following text is known: up to the last space before a word. No token spans that
 * point, because of several spaces the last belongs to the word after it.
 */
function lastCut(text: string): number {
  for (let i = text.length - 2; i > 0; i--) {
    if (isBlank(text, i) && !isBlank(text, i + 1)) return i;
  }
  return text.length > MAX_HELD ? text.length : 0;
}

const isBlank = (text: string, i: number): boolean => /\s/.test(text[i]!);

/** Longer runs are cut: merging byte pairs takes time quadratic in the length of a run, and ordinary text has no such runs. */
const MAX_RUN = 256;
const RUN = [String.raw`\p{L}`, String.raw`\p{N}`, String.raw`[^\s\p{L}\p{N}]`, String.raw`\s`]
  .map((kind) => `${kind}{${MAX_RUN}}`)
  .join('|');
const UP_TO_RUN = new RegExp(`[^]*?(?:${RUN})|[^]+`, 'gu');
/** A necessary condition for such a run, a dozen times faster to test. */
const MAY_HAVE_RUN = new RegExp(String.raw`(?:^|\s)\S{${MAX_RUN}}|\s{${MAX_RUN}}`);

function encode(text: string, tokens: Tokenizer): number[] {
  if (!MAY_HAVE_RUN.test(text)) return tokens.encode(text);
  return text.match(UP_TO_RUN)!.flatMap((part) => tokens.encode(part));
}

/** The offset of the first character that begins at or after `byte`. */
export async function characterStart(path: string, byte: number): Promise<number> {
  try {
    const file = await open(path);
    try {
      // UTF-8 continuation bytes are 10xxxxxx; a character has at most three.
      const { buffer, bytesRead } = await file.read(new Uint8Array(4), 0, 4, byte);
      const at = buffer.subarray(0, bytesRead).findIndex((one) => (one & 0xc0) !== 0x80);
      return byte + (at < 0 ? bytesRead : at);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadable(path, error);
  }
}
