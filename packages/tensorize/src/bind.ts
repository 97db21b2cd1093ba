import { checkObject, listLength, named } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import type { Source } from './source.js';
import { checkTemplate, tensorizeWithSymbols, type Template } from './template.js';
import { writeValue } from './write-graph.js';
import { zeros } from './zero-dag.js';

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
  checkObject('options such as { depth: 4 }', options);
  checkObject('values such as { x: [1, 2] }', values, 'bad-values');
  const template = isTemplate(source) ? source : tensorizeWithSymbols(source, options);
  checkTemplate(template);
  const { tensors, slots } = template;
  const { depth } = tensors;
  if (options.depth !== undefined && options.depth !== depth) {
    throw new TensorizeError('bad-option', `the template has depth ${depth}, got ${options.depth}`);
  }
  checkNames(slots, values);
  const size = commonLength(values);
  // Before memory is taken for as many rows as an array says that it has.
  for (const name of Object.keys(slots)) checkColumn(name, values[name]!, size);

  const width = 2 * depth;
  const bound: DagTensors = {
    depth,
    size,
    V_mag: zeros(size * width),
    V_sign: zeros(size * width),
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
      writeValue(bound, row * width + slot, typeof column === 'number' ? column : column[row]!);
    }
  }
  return bound;
}

const isTemplate = (source: Source | Template | null): source is Template =>
  typeof source === 'object' && source !== null && 'slots' in source;

function checkColumn(name: string, column: Values, size: number): void {
  // A number is the same in all rows, of which another column may claim to have any number.
  const rows = typeof column === 'number' ? 1 : size;
  for (let row = 0; row < rows; row++) {
    const value = typeof column === 'number' ? column : column[row]!;
    if (Number.isFinite(value)) continue;
    throw new TensorizeError(
      'bad-values',
      `${name} is ${named(value)} in row ${row}, expected a finite number`,
    );
  }
}

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
    const length = listLength(value);
    if (length !== null) return [{ name, length }];
    throw new TensorizeError('bad-values', `${name} is a number or an array of numbers, got ${named(value)}`);
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
