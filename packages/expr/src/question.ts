import { checkObject, checkString } from './arguments.js';
import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { isWords } from './is-words.js';
import { withNumerals } from './numerals.js';
import { parse } from './parse.js';
import { readFrames } from './read-frames.js';
import { checkLimit, type Limits } from './scan.js';
import { withKeys, withoutPrint } from './signs.js';
import { withOrdinalPowers } from './spoken-fractions.js';
import { mixedSigns, typed, ungrouped } from './typed.js';
import { positionBefore, withDivisors, withWrittenFractions } from './written-fractions.js';
import { fromWords, MAX_WORDS_LENGTH } from './words.js';

/** Words that may begin a question, also several of them: "Please calculate the value of". */
const OPENINGS = [
  ...[
    'what is',
    "what's",
    'how much is',
    'calculate',
    'compute',
    'evaluate',
    'work out',
    'find',
    'determine',
  ],
  ...['solve', 'please', 'can you', 'could you', 'tell me', 'give the answer in decimals'],
  ...['the value of', 'the result of', 'the answer to'],
].map((words) => words.split(' '));
const OPENING = new RegExp(
  `^\\s*(?:(?:${OPENINGS.map((words) => words.join('\\s+')).join('|')})(?:[,:.]?\\s+|\\s*$))+`,
  'i',
);
/** What ends the expression of a question, and all that may follow it. */
const CLOSING = /[?=]/;
const CLOSED = /^[\s?=]*$/;
/** "to the power of 1/2": an exponent to most people, where 9^1/2 in symbols is (9^1)/2. */
const FRACTION_AS_EXPONENT = /\b(?:power(?:\s+of)?|raised\s+to)\s+[-+]?[\d.]+\/[\d.]/i;
/** The point that ends a sentence, and the blanks after it. */
const FULL_STOP = /(?<=[\w)\]}%|])\.\s*$/;

/**
 * Rewrites the text of an expression as models read it, in training as in prediction. The meaning stays the same:
 *
 * - Signs of print become those of a keyboard: `* / - '` for × · ⋅ ÷ − – ’.
 * - Numbers become digits if one of them is more than digits said one by one: "twenty-three plus two" is `23 plus 2`, "1,000" is
 *   `1000`, and "two plus three" stays.
 * - Letters become lower case, because words in lower case are whole tokens of GPT-2. A question begins with a capital, "How much
 *   is"; "What is" and "what is" both stay.
 * - White space becomes one blank, and is removed at the ends. Two blanks in a text without words stay.
 * - The point at the end of a sentence is removed.
 *
 * Training texts, which `generateText` writes, have these forms already, so that only their signs of print change. Rewriting a
 * text twice changes nothing more.
 *
 * @throws ExprError `bad-option` for what is no string.
 * @example asRead(' WHAT IS 2.5  × (Three plus 4)? ') // 'What is 2.5 * (three plus 4)?'
 */
export function asRead(text: string): string {
  checkString('A text is', text);
  const plain = withNumerals(
    withoutPrint(ungrouped(withDivisors(text.replace(FULL_STOP, '')), false)),
  ).trim();
  const hasWords = /[a-z]/i.test(plain);
  const spaced = plain.replace(/\s+/g, (run) => (run === '  ' && !hasWords ? run : ' '));
  const lower = spaced.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (!OPENING.test(lower)) return lower;
  return (lower.startsWith('what is') ? spaced[0]! : lower[0]!.toUpperCase()) + lower.slice(1);
}

/**
 * The expression of a question, as `parse` wants it. Blanks replace "What is", and the text ends before the first question mark
 * or equals sign, or a bracket or currency sign of the wrong kind. All positions stay the same.
 */
export function expressionPart(text: string): string {
  const keyed = typed(text).slice(0, mixedSigns(text)?.position);
  const end = keyed.search(CLOSING);
  return (end < 0 ? keyed : keyed.slice(0, end)).replace(OPENING, (opening) => ' '.repeat(opening.length));
}

/** Whether `text` from index `from` to before `to` has nothing but blanks, `?` and `=`. */
export const isClosing = (text: string, from: number, to: number): boolean =>
  to <= from || CLOSED.test(withKeys(text.slice(from, to)));

/**
 * Whether a text is a question: it begins with "What is", "How much is", "Calculate", …, or ends in a question mark.
 *
 * @throws ExprError `bad-option` for what is no string.
 */
export function isQuestion(text: string): boolean {
  checkString('A text is', text);
  const keyed = withKeys(text);
  return OPENING.test(keyed) || /\?\s*$/.test(keyed);
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
 * "two point five times three", "twelve plus 1,000", "What is 2.5 times (3 plus 4)?", `[2 x 3] – $1 000`.
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
  const written = withWrittenFractions(text);
  try {
    return readText(written, limits);
  } catch (error) {
    if (written === text || !(error instanceof ExprError)) throw error;
    throw new ExprError(error.code, error.message, positionBefore(text, written, error.position));
  }
}

function readText(text: string, limits: Limits): Expr {
  const withoutStop = text.replace(FULL_STOP, (stop) => ' '.repeat(stop.length));
  const mixed = mixedSigns(withNumerals(withoutStop, true));
  if (mixed !== null) throw mixed;
  const spoken = withOrdinalPowers(withNumerals(typed(withoutStop), true));
  const expression = expressionPart(spoken.replace(/\s/g, ' '));
  if (!isClosing(text, expression.length, text.length))
    throw new ExprError('syntax', 'After the end of a question nothing may follow.', expression.length);
  const exponent = expression.search(FRACTION_AS_EXPONENT);
  if (exponent >= 0)
    throw new ExprError(
      'ambiguous',
      'A fraction may be the exponent or only begin with it; parentheses tell them apart, as in "the power of (1/2)".',
      exponent,
    );
  try {
    return isWords(expression) ? fromWords(expression, limits) : parse(expression, limits);
  } catch (error) {
    if (!(error instanceof ExprError) || !['syntax', 'unsupported'].includes(error.code)) throw error;
    const read = readFrames(expression, limits);
    if (read === null) throw error;
    return read;
  }
}
