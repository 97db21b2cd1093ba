import { checkString } from './arguments.js';
import { ExprError } from './error.js';
import { isWords } from './is-words.js';
import { expressionPart, isClosing, isOpening } from './question.js';
import { parse } from './parse.js';
import { scan, type Scan } from './scan.js';
import { wordsToText } from './words.js';

/** The limit of `parse`, which has to read the result. */
const MAX_LENGTH = 10_000;

/**
 * Completes a prefix of an expression: writes a digit after a dangling decimal point ("2." becomes "2.0"), drops operators,
 * signs and open parentheses at the end, and closes open parentheses. A whole expression is only trimmed. Prefixes in
 * words and of questions are completed as well, and returned in symbols.
 *
 * @returns A text that `parse` reads, or null where nothing is left or no expression begins like this. Never throws on strings.
 * @throws ExprError `bad-option` for what is no string.
 * @example completePrefix('2.5 * (3 +') // '2.5 * (3)'
 * @example completePrefix('two point') // '2.0'
 */
export function completePrefix(text: string): string | null {
  checkString('A text is', text);
  const expression = expressionPart(text);
  if (isOpening(text) || !isClosing(text, expression.length, text.length)) return null;
  try {
    const symbols = isWords(expression) ? wordsToText(expression) : expression;
    const completed = complete(symbols, scan(symbols));
    if (completed === null || completed.length > MAX_LENGTH) return null;
    // Whether an exponent is constant and finite is no matter of its tokens.
    if (/\^|\*\*/.test(completed)) parse(completed);
    return completed;
  } catch (error) {
    if (error instanceof ExprError) return null;
    throw error;
  }
}

function complete(text: string, { tokens, unclosed }: Scan): string | null {
  const last = tokens.findLastIndex(
    ({ kind }) => kind === 'number' || kind === 'symbol' || kind === 'close' || kind === 'percent',
  );
  if (last < 0) return null;
  const opened = tokens.slice(last + 1).filter(({ kind }) => kind === 'open' || kind === 'function');
  const { position, text: lastText, kind } = tokens[last]!;
  const kept = text.slice(tokens[0]!.position, position + lastText.length);
  const decimal = kind === 'number' && lastText.endsWith('.') ? '0' : '';
  const closers = unclosed.slice(0, unclosed.length - opened.length).reverse();
  return kept + decimal + closers.join('');
}
