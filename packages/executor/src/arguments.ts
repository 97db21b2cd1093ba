import { ExecutorError } from './error.js';

/** Checks of arguments, for callers from JavaScript whom no type checker stops. */

/** Describes `value` for an error message; never throws. */
export function named(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return classOf(value);
  return String(value);
}

/** For example 'a Map'; 'an object' where the class is unknown. */
function classOf(value: object): string {
  try {
    const { constructor } = Object.getPrototypeOf(value) as { constructor: { name: unknown } };
    if (typeof constructor.name === 'string' && constructor !== Object) {
      // Bundlers put a _ before the name of a class that refers to itself.
      const name = constructor.name.replace(/^_/, '');
      return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`;
    }
  } catch {
    // No prototype, or a proxy or getter that throws.
  }
  return 'an object';
}

/** A range of numbers, and how error messages describe it. */
export interface NumberRange {
  readonly what: string;
  readonly has: (x: number) => boolean;
}

export const ANY_NUMBER: NumberRange = { what: 'a number', has: () => true };
export const NOT_NAN: NumberRange = { what: 'a number other than NaN', has: (x) => !Number.isNaN(x) };
export const FINITE: NumberRange = { what: 'a finite number', has: Number.isFinite };
export const FINITE_ABOVE_0: NumberRange = {
  what: 'a finite number above 0',
  has: (x) => x > 0 && x < Infinity,
};
export const FINITE_FROM_0: NumberRange = {
  what: 'a finite number from 0',
  has: (x) => x >= 0 && x < Infinity,
};
export const ABOVE_0: NumberRange = { what: 'above 0', has: (x) => x > 0 };
/** Range of probabilities and decay rates. */
export const BELOW_1: NumberRange = { what: 'in [0, 1)', has: (x) => x >= 0 && x < 1 };
export const FROM_0: NumberRange = { what: 'a number from 0', has: (x) => x >= 0 };
export const SEED_WORD: NumberRange = {
  what: 'a whole number from 0 to 2^32 - 1 (of a larger one take >>> 0)',
  has: (x) => Number.isInteger(x) && x >= 0 && x < 2 ** 32,
};
export const WHOLE_FROM_1: NumberRange = {
  what: 'a whole number from 1',
  has: (x) => Number.isSafeInteger(x) && x >= 1,
};

/** @throws {ExecutorError} `value` unless it is a number in the range. */
export function checkNumber(
  op: string,
  name: string,
  value: unknown,
  range: NumberRange,
): asserts value is number {
  if (typeof value !== 'number' || !range.has(value))
    throw new ExecutorError('value', `${op}: ${name} is ${range.what}, given ${named(value)}`);
}

/** @throws {ExecutorError} `value` for anything but true and false. */
export function checkBoolean(op: string, name: string, value: unknown): void {
  if (typeof value !== 'boolean')
    throw new ExecutorError('value', `${op}: ${name} is true or false, given ${named(value)}`);
}

/**
 * Refuses arguments after the last one that an op takes. An index and an array are what `map` and `reduce` add:
 * `tensors.map(relu)`, `tensors.reduce(add)`.
 *
 * @throws {ExecutorError} `value`
 */
export function refuseMore(op: string, more: readonly unknown[], hint = ''): void {
  const isOfArray = more.length === 2 && typeof more[0] === 'number' && Array.isArray(more[1]);
  const given = more.find((x) => x !== undefined);
  if (given !== undefined && !isOfArray)
    throw new ExecutorError('value', `${op}: takes no further argument, given ${named(given)}${hint}`);
}

/** @throws {ExecutorError} `value` for anything but an object; arrays are none. */
export function checkObject(op: string, name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ExecutorError('value', `${op}: ${name} is an object, given ${named(value)}`);
}

/**
 * @param known The keys that the options may have.
 * @throws {ExecutorError} `value` for an unknown key; the message suggests a known key with a similar spelling.
 */
export function checkOptions(op: string, options: object, known: readonly string[]): void {
  checkObject(op, 'options', options);
  for (const key in options)
    if (!known.includes(key))
      throw new ExecutorError(
        'value',
        `${op}: there is no option ${named(key)}${suggestion(key, known)} Options are ${known.join(', ')}`,
      );
}

/** Proposes the word with the least edit distance to `word` (Levenshtein 1966), if at most half of its letters differ. */
export function suggestion(word: string, words: readonly string[]): string {
  // A hostile key may be long; options are shorter than 32 characters.
  const distances = words.map((other) => distance(word.slice(0, 32), other));
  const least = Math.min(...distances);
  return least <= word.length / 2 ? `; did you mean '${words[distances.indexOf(least)]}'?` : '.';
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + Number(a[i - 1] !== b[j - 1])));
    row = next;
  }
  return row[b.length]!;
}

/** A copy of an array that reads each element once: a getter may return another one the next time. @throws {ExecutorError} `value`. */
export function checkedList<T>(op: string, name: string, value: readonly T[]): T[] {
  if (!Array.isArray(value))
    throw new ExecutorError('value', `${op}: ${name} is an array, given ${named(value)}`);
  return [...(value as T[])];
}

/** @throws {ExecutorError} `value` for anything but a function. */
export function checkFunction(op: string, value: unknown): void {
  if (typeof value !== 'function')
    throw new ExecutorError('value', `${op}: takes a function, given ${named(value)}`);
}

/**
 * Calls `body`, which must not be async; → its result.
 *
 * @param why For the message: why the part of an async function after its first `await` would go wrong.
 * @throws {ExecutorError} `value` where it returns a promise. A rejection of that promise is ignored: the caller gets this error.
 */
export function callSynchronously<T>(op: string, body: () => T, why: string): T {
  checkFunction(op, body);
  const result = body();
  if (isThenable(result)) {
    Promise.resolve(result).catch(() => undefined);
    throw new ExecutorError(
      'value',
      `${op}: the function returned a promise; ${why}. Await what it needs before, and pass a function that is not async`,
    );
  }
  return result;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
