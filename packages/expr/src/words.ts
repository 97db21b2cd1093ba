import { checkObject, checkString } from './arguments.js';
import { readExponent, writePoint } from './decimal.js';
import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { format } from './format.js';
import { isFunctionName, isName } from './names.js';
import { parse } from './parse.js';
import { checkLimit, scan, type Limits } from './scan.js';
import { isVocabulary, phraseOf, readPhrases, spell, type Spoken } from './vocabulary.js';

/** The default of `maxLength` for texts in words. */
export const MAX_WORDS_LENGTH = 100_000;
/** Numbers with more digits are an error: 1e-300 is written digit by digit, in 301 words. */
const MAX_DIGITS = 10_000;

/**
 * Says an expression in words: `2.5 * (3 + x)` is "two point five times open three plus x close". Numbers are said digit
 * by digit and without exponents, signs as "minus", variables by their names.
 *
 * @throws ExprError as `format`, and `unsupported` for a variable whose name is one of the words.
 * @example toWords(parse('12.5 / -4')) // 'one two point five divided by minus four'
 */
export function toWords(expr: Expr): string {
  return textToWords(format(expr));
}

/**
 * Parses an expression in words; `fromWords(toWords(e))` is `e` again.
 *
 * @param limits `maxLength` (100,000 characters of words) and `maxDepth` (256 levels).
 * @throws ExprError as `parse`, with positions in the words.
 */
export function fromWords(words: string, limits: Limits = {}): Expr {
  checkObject('Limits are', limits);
  const { maxLength = MAX_WORDS_LENGTH } = limits;
  checkLength(words, maxLength);
  const { spoken, rest } = readPhrases(words, 'whole');
  if (rest !== null)
    throw new ExprError(
      'syntax',
      `${JSON.stringify(rest)} is no whole word or phrase.`,
      words.trimEnd().length,
    );
  const { text, offsets } = write(spoken, 'whole');
  try {
    return parse(text, { ...limits, maxLength: Infinity });
  } catch (error) {
    if (!(error instanceof ExprError) || error.code === 'bad-option') throw error;
    const at =
      error.position >= text.length ? -1 : offsets.findLastIndex((offset) => offset <= error.position);
    throw new ExprError(error.code, error.message, spoken[at]?.position ?? words.trimEnd().length);
  }
}

/**
 * Writes words, or a prefix of a text in words, in symbols: "two point five times" becomes "2.5 *". A word or phrase that the end
 * of the text cuts off is dropped: "two poi" and "two divided" become "2". A last word that is a prefix of a word of the
 * vocabulary counts as cut off, so that a variable named `t` must be followed by a space there.
 *
 * @throws ExprError `syntax` at what is neither a word, a name, a number nor a symbol.
 * @example wordsToText('two point five times') // '2.5 *'
 */
export function wordsToText(words: string): string {
  return readWords(words).text;
}

/** The ends of a phrase, or of a written character, in the words and in symbols, and that of its first word. */
interface Ends {
  readonly words: number;
  readonly first: number;
  readonly text: number;
}

/** The text of `wordsToText`, and where each phrase and each written character ends. */
export function readWords(words: string): { text: string; ends: Ends[] } {
  checkLength(words, Infinity);
  const { spoken } = readPhrases(words, 'prefix');
  const { text, offsets } = write(spoken, 'prefix');
  const ends = spoken.flatMap(({ symbol, position, end, written }, i): Ends[] => {
    const first = position + words.slice(position, end).search(/\s|$/);
    if (!written) return [{ words: end, first, text: offsets[i]! + symbol.length }];
    return Array.from(symbol, (_, c) => {
      const at = position + c + 1;
      return { words: at, first: at, text: offsets[i]! + c + 1 };
    });
  });
  return { text, ends };
}

/**
 * Says an expression or a prefix of one in words, token by token. Digits are said as written, `2.50` is "two point five zero";
 * exponents are written out, `1e-3` is "zero point zero zero one".
 *
 * @throws ExprError as `parse`, but not where only the end is missing; `unsupported` for a variable whose name is one of the
 *   words; `too-long` for a number of more than 10,000 digits.
 * @example textToWords('(2.50+3)*-4') // 'open two point five zero plus three close times minus four'
 */
export function textToWords(text: string): string {
  const { tokens } = scan(text, { maxLength: Infinity, maxDepth: Infinity });
  const words: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text: written, position } = tokens[i]!;
    if (kind === 'symbol') words.push(sayable(written, position));
    else if (kind === 'function') words.push(sayFunction(written));
    else if (kind === 'close') words.push(spell(')'));
    else if (kind === 'power') {
      // 'x^2^3' is no square, nor is 'x^2%', whose exponent is 2%.
      const next = tokens[i + 2]?.kind;
      const short = next !== 'power' && next !== 'percent' ? phraseOf(`^${tokens[i + 1]?.text}`) : undefined;
      words.push(short ?? spell('^'));
      if (short !== undefined) i++;
    } else words.push(spell(writeOut(written, position)));
  }
  return words.filter((word) => word !== '').join(' ');
}

/** `sqrt(` is "the square root of open". */
function sayFunction(opening: string): string {
  const name = opening === '|' ? 'abs' : opening.slice(0, -1).trimEnd();
  return `${phraseOf(`${name}(`)} ${spell('(')}`;
}

function sayable(name: string, position: number): string {
  if (!isVocabulary(name)) return name;
  throw new ExprError(
    'unsupported',
    `A variable named '${name}' cannot be said: it is a word for something else.`,
    position,
  );
}

/** A number without its exponent: 1.5e3 is 1500, 1.5e-3 is 0.0015. */
function writeOut(number: string, position: number): string {
  const parts = readExponent(number);
  if (parts === null) return number;
  const size = Math.abs(parts.point) + parts.digits.length;
  if (size > MAX_DIGITS) {
    throw new ExprError(
      'too-long',
      `A number that takes ${size} digits without its exponent is not said; at most ${MAX_DIGITS} are.`,
      position,
    );
  }
  return writePoint(parts);
}

/**
 * Writes symbols with the spaces of `format`. `offsets[i]` is the position of symbol i in the text. Without parentheses, the argument
 * of a function ends before the next + - * / or at the end of the group around it. In a 'prefix' the last argument may go on.
 */
function write(spoken: readonly Spoken[], as: 'whole' | 'prefix'): { text: string; offsets: number[] } {
  let text = '';
  const offsets: number[] = [];
  let before = '(';
  let numeral = false;
  let nesting = 0;
  /** The nesting at which each argument without parentheses began. */
  const bare: number[] = [];
  spoken.forEach(({ symbol, written, position }, i) => {
    const operand =
      before === ')' || before === '%' || isName(before) || isDigit(before) || isShortPower(before);
    const binary = operand && '+-*/'.includes(symbol);
    // Written in symbols, the sign or power would belong to the exponent.
    if (isShortPower(before) && (symbol === '%' || symbol.startsWith('^')))
      throw new ExprError(
        'unsupported',
        'A percentage or power of a power is said with parentheses: "open two squared close percent".',
        position,
      );
    if (binary || symbol === ')') for (; bare.at(-1) === nesting; bare.pop()) text += ')';
    if (symbol === '(') nesting++;
    else if (symbol === ')') nesting--;
    else if (isFunction(symbol) && spoken[i + 1]?.symbol !== '(') bare.push(nesting);
    if (symbol === '(' && isFunction(before)) {
      offsets.push(text.length - 1);
    } else {
      const apart =
        operand &&
        (isName(symbol) || symbol.endsWith('(') || isDigit(symbol)) &&
        !(symbol === '(' && isFunctionName(before)) &&
        // Digits said one by one belong to one number.
        !(isDigit(before) && isDigit(symbol) && !numeral && !written);
      if (binary || apart) text += ' ';
      offsets.push(text.length);
      text += binary ? `${symbol} ` : symbol;
    }
    // A bar opens where an operand is expected.
    before = symbol === '|' ? (operand ? ')' : '(') : symbol;
    numeral = written;
  });
  text = text.trimEnd();
  const isCut = as === 'prefix' || isFunction(before);
  return { text: isCut ? text : text + ')'.repeat(bare.length), offsets };
}

/** `sqrt(`, as "the square root of" says it. */
const isFunction = (symbol: string): boolean => symbol.length > 1 && symbol.endsWith('(');

/** `^2`, as "squared" says it. */
const isShortPower = (symbol: string): boolean => symbol.length > 1 && symbol.startsWith('^');

const isDigit = (symbol: string): boolean => /^[0-9.]+(?:[eE][+-]?\d+)?$/.test(symbol);

function checkLength(words: string, maxLength: number): void {
  checkString('Words are', words);
  checkLimit('maxLength', maxLength);
  if (words.length > maxLength) {
    throw new ExprError(
      'too-long',
      `The words have ${words.length} characters; at most ${maxLength} are read.`,
      maxLength,
    );
  }
}
