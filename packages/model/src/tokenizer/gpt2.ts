import { ModelError } from '../error.js';
import { keyOf, mergeBytes } from './merge-bytes.js';
import type { Vocabulary } from './vocabulary.js';

const END_OF_TEXT = '<|endoftext|>';

/** Splits a text as GPT-2 does, into pieces that are encoded one by one. */
const PIECE = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** Number of pieces whose ids are cached. Expressions have few different pieces, and merging bytes is most of the work. */
const MAX_KNOWN = 50_000;
const MAX_KNOWN_LENGTH = 24;

/** The tokens in the order of their ids: strings, or bytes where they are no whole characters. */
export type Ranks = readonly (string | readonly number[])[];

let loadRanks: (() => Ranks) | null = null;

/** Sets the source of the vocabulary. `load` is called when the vocabulary is first needed. */
export function provideRanks(load: () => Ranks): void {
  loadRanks = load;
}

/**
 * GPT-2's byte-pair encoding (Radford et al. 2019), 50,257 ids; the last, 50256, is `<|endoftext|>`. `encode` never
 * returns that id: the text `<|endoftext|>` is encoded like any other. `decode(encode(text))` is the text, except that a lone
 * surrogate, which UTF-8 does not have, becomes U+FFFD.
 *
 * @throws {ModelError} `no-runtime` where no vocabulary was provided
 */
export function gpt2(): Vocabulary {
  if (!loadRanks)
    throw new ModelError(
      'no-runtime',
      "GPT-2's vocabulary is not here: import '@dag/model/gpt2-tokens' first, half a megabyte that a page may not need",
    );
  const ranks = loadRanks();
  const utf8 = new TextEncoder();
  const tokens = ranks.map((token) =>
    typeof token === 'string' ? utf8.encode(token) : Uint8Array.from(token),
  );
  const idOf = new Map(tokens.map((bytes, id) => [keyOf(bytes), id]));
  const endOfText = utf8.encode(END_OF_TEXT);
  const known = new Map<string, readonly number[]>();
  const encodePiece = (piece: string): readonly number[] => {
    let ids = known.get(piece);
    if (ids === undefined) {
      ids = mergeBytes(utf8.encode(piece), idOf);
      if (known.size < MAX_KNOWN && piece.length <= MAX_KNOWN_LENGTH) known.set(piece, ids);
    }
    return ids;
  };
  return {
    size: ranks.length + 1,
    endOfText: ranks.length,
    longestToken: tokens.reduce((most, bytes) => Math.max(most, bytes.length), 0),
    encode(text) {
      const ids: number[] = [];
      for (const piece of text.match(PIECE) ?? []) for (const id of encodePiece(piece)) ids.push(id);
      return ids;
    },
    decode(ids) {
      // Not gpt-tokenizer's decode: it keeps the bytes of an unfinished character for the call after, and drops U+FEFF.
      const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      const parts = ids.map((id) => decoder.decode(tokens[id] ?? endOfText, { stream: true }));
      return parts.join('') + decoder.decode();
    },
  };
}
