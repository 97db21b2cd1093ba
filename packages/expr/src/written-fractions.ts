import { NUMBER_WORDS } from './numerals.js';

/** Not behind "two", to which a fraction may be added. */
export const BEHIND_NO_NUMBER = `(?<!\\b(?:${NUMBER_WORDS.join('|')})\\s{0,3})`;
const SIGN = '(?:[-+−–]\\s?)?';
const FRACTION = '\\d{1,15}[/⁄∕](?:\\d{1,3}(?:,\\d{3})+|\\d{1,15})';
/** Where it is no part of a longer term. */
const ENDS = '(?![\\d\\p{L}_/⁄∕*×·⋅|√∛⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]|[.,]\\d|\\s{0,3}(?:[\\^(]|\\*\\*))';
const APART = '(?<![\\d.,/⁄∕^*×·⋅)%\\p{L}])';
const WORDS = 'squared|cubed|to the|raised|thousand|million|billion|less than|more than';

/** `3 ÷ 1/2`: who writes both signs means different things by them. */
const DIVISOR = new RegExp(`(?<=÷\\s{1,3}${SIGN})${FRACTION}${ENDS}(?!\\s?%)`, 'gu');
const WRITTEN = new RegExp(
  [
    `${APART}(?<![\\d.]\\s{1,3})(?<whole>\\d{1,15}) (?<part>${FRACTION})`,
    // Behind a word.
    `(?<=[\\p{L},:]\\s{1,3}${SIGN})${BEHIND_NO_NUMBER}${FRACTION}(?!\\s+of\\b|\\s?%(?!\\s+of\\b))`,
    `${APART}${FRACTION}(?=\\s?%\\s+of\\b|\\s+(?:${WORDS})\\b)`,
  ]
    .map((pattern) => `${pattern}${ENDS}`)
    .join('|'),
  'giu',
);

/** Puts parentheses around the fractions that `÷` divides by. All else stays. */
export const withDivisors = (text: string): string => text.replace(DIVISOR, (fraction) => `(${fraction})`);

/**
 * Puts parentheses around fractions of whole numbers without blanks that words take as one number, "the square root of (9/16)" and "(3/4) squared", and
 * around mixed numbers, `(2+1/2)`. In symbols, as in `√9/16` and `3 * 1/2`, the signs around a fraction bind as they do.
 */
export const withWrittenFractions = (text: string): string =>
  withDivisors(text).replace(WRITTEN, (written: string, whole?: string, part?: string) => {
    if (whole === undefined || part === undefined) return `(${written})`;
    const [n, d] = part.replaceAll(',', '').split(/\D/).map(Number) as [number, number];
    return 0 < n && n < d ? `(${whole}+${part})` : written;
  });

/** The position in `text` of a position in `withWrittenFractions(text)`, which differs from it by signs that were put in. */
export function positionBefore(text: string, written: string, position: number): number {
  let at = 0;
  for (let i = 0; i < position; i++)
    if (written[i] === text[at] || (written[i] === '+' && text[at] === ' ')) at++;
  return at;
}
