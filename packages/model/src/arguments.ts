import { Tensor } from '@dag/executor';
import { ModelError, type ModelErrorCode } from './error.js';

/** Checks of arguments whose types a caller from JavaScript may get wrong. */

/** `value` as an error message shows it; never throws, and takes constant time. */
export function named(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (typeof value === 'function') return 'a function';
  if (value instanceof Promise) return 'a promise, which takes await';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** @throws {ModelError} with `code` unless `value` is an object. */
export function checkObject(what: string, value: unknown, code: ModelErrorCode = 'bad-input'): void {
  if (typeof value === 'object' && value !== null) return;
  throw new ModelError(code, `expected ${what}, given ${named(value)}`);
}

/** @throws {ModelError} `bad-input` unless `value` is an array or a typed array that is not detached. */
export function checkList(what: string, value: unknown): void {
  if (Array.isArray(value) || isTypedArray(value)) return;
  throw new ModelError('bad-input', `expected ${what}, given ${named(value)}`);
}

/** Whether all `values` are whole numbers from 0 to `end` − 1. Not by `every`, which skips the holes of an array. */
export function areWhole(values: Iterable<unknown>, end: number): boolean {
  for (const value of values) if (!isWhole(value, end)) return false;
  return true;
}

/** Whether `value` is a whole number from 0 to `end` − 1. */
export const isWhole = (value: unknown, end: number): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < end;

/** Whether `value` is a tensor. A proxy of one is not. */
export function isTensor(value: unknown): value is Tensor {
  try {
    return value instanceof Tensor && Array.isArray(value.shape);
  } catch {
    return false;
  }
}

/** Whether `value` is a typed array that is not detached. */
export function isTypedArray(value: unknown): boolean {
  if (!ArrayBuffer.isView(value) || !('length' in value)) return false;
  try {
    // Throws for a detached array, whose memory was transferred to a worker.
    (value as Uint8Array).keys();
    return true;
  } catch {
    return false;
  }
}

/** Whether `value` is a `Uint8Array` (or Node's `Buffer`) of any realm that is not detached. */
export function isBytes(value: unknown): boolean {
  return isTypedArray(value) && (value as Uint8Array)[Symbol.toStringTag] === 'Uint8Array';
}

/** @throws {ModelError} `bad-input` unless `value` is a string. */
export function checkText(what: string, value: unknown): void {
  if (typeof value === 'string') return;
  throw new ModelError('bad-input', `expected ${what}, given ${named(value)}`);
}
