import { checkString } from './arguments.js';

/** Signs of print, and the sign of a keyboard that each stands for. Of several for one, generated texts have the first. */
const KEYS: ReadonlyMap<string, string> = new Map([
  ['×', '*'],
  ['·', '*'],
  ['⋅', '*'],
  ['÷', '/'],
  ['−', '-'],
  ['–', '-'],
  ['’', "'"],
]);
const PRINTED = new Map(Array.from(KEYS, ([sign, key]) => [key, sign] as const).reverse());
const ANY_SIGN = new RegExp(`[${[...KEYS.keys()].join('')}]`, 'g');

/** The sign of a keyboard that a sign of print stands for; undefined where it stands for none. */
export const keyOf = (sign: string): string | undefined => KEYS.get(sign);

/** The sign of print for a sign of a keyboard, or itself where there is none. */
export const printed = (key: string): string => PRINTED.get(key) ?? key;

/**
 * A text with the signs of a keyboard in place of those of print: `* / - '` for × · ⋅ ÷ − – ’. Nothing else changes; the
 * length stays.
 *
 * @throws ExprError `bad-option` for what is no string.
 * @example asTyped('2 × 3 − 1') // '2 * 3 - 1'
 */
export function asTyped(text: string): string {
  checkString('A text is', text);
  return text.replace(ANY_SIGN, (sign) => KEYS.get(sign)!);
}
