import ranks from 'gpt-tokenizer/bpeRanks/r50k_base';
import { encode } from 'gpt-tokenizer/encoding/r50k_base';
import type { Vocabulary } from './tokenizer.js';

const END_OF_TEXT = '<|endoftext|>';

/** GPT-2's pieces of a text, each of which is encoded by itself. */
const PIECE = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** Pieces whose ids are kept. Expressions have few different ones: to merge their bytes again is most of an encoding. */
const MAX_KNOWN = 50_000;
const MAX_KNOWN_LENGTH = 12;

/** Text that spells a special token is text: nobody's input ends a document, and none throws. */
const PLAIN_TEXT = { disallowedSpecial: new Set<string>() };

/**
 * GPT-2's byte-pair encoding (Radford et al. 2019), 50,257 ids; the last, 50256, is `<|endoftext|>`. `encode` never
 * gives that id: where a text spells it, it encodes as the characters it is made of. `decode(encode(text))` is the
 * text; a lone surrogate, which UTF-8 cannot hold, comes back as U+FFFD.
 */
export function gpt2(): Vocabulary {
  const known = new Map<string, readonly number[]>();
  const encodePiece = (piece: string): readonly number[] => {
    let ids = known.get(piece);
    if (ids === undefined) {
      ids = encode(piece, PLAIN_TEXT);
      if (known.size < MAX_KNOWN && piece.length <= MAX_KNOWN_LENGTH) known.set(piece, ids);
    }
    return ids;
  };
  return {
    size: ranks.length + 1,
    endOfText: ranks.length,
    encode(text) {
      const ids: number[] = [];
      for (const piece of text.match(PIECE) ?? []) for (const id of encodePiece(piece)) ids.push(id);
      return ids;
    },
    decode(ids) {
      // Not gpt-tokenizer's decode: it keeps the bytes of an unfinished character for the call after, and drops U+FEFF.
      const bytes = ids.map((id) => Buffer.from(ranks[id] ?? END_OF_TEXT));
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(bytes));
    },
  };
}
