import { z } from 'zod';
import { shown } from '../arguments.js';

/** A problem of a configuration; `paths` are the dotted keys that cause it. */
export interface ConfigProblem {
  readonly paths: readonly string[];
  readonly message: string;
}

/**
 * Reads some keys of a section, or of the top level (`''`), with their defaults; undefined if one of them is invalid. So each check
 * reads only the keys it needs, and also runs if other keys are invalid.
 */
export type ReadKeys = <T extends z.ZodRawShape>(
  section: string,
  shape: T,
) => z.output<z.ZodObject<T>> | undefined;

export const readKeys =
  (input: unknown): ReadKeys =>
  (section, shape) =>
    z.object(shape).safeParse(valueAt(input, section === '' ? [] : [section]) ?? {}).data;

/** The problem that key `path` has a value that is not allowed, by itself or together with the keys `others`. */
export const notAllowed = (
  path: string,
  value: unknown,
  allowed: string,
  ...others: string[]
): ConfigProblem => ({
  paths: [path, ...others],
  message: `${path} is ${shown(value)}; allowed: ${allowed}`,
});

/** Whether a value is an object of keys. Not a zod record, which drops a key `__proto__` that the check should report. */
export const isSection = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const key of path)
    value = isSection(value) && Object.hasOwn(value, key) ? value[String(key)] : undefined;
  return value;
}
