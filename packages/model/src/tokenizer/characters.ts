import type { Vocabulary } from './vocabulary.js';

const PRINTABLE_ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

/** Ids are indices, and part of the file format of models. Other characters have the last id, 99, and decode as U+FFFD. */
const CHARACTERS = [...PRINTABLE_ASCII, '\n', '×', '÷', '−', '\uFFFD'];
const UNKNOWN = CHARACTERS.length - 1;

/**
 * One id a character (Unicode code point): 0 … 94 printable ASCII from the space on, 95 the newline, 96 ×, 97 ÷,
 * 98 − (U+2212) and 99 for every other. `decode(encode(text))` is the text wherever it keeps to these characters.
 */
export function characters(): Vocabulary {
  const ids = new Map(CHARACTERS.map((character, id) => [character, id]));
  return {
    size: CHARACTERS.length,
    endOfText: null,
    longestToken: 2,
    pieces: (text) => Array.from(text),
    encode: (text) => Array.from(text, (character) => ids.get(character) ?? UNKNOWN),
    decode: (tokens) => tokens.map((id) => CHARACTERS[id]!).join(''),
    tokensFor: () => null,
  };
}
