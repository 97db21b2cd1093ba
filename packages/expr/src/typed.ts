import type { ExprError } from './error.js';
import { refuse } from './refuse.js';
import { withKeys } from './signs.js';

/** A number, also with an exponent, that is no part of a name. */
const NUMBER = '(?<![\\p{L}\\w$.])(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:e[+-]?\\d+)?';
/** `2 x 3`, `(2)x(3)`, `15% x 80`, `5² x 3` and `2 x -3`, but not `0x3`, which is hexadecimal, nor `2x - 3`. */
const TIMES = new RegExp(
  // Looking back from the x alone: from every character it would take time quadratic in a run of blanks.
  `x(?<=(?:${NUMBER}|[)%⁰¹²³⁴⁵⁶⁷⁸⁹½⅓⅔¼¾⅛])\\s*x)(?<!(?<![\\d.])0x)(?:(?=\\s*[\\d(.])|(?<=\\sx)(?=\\s+-[\\d(.]))`,
  'giu',
);
/** Before a number or after one: `$5`, `-€ 5`, `5 €`. `$` begins names as well, such as `$y`. */
const CURRENCY =
  // Looking back from the sign alone, as for TIMES.
  /(?<![\p{L}\w$])[$€£¥₹](?=\s*\.?\d)|[$€£¥₹](?<=[\d.]\s*.)(?![\p{L}\w$])/gu;
const BRACKET_OR_CURRENCY = new RegExp(`[()[\\]{}]|${CURRENCY.source}`, 'gu');
/** `1 234 567.8` with spaces that do not break, and `1'234'567.8`. */
const GROUPED =
  /(?<![\p{L}\w.,])\d{1,3}(?:(?:[\u00A0\u202F\u2009]\d{3})+|(?:['’]\d{3})+)(?:\.\d*)?(?![\p{L}\w]|[.,'’][\p{L}\w])/gu;
/** The same with blanks, which is a number if a group begins with 0, as no number does: `1 000 000`. */
const SPACED = /(?<![\p{L}\w.,])[1-9]\d{0,2}(?: \d{3})+(?:\.\d*)?(?![\p{L}\w]|[.,'’][\p{L}\w])/gu;
const QUOTED = /^(\s*)"([^"]*)"(\s*)$/;
/** A quick answer for most texts. */
const ORDINARY = /^[a-wyz\d\s+\-*/().^%|,?=:;!]*$/i;

/**
 * A text as `parse` wants it, where people type it otherwise: look-alikes become signs of a keyboard, `[ ] { }` parentheses, `x` between
 * numbers `*`; currency signs, thousands separators and quotes around the whole text become blanks. All positions stay the same. Brackets
 * and currency signs that `mixedSigns` finds fault with stand as they are.
 */
export function typed(text: string): string {
  if (ORDINARY.test(text) && !/[\u00A0\u202F\u2009\u2007\u3000]|\d 0\d\d/.test(text)) return text;
  const keyed = withKeys(ungrouped(text, true)).replace(QUOTED, '$1 $2 $3');
  return (mixedSigns(keyed) === null ? withoutKinds(keyed) : keyed).replace(TIMES, '*');
}

const withoutKinds = (text: string): string =>
  text.replace(/[[{]/g, '(').replace(/[\]}]/g, ')').replace(CURRENCY, ' ');

/**
 * The error at the first bracket that closes one of another kind, as in `(3]`, or sign of a second currency, as in `$5 + €3`. Null where there is none.
 */
export function mixedSigns(text: string): ExprError | null {
  if (!/[[\]{}$€£¥₹]/.test(text)) return null;
  const closers: string[] = [];
  let currency: string | undefined;
  for (const { 0: sign, index } of withKeys(text).matchAll(BRACKET_OR_CURRENCY)) {
    const kind = '([{'.indexOf(sign);
    if (kind >= 0) closers.push(')]}'[kind]!);
    else if (')]}'.includes(sign)) {
      const wanted = closers.pop();
      // `parse` refuses a `)` that closes nothing.
      if (sign !== (wanted ?? ')')) return refuse.close(sign, wanted, index);
    } else if (sign !== (currency ??= sign)) return refuse.currency(sign, currency, index);
  }
  return null;
}

/** A text without the spaces and apostrophes between the thousands of a number. */
export function ungrouped(text: string, inPlace: boolean): string {
  const joined = (number: string): string => {
    const digits = number.replace(/[^\d.]/g, '');
    return inPlace ? digits.padEnd(number.length) : digits;
  };
  return text
    .replace(GROUPED, joined)
    .replace(SPACED, (numbers) => (numbers.includes(' 0') ? joined(numbers) : numbers));
}
