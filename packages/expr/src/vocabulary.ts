import { checkString, shorten } from './arguments.js';
import { ExprError } from './error.js';
import { isName } from './names.js';

/** The words for the digits 0 … 9. */
export const DIGIT_WORDS = 'zero one two three four five six seven eight nine'.split(' ');

/** The phrases for each symbol. All are understood; `spell` says the first. */
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
  ['^2', 'squared'],
  ['^3', 'cubed'],
  ['sqrt(', 'the square root of'],
  ['sqrt(', 'square root of'],
  ['cbrt(', 'the cube root of'],
  ['cbrt(', 'cube root of'],
  ['abs(', 'the absolute value of'],
  ['abs(', 'absolute value of'],
  ['%', 'percent'],
  ['%', 'per cent'],
  ['(', 'open'],
  ['(', 'open parenthesis'],
  [')', 'close'],
  [')', 'close parenthesis'],
];

/** Phrases for a sign only. They are understood as operators too, but never generated as such. */
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

/** The words for a text of symbols, character by character. Characters without words are left out. */
export function spell(symbols: string): string {
  let words = '';
  for (const symbol of symbols) {
    const phrase = SAID.get(symbol);
    if (phrase !== undefined) words += words === '' ? phrase : ` ${phrase}`;
  }
  return words;
}

/** The words for a symbol of several characters, such as `^2` or `sqrt(`; undefined where it has none. */
export const phraseOf = (symbol: string): string | undefined => SAID.get(symbol);

/**
 * The symbol that a word says by itself, in any case: '5' for five, '.' for point, '-' for minus and negative, '*' for times;
 * undefined for other words, also for those of longer phrases.
 *
 * @example symbolOf('negative') // '-'
 */
export function symbolOf(word: string): string | undefined {
  checkString('A word is', word);
  const lower = word.toLowerCase();
  return PHRASES.find(([, phrase]) => phrase === lower)?.[0];
}

/** All phrases for a symbol. `isSign`: whether it is a sign, and no operator. */
export const waysToSay = (symbol: string, isSign: boolean): string[] =>
  PHRASES.filter(([said, phrase]) => said === symbol && (isSign || !SIGNS.has(phrase))).map(
    ([, phrase]) => phrase,
  );

/** The phrases for a symbol, signs included. */
export const phrasesOf = (symbol: string): string[] => waysToSay(symbol, true);

/** Whether a word, in upper or lower case, is part of a phrase. */
export const isVocabulary = (word: string): boolean => VOCABULARY.has(word.toLowerCase());

/** A symbol or name that a text in words contains. */
export interface Spoken {
  readonly symbol: string;
  /** Index of its first character in the words. */
  readonly position: number;
  /** Index after its last character. */
  readonly end: number;
  /** Whether it is written in symbols (`12.5`, `(`), and not in words. */
  readonly written: boolean;
}

/** A number, a symbol, or a word, which ends before the next symbol or blank. */
const PIECE = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[()+\-*/^%|]|[^\s()+\-*/^%|.\d][^\s()+\-*/^%|]*|\S/g;

/** Cuts a text in words into words, numbers and symbols. */
export function piecesOf(text: string): { word: string; position: number; written: boolean }[] {
  return Array.from(text.matchAll(PIECE), (match) => ({
    word: match[0],
    position: match.index,
    written: /^[\d.()+\-*/^%|]/.test(match[0]) && match[0] !== '.',
  }));
}

/** Whether a word is a prefix of a word of the vocabulary. */
export const beginsVocabulary = (word: string): boolean =>
  [...VOCABULARY].some((known) => known.startsWith(word.toLowerCase()));

/**
 * Reads a text in words, phrase by phrase. `rest` is a phrase at the end that the text cuts off, or null. In a 'prefix' the
 * last word may be cut off as well; in a 'whole' text such a word is a name, as is every word outside the vocabulary.
 *
 * @throws ExprError `syntax` at a word that is neither in the vocabulary nor a name.
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

/** Whether these last words of a text are a proper prefix of a phrase. */
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
      'plus, minus, negative, times, multiplied by, divided by, over, open, close, percent, squared, cubed, to the power of, the square root of, ' +
      'the cube root of, the absolute value of, and names of variables; numbers and symbols may be written.',
    position,
  );
