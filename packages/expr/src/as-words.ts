import { checkString } from './arguments.js';
import { formatValue, readExponent, writePoint } from './decimal.js';
import { evaluate } from './evaluate.js';
import { inDigits, NUMBER_WORDS, withoutCommas } from './numerals.js';
import { parse } from './parse.js';
import { VULGAR_FRACTIONS } from './pieces.js';
import { withFractions } from './spoken-fractions.js';
import { typed } from './typed.js';
import { BEHIND_NO_NUMBER, withWrittenFractions } from './written-fractions.js';

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻';
/** Not the power in `(1 + 2)²%`, which stands as it is: `^` would bind less than `%`. */
const RAISED = new RegExp(`[${SUPERSCRIPTS}]+(?![${SUPERSCRIPTS}]|\\s*%)`, 'g');
/** `5³%`. */
const RAISED_PERCENTAGE = new RegExp(
  `(?<![\\d.])(\\d+(?:\\.\\d+)?|\\.\\d+)([${SUPERSCRIPTS}]+)(?=\\s*%)`,
  'g',
);
/** `5% ^ 2`. */
const PERCENTAGE_RAISED = /(?<![\d.])(\d+(?:\.\d+)?|\.\d+)\s*%(?=\s*\^\s*[-+]?\s*[\d(.])/g;
/** "How many eights go into 128". */
const PLURAL = /(?<=\bhow many )(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)e?s\b/g;
/** One that is no number. */
const QUICK_ONE = /\b(quick|last|this|next|easy|simple|hard|tricky)\s+one(?=\s*(?:[:,.;!?]|$))/g;
/** "The third part of 81" is a third of it. */
const PART =
  /\b((?:the|an?|one) )?(half|third|quarter|(?:four|fif|six|seven|eigh|nin|ten|hundred|thousand)th)( part|s? parts)(?= of\b)/g;
/** The number of an item in a list, "Section B, question 4." and "1) Add", which is none of what it asks; "5) + 3" has a fault. */
const LABEL =
  /^\s*(?:([^\d?!]{0,40}?\b(?:question|exercise|problem|task|example|item|q))\s*#?\d{1,3}(?:\s{0,3}(?:[a-h]\)|\([a-h]\)[.:]?|[.:)]))(?=\s)|(?:\d{1,2}\)|\(?[a-h]\))(?=\s+[\p{L}\d(]))/u;
/** "(2 marks)". */
const MARKS = /[([]\s*\d+\s*(?:marks?|points?|pts)\s*[)\]]/g;
/** An exponent in parentheses, of numbers alone. */
const EXPONENT = /(?<=(?:\^|\bto the power(?: of)?|\braised to) (?:- )?)\( [\d.+\-*/ ]{1,100} \)(?! [%\d(])/g;
const NUMBER = `(?:[\\d)%|]|\\b(?:${NUMBER_WORDS.join('|')}))`;
/** The end of what asks for an operand. */
const ASKS = new RegExp(
  `(?:${[
    // Not where they join numbers, as in "3 subtracting 4".
    `(?<!${NUMBER}\\s{0,3})\\b(?:(?:add|subtract|multiply)(?:ing)?|(?:divid|tak|squar|cub|halv|doubl|tripl|increas|decreas|reduc|rais)(?:e|ing))`,
    '\\b(?:up|together|and|from|than|off|between|half|twice|thrice)',
    '(?:half|third|quarter|\\w{2,}th|sum|total|product|average|mean|square|cube|root|reciprocal|inverse|difference|quotient|ratio|double|percent|cent)s? of',
    `% of|${NUMBER}\\s{0,3}(?:,|\\b(?:to|by))`,
  ].join('|')})\\s{0,3}$`,
);
/** Behind a call: what is of its value. */
const CALL_GOES_ON = /^\s*(?:%|per ?cent\b|\^\s*[-+]?\s*[\d(.])/;
const SIGN = `[${[...VULGAR_FRACTIONS.keys()].join('')}]`;
// A whole number begins where no digit stands before it: from every digit it would take time quadratic in a run of them.
const VULGAR = new RegExp(
  `(?<![\\d.,])(\\d{1,3}(?:,\\d{3})+|\\d+)\\s*(${SIGN})|${BEHIND_NO_NUMBER}(${SIGN})(?<![\\d.]\\s*.)`,
  'gi',
);
const WORD = /(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?|\p{L}+(?:'\p{L}+)*|\S/gu;
/** What an apostrophe and these letters behind a word are short for. */
const CONTRACTIONS: Readonly<Record<string, string>> = {
  ...{ m: 'am', d: 'would', ll: 'will', ve: 'have', re: 'are' },
};
const CONTRACTED = /(?<=\p{L})'(m|d|ll|ve|re)(?![\p{L}\w'])/gu;
/** A number is written without its exponent where that takes no more digits than this. */
const MOST_DIGITS = 40;

/**
 * Rewrites a text as models read it, in training as in prediction: words in lower case, numbers in digits, and signs, each of them apart
 * from the next by one blank. Look-alikes become signs of a keyboard; brackets are `( )`, powers `^`, `2 x 3` is `2 * 3`. Numbers in words
 * or with an exponent become digits, "twenty-three" `23` and `1e-3` `0.001`, and so do fractions, "three quarters" `( 3 / 4 )`, and powers, "to
 * the fourth power" `to the power of 4`; "I'd" is `i would`, "quick one" `quick question`, and "Question 4." `question :`. Rewriting a text twice changes nothing more.
 *
 * @throws ExprError `bad-option` for what is no string.
 * @example asWords('What is 2.5×(Three plus 4)?') // 'what is 2.5 * ( 3 plus 4 ) ?'
 */
export function asWords(text: string): string {
  checkString('A text is', text);
  const signs = typed(withWrittenFractions(text).replace(VULGAR, fraction))
    .toLowerCase()
    .replace(RAISED_PERCENTAGE, '($1$2) ')
    .replace(RAISED, raised)
    .replace(/\*\*/g, '^')
    .replace(PERCENTAGE_RAISED, '($1%)')
    .replace(/√/g, ' sqrt ')
    .replace(/∛/g, ' cbrt ');
  const plain = withCalls(withoutBars(signs))
    .replace(/\bnought\b/g, 'zero')
    .replace(CONTRACTED, (_, letters: string) => ` ${CONTRACTIONS[letters]!}`)
    // No product, and nothing that a model reads.
    .replace(/(?<![\d.])0x(?=[\da-f])/g, '0 hex ')
    .replace(MARKS, ' ')
    .replace(LABEL, (_, words: string | undefined) => (words === undefined ? '' : `${words}:`))
    // A ratio of a group, which nothing here divides or multiplies: a sign that no model has seen.
    .replace(/:(?:(?<=\)\s*:)(?=\s*[\d(.|√+-])|(?<=[\d%]\s*:)(?=\s*\())/g, '∶')
    // Doubles nothing.
    .replace(/\bdouble[- ]check\b/g, 'check')
    // A blank to be filled in.
    .replace(/_{2,}/g, ' ? ')
    .replace(
      /\b(?:(cube)|square|sq)\.? rt\b\.?/g,
      (_, cube: string | undefined) => `${cube ?? 'square'} root`,
    )
    .replace(/\bone (?=(?:more|last) (?:thing|question)\b)/g, 'a ')
    .replace(/\broot square\b/g, 'square root')
    .replace(PART, (_, the = '', name: string, part: string) => (part === ' part' ? `a ${name}` : the + name))
    .replace(QUICK_ONE, '$1 question')
    .replace(PLURAL, '$1 s')
    .replace(/(?<=\p{L})-(?=\p{L})/gu, ' ');
  const words = withoutCommas(plain).match(WORD) ?? [];
  const digits = withFractions(inDigits(words.map(written).join(' ')));
  // "2 x four", and "point five" or "7 point 5".
  return digits
    .replace(/(?<=[\d)]) x (?=[\d(])/g, ' * ')
    .replace(/(?<!\S)(?:(\d+) |(?<!\d ))point (?=\d+(?!\S))/g, (_, whole = '0') => `${whole}.`)
    .replace(EXPONENT, exponent);
}

/** `16^(1/2)` is `16 ^ 0.5`. */
function exponent(signs: string): string {
  try {
    const value = evaluate(parse(signs));
    return Number.isFinite(value) ? formatValue(value).replace('-', '- ') : signs;
  } catch {
    return signs;
  }
}

/**
 * `sqrt(4)^2` and `sqrt(4)%` are a square and a percentage of the root: `(sqrt(4))^2`. That of "√4%" is of 4%. Behind a word, `abs(3 - 8)` is `(the
 * absolute value of (3 - 8))`.
 */
function withCalls(text: string): string {
  const begins: (number | undefined)[] = [];
  const put = new Map<number, string>();
  for (const { 0: sign, index } of text.matchAll(/\b(?:sqrt|cbrt|abs)\s*\(|[()]/g)) {
    if (sign !== ')') begins.push(sign === '(' ? undefined : index);
    else {
      // Of a text with a fault, no one knows what belongs together.
      if (begins.length === 0) return text;
      const [begin, end] = [begins.pop(), index + 1];
      if (begin === undefined) continue;
      const isPart = text.startsWith('abs', begin) && isAsked(text, begin);
      if (!isPart && !CALL_GOES_ON.test(text.slice(end, end + 20))) continue;
      put.set(begin, isPart ? '(the absolute value of ' : '(');
      put.set(end, ')');
    }
  }
  if (put.size === 0 || begins.length > 0) return text;
  return Array.from({ length: text.length + 1 }, (_, i) => (put.get(i) ?? '') + (text[i] ?? ''))
    .join('')
    .replace(/(?<=\(the absolute value of )abs/g, '');
}

/** Whether an operand of a phrase is to come at `index`: "half of", "the sum of 3 and". Not behind "the value of" or "plus". */
const isAsked = (text: string, index: number): boolean =>
  ASKS.test(text.slice(Math.max(0, index - 30), index));

/** `|2 - |5 - 12||` is `abs(2 - abs(5 - 12))`, and behind a word so is `|3 - 8|`: a bar opens where an operand is to come. */
function withoutBars(text: string): string {
  if (!/\|[^|]*\|/.test(text)) return text;
  /** The bars that are open, of the innermost parentheses last. */
  const open: number[][] = [[]];
  const put = new Map<number, string>();
  let isUnclear = false;
  let isOperand = false;
  for (const { 0: sign, index } of text.matchAll(/\S/g)) {
    const bars = open.at(-1)!;
    if (sign === '|') {
      const begin: number | undefined = isOperand ? bars.pop() : undefined;
      if (begin === undefined) {
        isUnclear ||= open.some(({ length }) => length > 0) || isAsked(text, index);
        bars.push(index);
      } else put.set(begin, ' abs(').set(index, ')');
      isOperand = begin !== undefined;
      continue;
    }
    if (sign === '(') open.push([]);
    // Of a text with a fault, no one knows what belongs together.
    else if (sign === ')' && (open.pop()!.length > 0 || open.length === 0)) return text;
    isOperand = /[\d.)%]/.test(sign);
  }
  if (!isUnclear || open.length > 1 || open[0]!.length > 0) return text;
  return Array.from(text, (sign, i) => put.get(i) ?? sign).join('');
}

/** `½` is `(1/2)` and `2½` is `(2+1/2)`. */
function fraction(_: string, whole: string | undefined, after: string | undefined, alone: string): string {
  const [n, d] = VULGAR_FRACTIONS.get(after ?? alone)!;
  return ` (${whole === undefined ? '' : `${whole.replaceAll(',', '')}+`}${n}/${d}) `;
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
