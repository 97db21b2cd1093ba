import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { isWords } from './is-words.js';
import { withNumerals } from './numerals.js';
import { parse } from './parse.js';
import type { Limits } from './scan.js';
import { fromWords } from './words.js';

/** What may stand before an expression that is asked for. */
const OPENINGS = ['what is', "what's", 'how much is', 'calculate', 'compute', 'evaluate'].map((words) =>
  words.split(' '),
);
const OPENING = new RegExp(`^\\s*(?:${OPENINGS.map((words) => words.join('\\s+')).join('|')})(?=\\s|$)`, 'i');
/** What may stand after it. */
const CLOSING = /[?=]/;
const CLOSED = /^[\s?=]*$/;

/** Signs of print, and what keyboards have for them. */
const KEYS = new Map([
  ['×', '*'],
  ['·', '*'],
  ['÷', '/'],
  ['−', '-'],
]);

/** A text with × · ÷ − as * / -. */
export const asTyped = (text: string): string => text.replace(/[×·÷−]/g, (sign) => KEYS.get(sign)!);

/** The point that ends a sentence. */
const FULL_STOP = /(?<=[\w)])\.\s*$/;

/**
 * A text as predictors read it: `asTyped`, with numbers that are words of their own in digits ("twelve" is `12`), one blank
 * where there are several or other white space, without the point that ends a sentence, and words in lower case, but for the
 * first letter of a question, "What is …": words of numbers are whole tokens of GPT-2 in lower case alone.
 */
export function asRead(text: string): string {
  const said = withNumerals(text).replace(/\s+/g, ' ').replace(FULL_STOP, '');
  const words = said.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return asTyped(OPENING.test(said) ? words.replace(/[a-z]/, (letter) => letter.toUpperCase()) : words);
}

/**
 * The expression in a text that asks for it: blanks stand for "What is", from a question mark or an equals sign on all
 * is left out, and × · ÷ − are the symbols that \`parse\` knows. Everything stays where it was.
 */
export function askedFor(text: string): string {
  const end = text.search(CLOSING);
  const asked = end < 0 ? text : text.slice(0, end);
  return asTyped(asked).replace(OPENING, (opening) => ' '.repeat(opening.length));
}

/** Whether nothing but what may close a question stands in \`text\` from \`from\` to before \`to\`. */
export const isClosing = (text: string, from: number, to: number): boolean =>
  to <= from || CLOSED.test(text.slice(from, to));

/** Whether a text asks: it begins with "What is" or the like, or ends in a question mark. */
export const isQuestion = (text: string): boolean => OPENING.test(text) || /\?\s*$/.test(text);

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
 * The expression that a text asks for, in symbols or in words, as a question or not: \`2.5 * 3\`, \`2.5 × 3 =\`,
 * "two point five times three", "twelve plus 1,000", "What is 2.5 times (3 plus 4)?". It understands what models are trained on.
 *
 * @throws ExprError as \`parse\` and \`fromWords\`, with positions in \`text\`.
 */
export function fromText(text: string, limits: Limits = {}): Expr {
  if (typeof text !== 'string') return parse(text, limits);
  const asked = askedFor(withNumerals(text, true));
  if (!isClosing(text, asked.length, text.length))
    throw new ExprError('syntax', 'After the end of a question nothing may follow.', asked.length);
  return isWords(asked) ? fromWords(asked, limits) : parse(asked, limits);
}
