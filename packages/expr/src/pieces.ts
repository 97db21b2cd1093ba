import { nameAt } from './names.js';
import { NUMBER_WORDS } from './numerals.js';

/** A word, a number or a sign of the text. */
export interface Piece {
  readonly text: string;
  /** The same in lower case. */
  readonly word: string;
  readonly position: number;
}

const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\p{L}\w.])/uy;
const SUPERSCRIPT = /[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+/y;
/** A comma in a list, before a blank; others may be decimal commas. */
const SIGN = /\*\*|,(?=\s)|,\S?|[^]/uy;

/** Cuts a text into words, numbers and signs. */
export function cut(text: string): Piece[] {
  const pieces: Piece[] = [];
  const fractions = writtenFractions(text);
  for (let position = 0; position < text.length;) {
    if (/\s/.test(text[position]!)) {
      position++;
      continue;
    }
    const fraction = fractions.get(position);
    const piece =
      (fraction && text.slice(position, position + fraction)) ||
      matchAt(NUMBER, text, position) ||
      nameAt(text, position) ||
      matchAt(SUPERSCRIPT, text, position) ||
      matchAt(SIGN, text, position);
    pieces.push({ text: piece, word: piece.toLowerCase(), position });
    position += piece.length;
  }
  return pieces;
}

function matchAt(pattern: RegExp, text: string, position: number): string {
  pattern.lastIndex = position;
  return pattern.exec(text)?.[0] ?? '';
}

/** Numerator and denominator of a piece such as `½` or `3/4`; null for others. */
export function fractionOf(word: string): readonly (number | string)[] | null {
  return VULGAR_FRACTIONS.get(word) ?? (/^\d+\/\d+$/.test(word) ? word.split('/') : null);
}

/** Numerator and denominator of the fractions of print. */
export const VULGAR_FRACTIONS = new Map(
  Object.entries({ '½': [1, 2], '⅓': [1, 3], '⅔': [2, 3], '¼': [1, 4], '¾': [3, 4], '⅛': [1, 8] }),
);

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

const NUMBER_WORD = NUMBER_WORDS.join('|');
/** Not behind "two", to which a fraction may be added. */
export const BEHIND_NO_NUMBER = `(?<!\\b(?:${NUMBER_WORD})\\s{0,3})`;
const BEHIND_WORD = `(?<=[\\p{L},:]\\s{1,3}(?:[-+]\\s?)?)${BEHIND_NO_NUMBER}`;
const APART = '(?<![\\d.,/^*)%\\p{L}])';
const BEFORE_WORD = `${APART}(?=\\d+/\\d+(?:\\s?%\\s+of|\\s+(?:squared|cubed|to the|raised|thousand|million|billion))\\b)`;
const WHOLE = `${APART}(?<![\\d.]\\s{1,3})(?<whole>\\d{1,15}) `;
/**
 * A fraction of whole numbers without blanks, behind a word or before "squared", is one number, as in "the square root of 9/16" and "divided by -2/3"; so
 * is a mixed one, `2 1/2`. In symbols, as in `√9/16`, the signs around it bind as they do.
 */
export const WRITTEN_FRACTION = new RegExp(
  `(?:${BEHIND_WORD}|${BEFORE_WORD}|${WHOLE})(?<n>\\d{1,15})/(?<d>\\d{1,3}(?:,\\d{3})+|\\d{1,15})` +
    `(?![\\d\\p{L}_/*|√∛⁺⁻${SUPERSCRIPTS}]|[.,]\\d|\\s{0,3}(?:[\\^(]|\\*\\*)|\\s?%(?!\\s+of\\b)(?<!\\d \\d+/\\d+))`,
  'gu',
);

/** Positions of the fractions that `WRITTEN_FRACTION` matches, without whole numbers before them, and their lengths. */
export const writtenFractions = (text: string): ReadonlyMap<number, number> =>
  new Map(
    Array.from(text.matchAll(WRITTEN_FRACTION)).flatMap(({ index, 0: all, groups }) => {
      const { whole, n, d } = groups as { whole?: string; n: string; d: string };
      if (whole === undefined) return [[index, all.length]];
      return isProper(n, d) ? [[index + whole.length + 1, all.length - whole.length - 1]] : [];
    }),
  );

export const isProper = (n: string, d: string): boolean =>
  0 < Number(n) && Number(n) < Number(d.replaceAll(',', ''));

/** '-2' for ⁻²; null for what is no superscript. */
export function fromSuperscript(word: string): string | null {
  if (!/^[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]/.test(word)) return null;
  return Array.from(word, (sign) =>
    sign === '⁺' ? '' : sign === '⁻' ? '-' : SUPERSCRIPTS.indexOf(sign),
  ).join('');
}
