import { named } from './arguments.js';
import { ExprError } from './error.js';

/**
 * A value as people write it: the shortest decimal that reads back as the same double, without an exponent, however
 * long that makes it; `NaN`, `Infinity` and `-Infinity` are written so. `Number` reads all of them back.
 *
 * @throws ExprError `bad-option` for what is no number.
 * @example formatValue(0.1 + 0.2) // '0.30000000000000004'
 * @example formatValue(-1e-7) // '-0.0000001'
 */
export function formatValue(value: number): string {
  if (typeof value !== 'number')
    throw new ExprError('bad-option', `A value is a number, not ${named(value)}.`);
  const negative = value < 0 || Object.is(value, -0);
  const text = String(Math.abs(value));
  const parts = readExponent(text);
  return (negative ? '-' : '') + (parts === null ? text : writePoint(parts));
}

/** A number written with an exponent, in place notation: its value is 0.digits · 10^point. */
export interface Positional {
  readonly digits: string;
  /** Position of the decimal point in `digits`: negative for zeros before them, above their number for zeros after them. */
  readonly point: number;
}

/** Reads an unsigned number such as `1.5e-3`; null where it has no exponent. */
export function readExponent(number: string): Positional | null {
  // The early return matters: without an exponent the pattern backtracks over every way to cut the digits in two.
  if (!/[eE]/.test(number)) return null;
  const parts = /^(\d*)\.?(\d*)[eE]([+-]?\d+)$/.exec(number);
  if (parts === null) return null;
  return { digits: parts[1]! + parts[2]!, point: parts[1]!.length + Number(parts[3]) };
}

/** Writes the number without an exponent: `0.0015`. The text grows with |point|, which callers bound. */
export function writePoint({ digits, point }: Positional): string {
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  const whole = digits.slice(0, point).padEnd(point, '0');
  return point < digits.length ? `${whole}.${digits.slice(point)}` : whole;
}

/** The value of a number with a percent sign: the double of its digits with two more decimals. `percentOf('15')` is 0.15. */
export function percentOf(number: string): number {
  const [digits, exponent = '0'] = number.toLowerCase().split('e');
  return Number(`${digits}e${Number(exponent) - 2}`);
}
