import { ModelError } from '../error.js';
import { keyOf, mergeBytes, type Ranks as IdsByBytes } from './merge-bytes.js';
import { neededTokens } from './needed-tokens.js';
import type { TokenTable, Vocabulary } from './vocabulary.js';

const END_OF_TEXT = '<|endoftext|>';
/** Number of tokens that are merges of bytes; the id of `<|endoftext|>`. */
const MERGED = 50_256;
/** Bytes of the longest token. */
const LONGEST = 128;

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
  const utf8 = new TextEncoder();
  const tokens = loadRanks().map((token) =>
    typeof token === 'string' ? utf8.encode(token) : Uint8Array.from(token),
  );
  return bytePairs(tokens.entries(), (ids, idOf) => {
    const needed = neededTokens(ids, tokens, idOf);
    return { ids: needed, tokens: needed.map((id) => tokens[id]!) };
  });
}

/**
 * GPT-2's encoding by the tokens that `tokensFor` gave. A piece of text with other tokens than it was asked for may have other ids than with
 * all tokens, of which at least one is not among those that it was asked for.
 *
 * @throws {ModelError} `bad-file` for ids that GPT-2 does not have, and where not every byte is a token.
 */
export function someOfGpt2(table: TokenTable): Vocabulary {
  const bytes = new Set(table.tokens.flatMap((token) => (token.length === 1 ? [...token] : [])));
  if (bytes.size < 256 || table.ids.at(-1)! >= MERGED)
    throw new ModelError('bad-file', "the tokens of the file are no part of GPT-2's vocabulary");
  return bytePairs(
    table.ids.map((id, i) => [id, table.tokens[i]!]),
    () => table,
  );
}

function bytePairs(
  tokens: Iterable<readonly [id: number, bytes: Uint8Array]>,
  tokensFor: (ids: readonly number[], idOf: IdsByBytes) => TokenTable,
): Vocabulary {
  const bytesOf = new Map(tokens);
  const idOf = new Map<string, number>();
  for (const [id, bytes] of bytesOf) idOf.set(keyOf(bytes), id);
  const utf8 = new TextEncoder();
  bytesOf.set(MERGED, utf8.encode(END_OF_TEXT));
  const replacement = utf8.encode('\uFFFD');
  const known = new Map<string, readonly number[]>();
  const encodePiece = (piece: string): readonly number[] => {
    let ids = known.get(piece);
    if (ids === undefined) {
      ids = mergeBytes(utf8.encode(piece), idOf);
      if (known.size < MAX_KNOWN && piece.length <= MAX_KNOWN_LENGTH) known.set(piece, ids);
    }
    return ids;
  };
  const pieces = (text: string): string[] => text.match(PIECE) ?? [];
  return {
    size: MERGED + 1,
    endOfText: MERGED,
    longestToken: LONGEST,
    pieces,
    encode(text) {
      const ids: number[] = [];
      for (const piece of pieces(text)) for (const id of encodePiece(piece)) ids.push(id);
      return ids;
    },
    decode(ids) {
      // Not gpt-tokenizer's decode: it keeps the bytes of an unfinished character for the call after, and drops U+FEFF.
      const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      const parts = ids.map((id) => decoder.decode(bytesOf.get(id) ?? replacement, { stream: true }));
      return parts.join('') + decoder.decode();
    },
    tokensFor: (ids) => tokensFor(ids, idOf),
  };
}
