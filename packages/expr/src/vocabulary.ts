import { shorten } from './arguments.js';
import { ExprError } from './error.js';
import { isName } from './names.js';

/** The words for the digits 0 … 9. */
export const DIGIT_WORDS: readonly string[] = 'zero one two three four five six seven eight nine'.split(' ');

/** How each symbol is said. Of several ways to say it, the first is said and all are understood. */
const PHRASES: readonly (readonly [symbol: string, phrase: string])[] = [
  ...DIGIT_WORDS.map((word, digit) => [String(digit), word] as const),
  ['.', 'point'],
  ['+', 'plus'],
  ['-', 'minus'],
  ['-', 'negative'],
  ['*', 'times'],
  ['*', 'multiplied by'],
  ['/', 'divided by'],
  ['/', 'over'],
  ['^', 'to the power of'],
  ['(', 'open'],
  ['(', 'open parenthesis'],
  [')', 'close'],
  [')', 'close parenthesis'],
];

/** Those of a sign alone: between two numbers no one says them, though they are understood. */
const SIGNS = new Set(['negative']);

const SAID = new Map(PHRASES.toReversed());
const UNDERSTOOD = PHRASES.map(([symbol, phrase]) => ({ symbol, words: phrase.split(' ') })).sort(
  (a, b) => b.words.length - a.words.length,
);
const BY_FIRST_WORD = new Map(
  UNDERSTOOD.map(({ words: [first] }) => [first!, UNDERSTOOD.filter(({ words }) => words[0] === first)]),
);
const LONGEST = Math.max(...UNDERSTOOD.map(({ words }) => words.length));
const VOCABULARY = new Set(UNDERSTOOD.flatMap(({ words }) => words));

/** The words for symbols, character by character; what has no words is left out. */
export function spell(symbols: string): string {
  let words = '';
  for (const symbol of symbols) {
    const phrase = SAID.get(symbol);
    if (phrase !== undefined) words += words === '' ? phrase : ` ${phrase}`;
  }
  return words;
}

/** All ways to say a symbol, which is a sign or something else. */
export const waysToSay = (symbol: string, isSign: boolean): string[] =>
  PHRASES.filter(([said, phrase]) => said === symbol && (isSign || !SIGNS.has(phrase))).map(
    ([, phrase]) => phrase,
  );

/** Whether a word belongs to a phrase, in any case of letters. */
export const isVocabulary = (word: string): boolean => VOCABULARY.has(word.toLowerCase());

/** A symbol or a name that was said, and where: from `position` to before `end`. */
export interface Spoken {
  readonly symbol: string;
  readonly position: number;
  readonly end: number;
  /** Whether it was not said but written: `12.5`, `(`. */
  readonly written: boolean;
}

/** Numbers and symbols stand by themselves; everything else runs to the next of them, or to a blank. */
const PIECE = /\d+\.?\d*|\.\d+|[()+\-*/^]|[^\s()+\-*/^.\d][^\s()+\-*/^]*|\S/g;

/** The pieces of a text in words, in which numbers and symbols may be written. */
export function piecesOf(text: string): { word: string; position: number; written: boolean }[] {
  return Array.from(text.matchAll(PIECE), (match) => ({
    word: match[0],
    position: match.index,
    written: /^[\d.()+\-*/^]/.test(match[0]) && match[0] !== '.',
  }));
}

/** Whether a word is the begin of one of the vocabulary, or one of it. */
export const beginsVocabulary = (word: string): boolean =>
  [...VOCABULARY].some((known) => known.startsWith(word.toLowerCase()));

/**
 * Reads words phrase by phrase. `rest` is what the end of the text cut off, null where nothing. In a 'prefix' the
 * last word may be cut off in the middle; in a 'whole' text it is then a name, as any word outside the vocabulary.
 *
 * @throws ExprError `syntax` at a word that is neither of the vocabulary nor a name.
 */
export function readPhrases(text: string, as: 'whole' | 'prefix'): { spoken: Spoken[]; rest: string | null } {
  const pieces = piecesOf(text);
  const words = pieces.map(({ word }) => word.toLowerCase());
  const lastMayBeCut = as === 'prefix' && !/\s$/.test(text);
  const spoken: Spoken[] = [];
  for (let i = 0; i < pieces.length;) {
    const { word, position, written } = pieces[i]!;
    const phrase = BY_FIRST_WORD.get(words[i]!)?.find((candidate) =>
      candidate.words.every((wanted, k) => wanted === words[i + k]),
    );
    const next = i + (phrase?.words.length ?? 0);
    if (phrase !== undefined)
      spoken.push({ symbol: phrase.symbol, position, end: endOf(pieces[next - 1]!), written: false });
    if (next < pieces.length && pieces.length - i <= LONGEST && isCutOff(words.slice(i), lastMayBeCut)) {
      return { spoken, rest: text.slice(pieces[next]!.position).trimEnd() };
    }
    if (phrase === undefined) {
      if (!written && (!isName(word) || isVocabulary(word))) throw unexpected(word, position);
      spoken.push({ symbol: word, position, end: endOf(pieces[i]!), written });
    }
    i = Math.max(next, i + 1);
  }
  return { spoken, rest: null };
}

const endOf = ({ word, position }: { word: string; position: number }): number => position + word.length;

/** Whether the last words of the text begin a phrase that is longer than they are. */
function isCutOff(words: readonly string[], lastMayBeCut: boolean): boolean {
  return UNDERSTOOD.some(
    (phrase) =>
      words.length <= phrase.words.length &&
      words.every((word, k) => {
        const wanted = phrase.words[k]!;
        return k === words.length - 1 && lastMayBeCut ? wanted.startsWith(word) : wanted === word;
      }) &&
      words.join(' ') !== phrase.words.join(' '),
  );
}

const unexpected = (word: string, position: number): ExprError =>
  new ExprError(
    'syntax',
    `The word ${JSON.stringify(shorten(word))} is unexpected. Words are digits (zero … nine), point, ` +
      'plus, minus, negative, times, multiplied by, divided by, over, open, close, to the power of, and names of variables; numbers and symbols may be written.',
    position,
  );
