import { z } from 'zod';

/** `paths` are the dotted keys that are to blame. */
export interface ConfigProblem {
  readonly paths: readonly string[];
  readonly message: string;
}

/**
 * Reads some keys of a section, or of the top (`''`), with their defaults; undefined where one of them is wrong. Checks so read no
 * more than they are about, and a fault elsewhere hides nothing.
 */
export type ReadKeys = <T extends z.ZodRawShape>(
  section: string,
  shape: T,
) => z.output<z.ZodObject<T>> | undefined;

export const readKeys =
  (input: unknown): ReadKeys =>
  (section, shape) =>
    z.object(shape).safeParse(valueAt(input, section === '' ? [] : [section]) ?? {}).data;

/** What is wrong with the value of the key `path`, on its own or beside that of the keys `others`. */
export const notAllowed = (
  path: string,
  value: unknown,
  allowed: string,
  ...others: string[]
): ConfigProblem => ({
  paths: [path, ...others],
  message: `${path} is ${shown(value)}; allowed: ${allowed}`,
});

/** A value as messages show it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** An object of keys and values. Not by zod, whose records leave a key `__proto__` out: the check is to name it. */
export const isSection = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const key of path)
    value = isSection(value) && Object.hasOwn(value, key) ? value[String(key)] : undefined;
  return value;
}
