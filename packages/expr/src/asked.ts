import { checkObject, checkString } from './arguments.js';
import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { isWords } from './is-words.js';
import { withNumerals } from './numerals.js';
import { parse } from './parse.js';
import { checkLimit, type Limits } from './scan.js';
import { asTyped } from './signs.js';
import { fromWords, MAX_WORDS_LENGTH } from './words.js';

/** Words that may begin a question. */
const OPENINGS = ['what is', "what's", 'how much is', 'calculate', 'compute', 'evaluate'].map((words) =>
  words.split(' '),
);
const OPENING = new RegExp(`^\\s*(?:${OPENINGS.map((words) => words.join('\\s+')).join('|')})(?=\\s|$)`, 'i');
/** What ends the expression of a question, and all that may follow it. */
const CLOSING = /[?=]/;
const CLOSED = /^[\s?=]*$/;
/** The point that ends a sentence, and the blanks after it. */
const FULL_STOP = /(?<=[\w)])\.\s*$/;

/**
 * A text as predictors read it, in training and when they are asked. It says the same, in the way that most texts of
 * `generateText` do:
 *
 * - `* / -` for signs of print, as `asTyped` writes them;
 * - all numbers in digits where one is more than digits said one by one: "twenty-three plus two" is `23 plus 2`; `1000` for
 *   "1,000";
 * - words in lower case, which are whole tokens of GPT-2, but for the capital of a question, "How much is". "What is" may begin
 *   with a small letter;
 * - one blank in place of other white space, none at the ends. Among symbols alone two blanks stay, because training has them;
 * - no point at the end of a sentence.
 *
 * Of a text of `generateText` only signs of print change. `asRead(asRead(text))` is `asRead(text)`.
 *
 * @throws ExprError `bad-option` for what is no string.
 * @example asRead(' WHAT IS 2.5  × (Three plus 4)? ') // 'What is 2.5 * (three plus 4)?'
 */
export function asRead(text: string): string {
  checkString('A text is', text);
  const plain = asTyped(withNumerals(text.replace(FULL_STOP, '')).trim());
  const hasWords = /[a-z]/i.test(plain);
  const spaced = plain.replace(/\s+/g, (run) => (run === '  ' && !hasWords ? run : ' '));
  const lower = spaced.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (!OPENING.test(lower)) return lower;
  return (lower.startsWith('what is') ? spaced[0]! : lower[0]!.toUpperCase()) + lower.slice(1);
}

/**
 * The expression of a question. Blanks replace "What is", the text ends before the first question mark or equals sign, and signs
 * are those of a keyboard. All positions stay the same.
 */
export function expressionPart(text: string): string {
  const end = text.search(CLOSING);
  return asTyped(end < 0 ? text : text.slice(0, end)).replace(OPENING, (opening) =>
    ' '.repeat(opening.length),
  );
}

/** Whether `text` from index `from` to before `to` has nothing but blanks, `?` and `=`. */
export const isClosing = (text: string, from: number, to: number): boolean =>
  to <= from || CLOSED.test(text.slice(from, to));

/**
 * Whether a text is a question: it begins with "What is", "How much is", "Calculate", …, or ends in a question mark.
 *
 * @throws ExprError `bad-option` for what is no string.
 */
export function isQuestion(text: string): boolean {
  return OPENING.test(asTyped(text)) || /\?\s*$/.test(text);
}

/** Whether a text is a prefix of the first words of a question, with at least the first word whole: "What i". */
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
 * Parses an expression as people ask for it, in symbols or in words, as a question or not: `2.5 * 3`, `2.5 × 3 =`,
 * "two point five times three", "twelve plus 1,000", "What is 2.5 times (3 plus 4)?". It reads everything that models are
 * trained on.
 *
 * @param limits `maxLength` (100,000 characters of words, 10,000 of symbols) and `maxDepth` (256 levels).
 * @throws ExprError as `parse` and `fromWords`, with positions in `text`.
 * @example evaluate(fromText('What is twelve plus 1,000?')) // 1012
 */
export function fromText(text: string, limits: Limits = {}): Expr {
  checkObject('Limits are', limits);
  const { maxLength = MAX_WORDS_LENGTH } = limits;
  checkLimit('maxLength', maxLength);
  if (typeof text !== 'string' || text.length > maxLength) return parse(text, limits);
  const withoutStop = text.replace(FULL_STOP, (stop) => ' '.repeat(stop.length));
  const asked = expressionPart(withNumerals(withoutStop, true).replace(/\s/g, ' '));
  if (!isClosing(text, asked.length, text.length))
    throw new ExprError('syntax', 'After the end of a question nothing may follow.', asked.length);
  return isWords(asked) ? fromWords(asked, limits) : parse(asked, limits);
}
