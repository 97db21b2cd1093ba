import { named } from './arguments.js';
import { ModelError } from './error.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

/** Texts as token ids. */
export interface EncodedTexts {
  /** (B, T) ids, padded with 0. */
  readonly tokens: Int32Array;
  readonly shape: readonly [B: number, T: number];
  /** (B) index of the last token of each text. */
  readonly last: number[];
}

/**
 * Encodes B texts as the tokenizer reads them.
 *
 * @throws {ModelError} `bad-input` for an empty text or one of more than `blockSize` tokens, or where there is no text.
 */
export function encodeTexts(texts: readonly string[], tokenizer: Tokenizer, blockSize: number): EncodedTexts {
  if (!Array.isArray(texts))
    throw new ModelError('bad-input', `predict: expected an array of texts, given ${named(texts)}`);
  if (texts.length === 0)
    throw new ModelError('bad-input', 'predict: expected at least one text, given none');
  // Not `map`, which skips the holes of an array.
  const rows = Array.from(texts as readonly string[], (text, i) =>
    encodeText(text, tokenizer, blockSize, texts.length === 1 ? 'the text' : `texts[${i}]`),
  );
  const T = rows.reduce((most, ids) => Math.max(most, ids.length), 1);
  const tokens = new Int32Array(rows.length * T);
  rows.forEach((ids, b) => tokens.set(ids, b * T));
  return { tokens, shape: [rows.length, T], last: rows.map((ids) => ids.length - 1) };
}

/** Whether `encodeTexts` accepts a text. */
export function isReadable(text: string, tokenizer: Tokenizer, blockSize: number): boolean {
  try {
    return encodeText(text, tokenizer, blockSize).length > 0;
  } catch (error) {
    if (error instanceof ModelError) return false;
    throw error;
  }
}

/** The token ids of one text. @throws {ModelError} `bad-input`, as `encodeTexts`. */
function encodeText(text: string, tokenizer: Tokenizer, blockSize: number, which = 'the text'): number[] {
  if (typeof text !== 'string')
    throw new ModelError('bad-input', `predict: ${which} is not a string, but ${named(text)}`);
  const read = tokenizer.read(text);
  // A cheap check before the text is encoded, which takes far longer than counting characters.
  const longest = blockSize * tokenizer.longestToken;
  if (read.length > longest)
    throw new ModelError(
      'bad-input',
      `predict: ${which} has ${read.length} characters, the ${blockSize} tokens that this model reads have at most ${longest}`,
    );
  const ids = tokenizer.encode(read);
  if (ids.length === 0 || read.trim() === '') throw new ModelError('bad-input', `predict: ${which} is empty`);
  if (ids.length > blockSize)
    throw new ModelError(
      'bad-input',
      `predict: ${which} has ${ids.length} tokens, this model reads up to ${blockSize}`,
    );
  return ids;
}
