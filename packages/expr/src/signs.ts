/** The look-alikes of each key: signs of print, of other scripts and widths. */
const LOOKALIKES: readonly (readonly [key: string, signs: string])[] = [
  ['*', '×·⋅∙∗✕✖＊'],
  ['/', '÷⁄∕➗／'],
  ['-', '−–—‒‐‑➖－﹣'],
  ['+', '＋➕﹢'],
  ["'", '’‘'],
  ['"', '“”„'],
  [' ', '\u00A0\u202F\u2009\u2007\u3000'],
  ['(', '（'],
  [')', '）'],
  ['|', '｜∣'],
  ['^', '＾'],
  ['%', '％'],
  ['=', '＝'],
  ['?', '？'],
  ['.', '．'],
  [',', '，'],
  ...[...'０１２３４５６７８９'].map((digit, value) => [String(value), digit] as const),
];
const KEYS: ReadonlyMap<string, string> = new Map(
  LOOKALIKES.flatMap(([key, signs]) => Array.from(signs, (sign) => [sign, key] as const)),
);
/** Signs that models are trained on. Of several for one key, generated texts have the first. */
const PRINT = '×·⋅÷−–’';
const PRINTED = new Map(Array.from(PRINT, (sign) => [KEYS.get(sign)!, sign] as const).reverse());
const PRINT_SIGN = new RegExp(`[${PRINT}]`, 'g');
const ANY_SIGN = new RegExp(`[${[...KEYS.keys()].join('')}]`, 'g');

/** The sign of a keyboard that a sign of print stands for; undefined where it stands for none. */
export const keyOf = (sign: string): string | undefined => KEYS.get(sign);

/** The sign of print for a sign of a keyboard, or itself where there is none. */
export const printed = (key: string): string => PRINTED.get(key) ?? key;

/** A text with keys in place of the signs of print that models are trained on; the length stays. */
export const withoutPrint = (text: string): string => text.replace(PRINT_SIGN, (sign) => KEYS.get(sign)!);

/** A text with keys in place of all their look-alikes; the length stays. */
export const withKeys = (text: string): string => text.replace(ANY_SIGN, (sign) => KEYS.get(sign)!);
