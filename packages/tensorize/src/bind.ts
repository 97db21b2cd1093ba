import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import type { Source } from './source.js';
import { tensorizeWithSymbols, type Template } from './template.js';
import { writeValue } from './write-graph.js';

/** Values of a variable: one for each row, or one for all rows. */
export type Values = ArrayLike<number> | number;

/**
 * DAG tensors for many rows of values under one shared plan: V_mag and V_sign are (N, 2D), O is (1, D, 2D) and G is
 * (1, D). N is the length of the arrays, which is the same for all; 1 where every value is a number.
 *
 * @param source an expression, its text, or the template of one (which saves compiling it again)
 * @param values for each variable an array of N numbers, or one number for all rows
 * @param options.depth left out: the smallest that fits, or the template's
 *
 * @example
 * bind('a * x + b', { x: [1, 2, 3], a: 2, b: 1 }).size // 3
 *
 * @throws ExprError where the text is no expression
 * @throws TensorizeError `bad-values` where a variable has no value, a value has no variable, arrays are empty or
 *   differ in length, or a number is NaN or infinite (with its variable and row); `depth` or `bad-option` as
 *   `tensorize` does
 */
export function bind(
  source: Source | Template,
  values: Readonly<Record<string, Values>>,
  options: { depth?: number } = {},
): DagTensors {
  const template = isTemplate(source) ? source : tensorizeWithSymbols(source, options);
  const { tensors, slots } = template;
  const { depth } = tensors;
  if (options.depth !== undefined && options.depth !== depth) {
    throw new TensorizeError('bad-option', `the template has depth ${depth}, got ${options.depth}`);
  }
  if (typeof values !== 'object' || (values as unknown) === null) {
    throw new TensorizeError(
      'bad-values',
      `values are an object such as { x: [1, 2] }, got ${String(values)}`,
    );
  }
  checkNames(slots, values);
  const size = commonLength(values);

  const width = 2 * depth;
  const bound: DagTensors = {
    depth,
    size,
    V_mag: new Float64Array(size * width),
    V_sign: new Float64Array(size * width),
    O: tensors.O.slice(),
    G: tensors.G.slice(),
  };
  for (let row = 0; row < size; row++) {
    bound.V_mag.set(tensors.V_mag, row * width);
    bound.V_sign.set(tensors.V_sign, row * width);
  }
  for (const [name, slot] of Object.entries(slots)) {
    const column = values[name]!;
    for (let row = 0; row < size; row++) {
      const value = typeof column === 'number' ? column : column[row]!;
      if (!Number.isFinite(value)) {
        throw new TensorizeError(
          'bad-values',
          `${name} is ${String(value)} in row ${row}, expected a finite number`,
        );
      }
      writeValue(bound, row * width + slot, value);
    }
  }
  return bound;
}

const isTemplate = (source: Source | Template): source is Template =>
  typeof source === 'object' && (source as unknown) !== null && 'slots' in source;

function checkNames(slots: Template['slots'], values: Readonly<Record<string, Values>>): void {
  const names = Object.keys(slots);
  const missing = names.filter((name) => !Object.hasOwn(values, name));
  if (missing.length > 0) {
    throw new TensorizeError(
      'bad-values',
      `no values for ${missing.join(', ')}: the variables are ${names.join(', ')}`,
    );
  }
  const unknown = Object.keys(values).filter((name) => !Object.hasOwn(slots, name));
  if (unknown.length > 0) {
    const known = names.length > 0 ? `the variables are ${names.join(', ')}` : 'the expression has none';
    throw new TensorizeError('bad-values', `no variable is named ${unknown.join(', ')}: ${known}`);
  }
}

function commonLength(values: Readonly<Record<string, Values>>): number {
  const columns = Object.entries(values).flatMap(([name, value]) => {
    if (typeof value === 'number') return [];
    if (typeof value !== 'object' || (value as unknown) === null) {
      throw new TensorizeError(
        'bad-values',
        `${name} is an array of numbers or a number, got ${String(value)}`,
      );
    }
    return [{ name, length: value.length }];
  });
  for (const { name, length } of columns) {
    if (length === 0) throw new TensorizeError('bad-values', `${name} has no values, expected at least one`);
    if (length !== columns[0]!.length) {
      throw new TensorizeError(
        'bad-values',
        `arrays of values have one length: ${columns[0]!.name} has ${columns[0]!.length}, ${name} has ${length}`,
      );
    }
  }
  return columns[0]?.length ?? 1;
}
