import { checkString } from './arguments.js';
import { readExponent, writePoint } from './decimal.js';
import { inDigits, withoutCommas } from './numerals.js';
import { withFractions } from './spoken-fractions.js';
import { typed } from './typed.js';

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻';
const RAISED = new RegExp(`[${SUPERSCRIPTS}]+`, 'g');
const WORD = /(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?|\p{L}+(?:'\p{L}+)*|\S/gu;
/** A number is written without its exponent where that takes no more digits than this. */
const MOST_DIGITS = 40;

/**
 * Rewrites a text as models read it, in training as in prediction: words in lower case, numbers in digits, and signs, each of them apart
 * from the next by one blank. Look-alikes become signs of a keyboard; brackets are `( )`, powers `^`, `2 x 3` is `2 * 3`. Numbers in words
 * or with an exponent become digits, "twenty-three" `23` and `1e-3` `0.001`, and so do fractions, "three quarters" `( 3 / 4 )`, and powers, "to
 * the fourth power" `to the power of 4`. Rewriting a text twice changes nothing more.
 *
 * @throws ExprError `bad-option` for what is no string.
 * @example asWords('What is 2.5×(Three plus 4)?') // 'what is 2.5 * ( 3 plus 4 ) ?'
 */
export function asWords(text: string): string {
  checkString('A text is', text);
  const plain = typed(text)
    .toLowerCase()
    .replace(RAISED, raised)
    .replace(/\*\*/g, '^')
    .replace(/√/g, ' sqrt ')
    .replace(/∛/g, ' cbrt ')
    .replace(/(?<=\p{L})-(?=\p{L})/gu, ' ');
  const words = withoutCommas(plain).match(WORD) ?? [];
  return withFractions(inDigits(words.map(written).join(' ')));
}

/** `²` is `^2`. */
function raised(signs: string): string {
  const plain = Array.from(signs, (sign) => '0123456789+-'[SUPERSCRIPTS.indexOf(sign)]).join('');
  return `^${plain}`;
}

function written(word: string): string {
  if (word.startsWith('.') && word.length > 1) return written(`0${word}`);
  const parts = /^\d/.test(word) ? readExponent(word) : null;
  if (parts === null || Math.abs(parts.point) + parts.digits.length > MOST_DIGITS) return word;
  return writePoint(parts);
}
