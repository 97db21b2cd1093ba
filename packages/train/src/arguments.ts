import { TrainError } from './error.js';

/** Checks of arguments, for callers from JavaScript whom no type checker stops. */

const KINDS = {
  'a string': (value: unknown) => typeof value === 'string',
  'a number': (value: unknown) => typeof value === 'number' && !Number.isNaN(value),
  'a whole number from 0': (value: unknown) => Number.isInteger(value) && (value as number) >= 0,
  'a function': (value: unknown) => typeof value === 'function',
  'an object': (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'a Map': (value: unknown) => Object.prototype.toString.call(value) === '[object Map]',
  'a list': Array.isArray,
} as const;

/** What an argument has to be: of a kind, an object with such members, a list of such elements, or one of these or undefined. */
export type Shape =
  | keyof typeof KINDS
  | { readonly [member: string]: Shape }
  | readonly [of: Shape]
  | { readonly optional: Shape };

/** The parts of every configuration that `parseConfig` returns. */
export const CONFIG = {
  seed: 'a number',
  batchSize: 'a number',
  outDir: 'a string',
  model: 'an object',
  data: 'an object',
  evaluation: 'an object',
  losses: 'an object',
} as const;

/** The parts of the configuration of a stream. */
export const STREAM = {
  seed: 'a number',
  tokenizer: 'a string',
  batchSize: 'a whole number from 0',
  blockSize: 'a number',
  data: 'an object',
} as const;

/** A model by the methods that are called. */
export const PREDICTOR = { predictTexts: 'a function', reads: 'a function' } as const;
export const LANGUAGE_MODEL = { config: 'an object', forward: 'a function' } as const;

/**
 * @param where Name of the function, for messages.
 * @param given Arguments by name, and what they have to be.
 * @throws {TrainError} `bad-input` that names the first one that is something else.
 */
export function requireArguments(where: string, given: Record<string, readonly [unknown, Shape]>): void {
  for (const [name, [value, shape]] of Object.entries(given)) {
    const problem = problemOf(name, value, shape);
    if (problem !== null) throw new TrainError('bad-input', `${where}: ${problem}`);
  }
}

function problemOf(name: string, value: unknown, shape: Shape): string | null {
  if (typeof shape === 'string')
    return KINDS[shape](value) ? null : `${name} is ${shape}, given ${shown(value)}`;
  if (isListOf(shape)) return problemOf(name, value, 'a list') ?? first(value as unknown[], name, shape[0]);
  if ('optional' in shape)
    return value === undefined ? null : problemOf(name, value, shape.optional as Shape);
  const problem = problemOf(name, value, 'an object');
  if (problem !== null) return problem;
  for (const [member, of] of Object.entries(shape)) {
    const wrong = problemOf(`${name}.${member}`, (value as Record<string, unknown>)[member], of);
    if (wrong !== null) return wrong;
  }
  return null;
}

const isListOf = (shape: Shape): shape is readonly [of: Shape] => Array.isArray(shape);

function first(values: readonly unknown[], name: string, shape: Shape): string | null {
  for (const [i, value] of values.entries()) {
    const problem = problemOf(`${name}[${i}]`, value, shape);
    if (problem !== null) return problem;
  }
  return null;
}

/** Formats a value for a message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
