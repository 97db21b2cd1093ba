import { expressionPart, isClosing } from './question.js';
import { checkString, checkWhole, named } from './arguments.js';
import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { isWords } from './is-words.js';
import { parseTokens } from './parse.js';
import { scan } from './scan.js';
import type { Token } from './token.js';
import { readWords } from './words.js';

/** One prefix of a text, as `Prefixes.at` reads it. */
export interface Prefix {
  /** Index (from 0) of the last number that begins in the prefix. */
  readonly last: number;
  /** The digits of that number that are in the prefix, without its sign: `2.5` where the prefix ends inside `2.50`. */
  readonly literal: string;
  /** Whether the prefix ends in an operator, a sign or an open parenthesis. */
  readonly open: boolean;
}

/** A part of a text that says something: a number without its sign, an operator, a sign or a parenthesis. */
export interface Mark {
  readonly kind: 'number' | 'operator' | 'sign' | 'open' | 'close';
  /** In symbols: `*`, also where the text has "times". */
  readonly text: string;
  /** Index after it in the text; of a phrase, "divided by", after its first word, which says it already. */
  readonly end: number;
}

/** All prefixes of one text. */
export interface Prefixes {
  /** What the text says, in its order. */
  readonly marks: readonly Mark[];
  /** The numbers of the text as they are written, without their signs. */
  readonly literals: readonly string[];
  /**
   * The prefix of the first `end` characters; null where it has no number or no expression begins like this.
   *
   * @throws ExprError `bad-option` where `end` is no number.
   */
  at(end: number): Prefix | null;
  /**
   * The completed expression of the text up to the end of number `last`. It is also that of every prefix between this number
   * and the next; a prefix that ends inside number `last` has the same expression with fewer digits of that number.
   *
   * @throws ExprError `bad-option` where there is no number `last`.
   */
  complete(last: number): Expr;
}

/**
 * Reads a text once for all its prefixes, with the results of `completePrefix` and `parse` on each. Only expressions of numbers
 * are read: a variable, a power, a number with an exponent or a mistake ends the part of the text that is read. Words and
 * questions are read as `completePrefix` reads them.
 *
 * @throws ExprError `bad-option` for what is no string.
 * @example
 * const { at, complete } = readPrefixes('2 * (3.50 + 4');
 * at(8) // { last: 1, literal: '3.5', open: false }
 * format(complete(1)) // '2 * 3.5'
 */
export function readPrefixes(text: string): Prefixes {
  checkString('A text is', text);
  const expression = expressionPart(text);
  const words = isWords(expression) ? readHead(readWords, expression) : null;
  const symbols = words === null ? expression : words.result.text;
  const {
    result: { tokens },
    end: firstMistake,
  } = readHead(scan, symbols);
  const { numbers, readable } = numbersOf(tokens, firstMistake);

  /** The length in symbols of the first `end` characters; −1 past a mistake in words. */
  const symbolsEnd = (end: number): number => {
    if (words === null) return end;
    if (end > words.end) return -1;
    return words.result.ends.findLast((phrase) => phrase.words <= end)?.text ?? 0;
  };

  /** The index in the text after a symbol or number. */
  const endOf = ({ kind, text: symbol, position }: Token): number => {
    if (words === null) return position + symbol.length;
    const { ends } = words.result;
    if (kind === 'number') return ends.find(({ text }) => text === position + symbol.length)!.words;
    return ends.find(({ text }) => text === position + 1)!.first;
  };

  return {
    marks: tokens
      .filter(({ position }) => position < readable)
      .flatMap((token) =>
        isMark(token.kind) ? { kind: token.kind, text: token.text, end: endOf(token) } : [],
      ),
    literals: numbers.map(({ literal }) => literal),
    complete(last) {
      checkWhole('The index of a number', last, 0, numbers.length - 1);
      return parseTokens(tokens, numbers[last]!.token + 1);
    },
    at(end) {
      if (typeof end !== 'number') throw new ExprError('bad-option', `end is a number, not ${named(end)}.`);
      if (!isClosing(text, expression.length, end)) return null;
      const symbolEnd = symbolsEnd(Math.min(end, expression.length));
      const last = symbolEnd > readable ? -1 : numbers.findLastIndex(({ position }) => position < symbolEnd);
      if (last < 0) return null;
      const { literal, position, openFrom } = numbers[last]!;
      const begun = literal.slice(0, symbolEnd - position);
      return begun === '.' ? null : { last, literal: begun, open: symbolEnd > openFrom };
    },
  };
}

const isMark = (kind: Token['kind']): kind is Mark['kind'] =>
  ['number', 'operator', 'sign', 'open', 'close'].includes(kind);

interface NumberInText {
  readonly literal: string;
  readonly position: number;
  /** Index of its token. */
  readonly token: number;
  /** Position of the operator after it; a longer prefix is open until the next number. */
  openFrom: number;
}

/** The numbers of a text, and the end of the part that is an expression of numbers. */
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

/** Reads the part of a text before its first mistake. `end` is the position of the mistake, or Infinity. */
function readHead<T>(read: (text: string) => T, text: string): { result: T; end: number } {
  try {
    return { result: read(text), end: Infinity };
  } catch (error) {
    if (!(error instanceof ExprError) || error.position < 0) throw error;
    // Where the text was too long, the shortened one may have a mistake of its own.
    const head = readHead(read, text.slice(0, error.position));
    return { ...head, end: Math.min(head.end, error.position) };
  }
}
