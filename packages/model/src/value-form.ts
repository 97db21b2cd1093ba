import { formatValue } from '@dag/expr';
import { checkObject, checkText, isWhole, named } from './arguments.js';
import { ModelError } from './error.js';

/** Digits to which decimals are rounded where a text does not write a double to its last bit: 0.1 + 0.2 is 0.3. */
const SHORT = 12;
/** Beyond this no text rounds. */
const LARGEST = 1e15;

/** A double of few digits, as decimals that were typed have it. */
const short = (value: number): number => Number(value.toPrecision(SHORT));

/** Rounds half away from zero in decimals, as people do: 2.675 to 2.68. */
function rounded(value: number, places: number): number {
  const [digits, exponent = 0] = String(Math.abs(short(value))).split('e');
  const scaled = Math.round(Number(`${digits}e${Number(exponent) + places}`));
  return Math.sign(value) * Number(`${scaled}e${-places}`) || 0;
}

const upTo =
  (places: number) =>
  (value: number): string =>
    formatValue(rounded(value, places));
const always =
  (places: number) =>
  (value: number): string =>
    rounded(value, places).toFixed(places);

/** The ways in which texts write the decimals of a value, in the order of their classes. */
const PLACES: readonly ((value: number) => string)[] = [
  formatValue,
  (value) => formatValue(short(value)),
  (value) => formatValue(short(value)).replace(/^(-?)0\./, '$1.'),
  // An amount of money: cents where there are any.
  (value) => (Number.isInteger(short(value)) ? formatValue(short(value)) : always(2)(value)),
  ...[1, 2].map(always),
  ...[0, 1, 2, 3, 4].map(upTo),
];

/** How a value is written in a text. */
export interface ValueForm {
  /** Class of its decimals, an index of all `PLACE_CLASSES`. */
  readonly places: number;
  /** Whether thousands are separated by commas. */
  readonly isGrouped: boolean;
  /** Whether a blank precedes it. */
  readonly isSpaced: boolean;
}

/** Number of classes of decimals. */
export const PLACE_CLASSES = PLACES.length;
/** Outputs of the head: logits of the classes of decimals, of commas in a number of four digits and in a larger one, and of a blank. */
export const FORM_OUTPUTS = PLACE_CLASSES + 3;
/** The least number of five digits. */
const LARGE = 10_000;

const withCommas = (digits: string): string =>
  digits.replace(/^(-?\d+)/, (whole) => whole.replace(/(?<=\d)(?=(?:\d{3})+$)/g, ','));

/**
 * The text of a value.
 *
 * @throws {ModelError} `bad-input` for what is no number, or no form.
 * @example writeValue(1234.5, { places: 0, isGrouped: true, isSpaced: false }) // '1,234.5'
 */
export function writeValue(value: number, form: ValueForm): string {
  checkObject('a form of a value, { places, isGrouped, isSpaced },', form);
  const { places, isGrouped, isSpaced } = form;
  if (typeof value !== 'number' || !isWhole(places, PLACE_CLASSES))
    throw new ModelError(
      'bad-input',
      `a number is written with one of ${PLACE_CLASSES} classes of decimals, given ${named(value)} and ${named(places)}`,
    );
  const write = Math.abs(value) < LARGEST ? PLACES[places]! : formatValue;
  const digits = write(value);
  return (isSpaced ? ' ' : '') + (isGrouped && !digits.includes('e') ? withCommas(digits) : digits);
}

/**
 * The classes of decimals that write `value` as `text`, which may begin with a blank: 1 for each of them.
 *
 * @throws {ModelError} `bad-input` for what is no text and no number.
 */
export function placesOf(text: string, value: number): Uint8Array {
  checkText('the text of a value', text);
  const form = { isGrouped: text.includes(','), isSpaced: text.startsWith(' ') };
  return Uint8Array.from(PLACES, (_, places) => Number(writeValue(value, { ...form, places }) === text));
}

/** The output for the commas in a value, behind the classes of decimals: 0 or 1. @throws {ModelError} `bad-input` for what is no number */
export function commasOf(value: number): 0 | 1 {
  if (typeof value !== 'number')
    throw new ModelError('bad-input', `expected a number, given ${named(value)}`);
  return Math.abs(value) < LARGE ? 0 : 1;
}

/** The form that logits say for a value. */
export function formOf(logits: ArrayLike<number>, value: number): ValueForm {
  let places = 0;
  for (let i = 1; i < PLACE_CLASSES; i++) if (logits[i]! > logits[places]!) places = i;
  const isGrouped = logits[PLACE_CLASSES + commasOf(value)]! > 0;
  return { places, isGrouped, isSpaced: logits[PLACE_CLASSES + 2]! > 0 };
}
