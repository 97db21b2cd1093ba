import { nameAt } from './names.js';

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
  for (let position = 0; position < text.length;) {
    if (/\s/.test(text[position]!)) {
      position++;
      continue;
    }
    const piece =
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

/** Numerator and denominator of the fractions of print. */
export const VULGAR_FRACTIONS = new Map(
  Object.entries({ '½': [1, 2], '⅓': [1, 3], '⅔': [2, 3], '¼': [1, 4], '¾': [3, 4], '⅛': [1, 8] }),
);

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** '-2' for ⁻²; null for what is no superscript. */
export function fromSuperscript(word: string): string | null {
  if (!/^[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]/.test(word)) return null;
  return Array.from(word, (sign) =>
    sign === '⁺' ? '' : sign === '⁻' ? '-' : SUPERSCRIPTS.indexOf(sign),
  ).join('');
}
