import { formatValue } from './decimal.js';
import { DIGIT_WORDS } from './vocabulary.js';

const TEENS = [
  ...['ten', 'eleven', 'twelve', 'thirteen', 'fourteen'],
  ...['fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen'],
];
const TENS = ['twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety'];
const SCALES = ['thousand', 'million', 'billion'];

/** The value of each word of a number. */
const VALUES = new Map<string, number>([
  ['a', 1],
  ...[...DIGIT_WORDS, ...TEENS].map((word, i) => [word, i] as const),
  ...TENS.map((word, i) => [word, 10 * (i + 2)] as const),
  ['hundred', 100],
  ...SCALES.map((word, i) => [word, 1000 ** (i + 1)] as const),
]);

/** "Zero" to "billion". */
export const NUMBER_WORDS: readonly string[] = [...VALUES.keys()].slice(1);

/**
 * Matches a number that is not part of a name or of a longer number. It is not behind a point or a comma either, nor before one that a
 * word or number touches: its digits would become part of another number.
 */
function wholeNumber(pattern: string): RegExp {
  return new RegExp(`(?<![\\p{L}\\w.,])(?:${pattern})(?![\\p{L}\\w]|[.,][\\p{L}\\w])`, 'giu');
}
const anyOf = (words: readonly string[]): string => `(?:${words.join('|')})`;
const DIGIT = anyOf(DIGIT_WORDS);
/** Blanks, or a hyphen that touches both words: "five hundred - two" and "five hundred -two" are differences. */
const JOINT = '(?:\\s+|[-‐‑])';
/** "Twenty" of "twenty-five,3" is no number. */
const BELOW_HUNDRED = `(?:${anyOf(TENS)}(?:[-‐‑\\s]\\s*${anyOf(DIGIT_WORDS.slice(1))}|(?![-‐‑\\s]\\s*${anyOf(DIGIT_WORDS.slice(1))}(?![\\p{L}])))|${anyOf(TEENS)}|${DIGIT})`;
const AND = `${JOINT}(?:and${JOINT})?`;
/** Also "twelve hundred". In "two hundred and three hundred", three begins another number. */
const BELOW_THOUSAND = `(?:(?:a|${BELOW_HUNDRED})${JOINT}hundred(?:${AND}${BELOW_HUNDRED}(?!${JOINT}hundred))?|${BELOW_HUNDRED})`;
const CARDINAL = wholeNumber(
  `(?<!point\\s+)(?:a|${BELOW_THOUSAND})${JOINT}${anyOf(SCALES)}(?:${AND}${BELOW_THOUSAND}${JOINT}${anyOf(SCALES)})*(?:${AND}${BELOW_THOUSAND})?|${BELOW_THOUSAND}`,
);
/** A word of a number other than the digits zero … nine. */
const OWN_WORD = new RegExp([...TEENS, ...TENS, 'hundred', ...SCALES].join('|'), 'i');
/** A number in digits or said digit by digit, perhaps with decimals that are said digit by digit. */
const SAID = wholeNumber(`(?:\\d+|${DIGIT}(?:\\s+${DIGIT})*)(?:\\s+point\\s+${DIGIT}(?:\\s+${DIGIT})*)?`);
/** A number in digits or with decimals that are said, and a scale: "1.5 million", "one point five million"; not "1/2 million". */
const SCALED = wholeNumber(
  `(?<!\\d/)(?:(\\d+)(?:\\.(\\d+))?|(${BELOW_THOUSAND})\\s+point\\s+(${DIGIT}(?:\\s+${DIGIT})*))${JOINT}(hundred|${SCALES.join('|')})`,
);
/** A number with commas between thousands; a comma or a point of the sentence may follow. */
const GROUPED = /(?<![\p{L}\w.,])\d{1,3}(?:,\d{3})+(?:\.\d*)?(?![\p{L}\w]|[.,][\p{L}\w])/gu;

/**
 * Writes the numbers of a text in digits: "twenty-three plus five" becomes "23 plus 5", and "1,234" becomes "1234". A text whose
 * number words are all said digit by digit, as `toWords` says them, keeps them.
 *
 * @param inPlace Pads the digits with blanks to the length of the words, so that the rest of the text keeps its positions.
 */
export function withNumerals(text: string, inPlace = false): string {
  // "a billion" has fewer characters than its digits.
  const filled = (digits: string, phrase: string): string => {
    if (!inPlace) return digits;
    const short = digits.length > phrase.length ? Number(digits).toExponential().replace('+', '') : digits;
    return short.padEnd(phrase.length);
  };
  const ungrouped = text.replace(GROUPED, (number) => filled(number.replaceAll(',', ''), number));
  if (!OWN_WORD.test(ungrouped)) return ungrouped;
  let found = false;
  const scaled = ungrouped.replace(SCALED, (phrase: string, ...parts: string[]) => {
    const [digits, decimals, words = '', said = '', scale = ''] = parts;
    found = true;
    const whole = digits ?? digitsOf(String(valueOf(words) ?? words));
    const number = `${whole}.${decimals ?? digitsOf(said)}`;
    return filled(formatValue(Number(`${number}e${Math.log10(VALUES.get(scale.toLowerCase())!)}`)), phrase);
  });
  const cardinal = (phrase: string): string => {
    const value = valueOf(phrase);
    found ||= value !== null;
    return value === null ? phrase : filled(String(value), phrase);
  };
  const cardinals = scaled.replace(CARDINAL, (phrase) => {
    if (valueOf(phrase) !== null) return cardinal(phrase);
    // Two numbers of a list: "two thousand and three thousand".
    const [first = '', and = '', second] = phrase.split(/(\s+and\s+)/i);
    const isPair = second !== undefined && first.length + and.length + second.length === phrase.length;
    return isPair ? cardinal(first) + and + cardinal(second) : phrase;
  });
  return found ? cardinals.replace(SAID, (said) => filled(digitsOf(said), said)) : ungrouped;
}

/** The value of a phrase that CARDINAL matched; null for a single digit, and where scales do not decrease ("two thousand three million"). */
function valueOf(phrase: string): number | null {
  const words = phrase.toLowerCase().match(/[a-z]+/g)!;
  if (words.length === 1 && DIGIT_WORDS.includes(words[0]!)) return null;
  let all = 0;
  let below = 0;
  let last = Infinity;
  for (const word of words) {
    const value = VALUES.get(word);
    if (value === undefined) continue;
    if (value < 100) below += value;
    else if (value === 100) below *= 100;
    else {
      if (value >= last) return null;
      all += below * value;
      below = 0;
      last = value;
    }
  }
  return all + below;
}

function digitsOf(said: string): string {
  const digits = said
    .toLowerCase()
    .split(/\s+/)
    .map((word) => (word === 'point' ? '.' : DIGIT_WORDS.includes(word) ? DIGIT_WORDS.indexOf(word) : word));
  return digits.join('');
}

/** `withNumerals`, where digits said one by one become digits, too: "two plus three" is `2 plus 3`. */
export const inDigits = (text: string): string => withNumerals(text).replace(SAID, digitsOf);

/** A text without the commas between thousands. */
export const withoutCommas = (text: string): string =>
  text.replace(GROUPED, (number) => number.replaceAll(',', ''));
