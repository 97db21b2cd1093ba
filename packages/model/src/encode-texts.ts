import { asRead } from '@dag/expr';
import { named } from './arguments.js';
import { ModelError } from './error.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

/** Texts as (B, T) ids, shorter ones followed by 0, and the index of the last token of each. */
export interface EncodedTexts {
  readonly tokens: Int32Array;
  readonly shape: readonly [B: number, T: number];
  readonly last: number[];
}

/** @throws {ModelError} `bad-input` for an empty text or one of more than `blockSize` tokens. */
export function encodeTexts(texts: readonly string[], tokenizer: Tokenizer, blockSize: number): EncodedTexts {
  if (!Array.isArray(texts))
    throw new ModelError('bad-input', `predict: expected an array of texts, given ${named(texts)}`);
  // Not `map`, which passes over the holes of an array.
  const rows = Array.from(texts as readonly string[], (text) => encodeText(text, tokenizer, blockSize));
  const T = rows.reduce((most, ids) => Math.max(most, ids.length), 1);
  const tokens = new Int32Array(rows.length * T);
  rows.forEach((ids, b) => tokens.set(ids, b * T));
  return { tokens, shape: [rows.length, T], last: rows.map((ids) => ids.length - 1) };
}

/** Whether `encodeTexts` takes a text. */
export function isReadable(text: string, tokenizer: Tokenizer, blockSize: number): boolean {
  try {
    return encodeText(text, tokenizer, blockSize).length > 0;
  } catch (error) {
    if (error instanceof ModelError) return false;
    throw error;
  }
}

/**
 * The tokens of a text as predictors read it.
 *
 * @throws {ModelError} `bad-input`, as `encodeTexts`.
 */
function encodeText(text: string, tokenizer: Tokenizer, blockSize: number): number[] {
  if (typeof text !== 'string')
    throw new ModelError('bad-input', `predict: a text is a string, given ${named(text)}`);
  const read = asRead(text);
  // Checked before the text is cut into tokens, which takes far longer than to count its characters.
  const longest = blockSize * tokenizer.longestToken;
  if (read.length > longest)
    throw new ModelError(
      'bad-input',
      `predict: the text has ${read.length} characters, the ${blockSize} tokens that this model reads have at most ${longest}`,
    );
  const ids = tokenizer.encode(read);
  if (ids.length === 0) throw new ModelError('bad-input', 'predict: the text is empty');
  if (ids.length > blockSize)
    throw new ModelError(
      'bad-input',
      `predict: the text has ${ids.length} tokens, this model reads up to ${blockSize}`,
    );
  return ids;
}
