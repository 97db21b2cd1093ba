import { checkObject, checkString } from './arguments.js';
import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { isWords } from './is-words.js';
import { withNumerals } from './numerals.js';
import { parse } from './parse.js';
import { checkLimit, type Limits } from './scan.js';
import { fromWords, MAX_WORDS_LENGTH } from './words.js';

/** What may stand before an expression that is asked for. */
const OPENINGS = ['what is', "what's", 'how much is', 'calculate', 'compute', 'evaluate'].map((words) =>
  words.split(' '),
);
const OPENING = new RegExp(
  `^\\s*(?:${OPENINGS.map((words) => words.join('\\s+').replace("'", "['’]")).join('|')})(?=\\s|$)`,
  'i',
);
/** What may stand after it. */
const CLOSING = /[?=]/;
const CLOSED = /^[\s?=]*$/;

/** Signs of print, and what keyboards have for them. */
const KEYS = new Map([
  ['×', '*'],
  ['·', '*'],
  ['÷', '/'],
  ['−', '-'],
  ['’', "'"],
]);

/** A text with × · ÷ − ’ as * / - '. */
export function asTyped(text: string): string {
  checkString('A text is', text);
  return text.replace(/[×·÷−’]/g, (sign) => KEYS.get(sign)!);
}

/**
 * A text as predictors read it: `asTyped`, with words in lower case, but for the first letter of a question as "What is …".
 * Words of numbers are whole tokens of GPT-2 in lower case alone. The length stays.
 */
export function asRead(text: string): string {
  checkString('A text is', text);
  const kept = OPENING.test(text) ? text.search(/\S/) + 1 : 0;
  const rest = text.slice(kept).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return asTyped(text.slice(0, kept) + rest);
}

/** The point that ends a sentence, and the blanks after it. */
const FULL_STOP = /(?<=[\w)])\.\s*$/;

/**
 * A whole text in the way that most are written: with numbers that are words of their own in digits ("twelve" is `12`, "1,000"
 * is `1000`), one blank where there are several or other white space and none around it, a capital where it asks, and without
 * the point that ends a sentence. It says the same.
 */
export function tidied(text: string): string {
  checkString('A text is', text);
  const plain = withNumerals(text.replace(FULL_STOP, '')).trim().replace(/\s+/g, ' ');
  return OPENING.test(plain) ? plain[0]!.toUpperCase() + plain.slice(1) : plain;
}

/**
 * A text for `parse`: as `tidied` changes it, but with blanks in place of what is dropped, so that all the rest keeps its
 * position.
 */
const tidiedInPlace = (text: string): string =>
  withNumerals(
    text.replace(FULL_STOP, (end) => ' '.repeat(end.length)),
    true,
  ).replace(/\s/g, ' ');

/**
 * The expression in a text that asks for it: blanks stand for "What is", from a question mark or an equals sign on all
 * is left out, and × · ÷ − are the symbols that `parse` knows. Everything stays where it was.
 */
export function askedFor(text: string): string {
  const end = text.search(CLOSING);
  const asked = end < 0 ? text : text.slice(0, end);
  return asTyped(asked).replace(OPENING, (opening) => ' '.repeat(opening.length));
}

/** Whether nothing but what may close a question stands in `text` from `from` to before `to`. */
export const isClosing = (text: string, from: number, to: number): boolean =>
  to <= from || CLOSED.test(text.slice(from, to));

/** Whether a text asks: it begins with "What is" or the like, or ends in a question mark. */
export function isQuestion(text: string): boolean {
  checkString('A text is', text);
  return OPENING.test(text) || /\?\s*$/.test(text);
}

/** Whether a text is the begin of "What is", of which at least the first word is whole. */
export function isOpening(text: string): boolean {
  const words = text.trim().toLowerCase().split(/\s+/);
  return OPENINGS.some(
    (opening) =>
      words.length <= opening.length &&
      words[0] === opening[0] &&
      words.every((word, i) => (i + 1 < words.length ? word === opening[i] : opening[i]!.startsWith(word))),
  );
}

/**
 * The expression that a text asks for, in symbols or in words, as a question or not: `2.5 * 3`, `2.5 × 3 =`,
 * "two point five times three", "twelve plus 1,000", "What is 2.5 times (3 plus 4)?". It understands what models are trained on.
 *
 * @throws ExprError as `parse` and `fromWords`, with positions in `text`.
 */
export function fromText(text: string, limits: Limits = {}): Expr {
  checkObject('Limits are', limits);
  const { maxLength = MAX_WORDS_LENGTH } = limits;
  checkLimit('maxLength', maxLength);
  if (typeof text !== 'string' || text.length > maxLength) return parse(text, limits);
  const asked = askedFor(tidiedInPlace(text));
  if (!isClosing(text, asked.length, text.length))
    throw new ExprError('syntax', 'After the end of a question nothing may follow.', asked.length);
  return isWords(asked) ? fromWords(asked, limits) : parse(asked, limits);
}
