import { DENOMINATORS, SCALES } from './frames.js';

const anyOf = (words: Iterable<string>): string => [...words].join('|');
/** Words behind an ordinal that is no fraction: "a third number". */
const COUNTED = 'power|root|number|one|time';
const FRACTION = new RegExp(
  `(?<!\\S)(?:(\\d+) and )?(an?|\\d+) (${anyOf(DENOMINATORS.keys())})(?:(?: of)?(?: an?)? (${anyOf(SCALES.keys())}))?(?!\\S)(?! (?:${COUNTED})(?!\\S))`,
  'g',
);
/** Words whose operands are a list, in which "2 and a half" are two. */
const LISTS =
  /(?<!\S)(?:sum|total|product|average|mean|difference|distance|gap|quotient|ratio|between|add|adding|combine|multiply|multiplying|put|join|do)(?!\S)/;

const DOZEN = /(?<!\S)(an?|\d+) dozen(?!\S)/g;
const ORDINALS = new Map([['first', 1], ['second', 2], ...DENOMINATORS]);
const TO_THE = new RegExp(
  `(?<=(?<!\\S)to the )(?:(${anyOf(ORDINALS.keys())})|(\\d+) (?:st|nd|rd|th))(?: power(?!\\S| of (?=\\S))|(?= (?:[-+*/=?!.,;)]|plus|minus|times|divided)(?!\\S)|$))`,
  'g',
);

/**
 * Writes spoken fractions, dozens and powers of a text of `asWords` in digits: "3 quarters" is `( 3 / 4 )`, "2 and a half" `( 2 + 1 / 2 )`, "to the 4 th
 * power" and "to the fourth" `to the power of 4`. With a scale they are one number, "2 and a half
 * million" `2500000`. In a list, as in "the product of 2 and a half", both are numbers of their own. An exponent is one
 * number: "to the power of 1 half" is `to the power of 0.5`; one without a short decimal, such as a third, stays.
 */
export function withFractions(text: string): string {
  const powers = text.replace(TO_THE, (_, word: string | undefined, digits: string) => {
    return `power of ${word === undefined ? digits : ORDINALS.get(word)}`;
  });
  const counted = powers.replace(DOZEN, (_, n: string) => String(12 * (/^a/.test(n) ? 1 : Number(n))));
  return counted.replace(
    FRACTION,
    (all, whole: string | undefined, count: string, word: string, scale: string | undefined, at: number) => {
      const n = /^a/.test(count) ? '1' : count;
      const d = DENOMINATORS.get(word)!;
      const before = counted.slice(0, at);
      if (/(?:power(?: of)?|\^) (?:- )?$/.test(before)) {
        const decimal = String((Number(n) + Number(whole ?? 0) * d) / d);
        return decimal.length <= 8 && !decimal.includes('e') ? decimal : all;
      }
      if (scale !== undefined) {
        const scaled = ((Number(n) + Number(whole ?? 0) * d) * 10 ** SCALES.get(scale)!) / d;
        return Number.isSafeInteger(scaled) ? String(scaled) : all;
      }
      const fraction = `${n} / ${d}`;
      if (whole === undefined) return `( ${fraction} )`;
      return LISTS.test(before) ? `${whole} and ( ${fraction} )` : `( ${whole} + ${fraction} )`;
    },
  );
}

const ORDINAL_POWER = new RegExp(
  // Looking back from words alone: from every blank it would take time quadratic in a run of them.
  `(?=\\w)(?<=\\bto\\s+the\\s+)(?:(${anyOf(ORDINALS.keys())})|(\\d+)(?:st|nd|rd|th))\\s+power\\b(?!\\s+of\\b)`,
  'gi',
);
/** "to the fourth power" as "to the power 4", padded with blanks so that the rest of the text keeps its positions. */
export const withOrdinalPowers = (text: string): string =>
  text.replace(ORDINAL_POWER, (all, word: string | undefined, digits: string) =>
    `power ${word === undefined ? digits : ORDINALS.get(word.toLowerCase())}`.padEnd(all.length),
  );
