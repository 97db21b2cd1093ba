import { ExprError } from './error.js';

/** Checks of arguments whose types a caller from JavaScript may get wrong. */

/** `value` as an error message shows it; never throws. */
export function named(value: unknown): string {
  if (isRevoked(value)) return 'a revoked proxy';
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'string') return `'${shorten(value)}'`;
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** Whether a value is a proxy of which nothing can be read any more. */
function isRevoked(value: unknown): boolean {
  try {
    Array.isArray(value);
    return false;
  } catch {
    return true;
  }
}

/** A part of a text, short enough for an error message. */
export const shorten = (text: string): string => (text.length > 30 ? `${text.slice(0, 30)}…` : text);

export function checkString(what: string, value: unknown): void {
  if (typeof value === 'string') return;
  throw new ExprError('bad-option', `${what} a string, not ${named(value)}.`);
}

export function checkObject(what: string, value: unknown): void {
  if (typeof value === 'object' && value !== null && !isRevoked(value)) return;
  throw new ExprError('bad-option', `${what} an object, not ${named(value)}.`);
}

export function checkWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new ExprError(
    'bad-option',
    `${name} must be a whole number from ${least} to ${most}, not ${named(value)}.`,
  );
}
