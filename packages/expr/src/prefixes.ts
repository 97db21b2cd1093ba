import { expressionPart, isClosing } from './asked.js';
import { checkString, checkWhole, named } from './arguments.js';
import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { isWords } from './is-words.js';
import { parseTokens } from './parse.js';
import { scan } from './scan.js';
import type { Token } from './token.js';
import { readWords } from './words.js';

/** What one prefix of a text holds. */
export interface Prefix {
  /** Index of the last number that it has begun. */
  readonly last: number;
  /** That number as far as the prefix goes, without its sign: `2.5` of `2.50`. */
  readonly literal: string;
  /** Whether it ends in an operator, a sign or an open parenthesis. */
  readonly open: boolean;
}

/** All prefixes of a text. */
export interface Prefixes {
  /** The numbers as they are written, without their signs. */
  readonly literals: readonly string[];
  /** The prefix of the first `end` characters; null where it has no number or is no begin of an expression of numbers. */
  at(end: number): Prefix | null;
  /**
   * What `completePrefix` makes of the text up to the end of number `last`, parsed. A prefix that ends inside that
   * number has less of its digits in the same expression; one that ends between it and the next has this expression.
   */
  complete(last: number): Expr;
}

/**
 * Reads a text once for all its prefixes: `completePrefix` and `parse` of each would give the same. For expressions of
 * numbers: variables, powers and numbers with exponents end what is read, and so does a mistake. Words and questions are
 * understood as `completePrefix` understands them.
 *
 * @example
 * const { at, complete } = readPrefixes('2 * (3.50 + 4');
 * at(8) // { last: 1, literal: '3.5', open: false }
 * format(complete(1)) // '2 * 3.5'
 */
export function readPrefixes(text: string): Prefixes {
  checkString('A text is', text);
  const asked = expressionPart(text);
  const words = isWords(asked) ? readHead(readWords, asked) : null;
  const symbols = words === null ? asked : words.result.text;
  const {
    result: { tokens },
    end: firstMistake,
  } = readHead(scan, symbols);
  const { numbers, readable } = numbersOf(tokens, firstMistake);

  /** Where the symbols of the first `end` characters end; before all of them where these are not words. */
  const symbolsEnd = (end: number): number => {
    if (words === null) return end;
    if (end > words.end) return -1;
    return words.result.ends.findLast((phrase) => phrase.words <= end)?.text ?? 0;
  };

  return {
    literals: numbers.map(({ literal }) => literal),
    complete(last) {
      checkWhole('The index of a number', last, 0, numbers.length - 1);
      return parseTokens(tokens, numbers[last]!.token + 1);
    },
    at(end) {
      if (typeof end !== 'number') throw new ExprError('bad-option', `end is a number, not ${named(end)}.`);
      if (!isClosing(text, asked.length, end)) return null;
      const symbolEnd = symbolsEnd(Math.min(end, asked.length));
      const last = symbolEnd > readable ? -1 : numbers.findLastIndex(({ position }) => position < symbolEnd);
      if (last < 0) return null;
      const { literal, position, openFrom } = numbers[last]!;
      const begun = literal.slice(0, symbolEnd - position);
      return begun === '.' ? null : { last, literal: begun, open: symbolEnd > openFrom };
    },
  };
}

interface NumberInText {
  readonly literal: string;
  readonly position: number;
  /** Index of its token. */
  readonly token: number;
  /** Where the operator after it stands: prefixes that are longer wait for another number. */
  openFrom: number;
}

/** The numbers, and how far the text is an expression of nothing but numbers. */
function numbersOf(tokens: readonly Token[], end: number): { numbers: NumberInText[]; readable: number } {
  const numbers: NumberInText[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text, position } = tokens[i]!;
    if (kind === 'number' && !/[eE]/.test(text)) {
      numbers.push({ literal: text, position, token: i, openFrom: Infinity });
    } else if (kind === 'operator') {
      numbers.at(-1)!.openFrom = position;
    } else if (kind !== 'sign' && kind !== 'open' && kind !== 'close') {
      return { numbers, readable: position };
    }
  }
  return { numbers, readable: end };
}

/** Reads a text up to its first mistake, which is at `end`; Infinity where there is none. */
function readHead<T>(read: (text: string) => T, text: string): { result: T; end: number } {
  try {
    return { result: read(text), end: Infinity };
  } catch (error) {
    if (!(error instanceof ExprError) || error.position < 0) throw error;
    // Of a text that is too long, what is left may have a mistake before the end.
    const head = readHead(read, text.slice(0, error.position));
    return { ...head, end: Math.min(head.end, error.position) };
  }
}
