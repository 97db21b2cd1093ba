import { named } from './arguments.js';
import { ExprError } from './error.js';

/**
 * A value as people write it: the shortest decimal that reads back as the same double, without an exponent, however
 * long that makes it. Values that are no decimals are `NaN`, `Infinity` and `-Infinity`. `Number` reads each of them back.
 *
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

/** The digits of a number that is written with an exponent, and how many of them stand before the decimal point. */
export interface Positional {
  readonly digits: string;
  /** Below zero for as many zeros between the point and the digits; it may be more than there are digits. */
  readonly point: number;
}

/** Reads a number without a sign, `1.5e-3`; null where it has no exponent. */
export function readExponent(number: string): Positional | null {
  // Most numbers have none; the pattern would try every way to cut their digits in two.
  if (!/[eE]/.test(number)) return null;
  const parts = /^(\d*)\.?(\d*)[eE]([+-]?\d+)$/.exec(number);
  if (parts === null) return null;
  return { digits: parts[1]! + parts[2]!, point: parts[1]!.length + Number(parts[3]) };
}

/** Without the exponent: `0.0015`. As long as `point` says, so that callers bound it first. */
export function writePoint({ digits, point }: Positional): string {
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  const whole = digits.slice(0, point).padEnd(point, '0');
  return point < digits.length ? `${whole}.${digits.slice(point)}` : whole;
}
