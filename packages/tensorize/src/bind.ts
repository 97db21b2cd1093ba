import { checkObject, listLength, named } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError, type TensorizeErrorCode } from './error.js';
import type { Source } from './source.js';
import { checkTemplate, tensorizeWithSymbols, type Template } from './template.js';
import { writeValue } from './write-graph.js';
import { zeros } from './zero-dag.js';

/** Values of a variable: an array of N finite numbers, one a row, or one number for all rows. */
export type Values = ArrayLike<number> | number;

/**
 * Puts values in place of an expression's variables: N rows that share one plan. V_mag and V_sign are (N, 2D), O is
 * (1, D, 2D) and G is (1, D). N is the common length of all arrays, or 1 where every value is a number.
 *
 * @param source an expression, its text, or its template, which is compiled already
 * @param values for each variable an array of N numbers, or one number for all rows
 * @param options.depth D; by default the smallest that fits, or the template's
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
  const binding = prepareBinding(source, values, options);
  return boundRows(binding, binding.size)(0, binding.size);
}

export interface Binding {
  readonly template: Template;
  readonly values: Readonly<Record<string, Values>>;
  /** Rows N. */
  readonly size: number;
}

/** Checks everything that `bind` checks, and throws as it does. */
export function prepareBinding(
  source: Source | Template,
  values: Readonly<Record<string, Values>>,
  options: { depth?: number } = {},
): Binding {
  checkObject('options such as { depth: 4 }', options);
  checkObject('values such as { x: [1, 2] }', values, 'bad-values');
  const template = isTemplate(source) ? source : tensorizeWithSymbols(source, options);
  checkTemplate(template);
  const { depth } = template.tensors;
  if (options.depth !== undefined && options.depth !== depth) {
    throw new TensorizeError('bad-option', `the template has depth ${depth}, got ${options.depth}`);
  }
  checkNames(template.slots, 'values', values, 'bad-values');
  const size = commonLength(values);
  // Checked before anything is allocated: an array-like may claim any length.
  for (const name of Object.keys(template.slots)) checkColumn(name, values[name]!, size);
  return { template, values, size };
}

/**
 * Returns a function that binds the rows `begin` … `end − 1`, at most `rows` of them. Every call writes to the same arrays.
 */
export function boundRows(
  { template: { tensors, slots }, values }: Binding,
  rows: number,
): (begin: number, end: number) => DagTensors {
  const { depth } = tensors;
  const width = 2 * depth;
  // Numbers and the variables with one value for all rows are written to one row, and that row is copied to all.
  const first = { V_mag: tensors.V_mag.slice(), V_sign: tensors.V_sign.slice() };
  const columns: (readonly [slot: number, column: ArrayLike<number>])[] = [];
  for (const [name, slot] of Object.entries(slots)) {
    const column = values[name]!;
    if (typeof column === 'number') writeValue(first, slot, column);
    else columns.push([slot, column]);
  }
  const all = { V_mag: repeated(first.V_mag, rows), V_sign: repeated(first.V_sign, rows) };
  const [O, G] = [tensors.O.slice(), tensors.G.slice()];
  return (begin, end) => {
    const size = end - begin;
    const [V_mag, V_sign] = [all.V_mag.subarray(0, size * width), all.V_sign.subarray(0, size * width)];
    for (const [slot, column] of columns) writeColumn(V_mag, V_sign, slot, width, column, begin);
    return { depth, size, V_mag, V_sign, O, G };
  };
}

/** `size` copies of `row`. Each copy doubles the filled part, so log₂(size) copies are enough. */
function repeated(row: Float64Array, size: number): Float64Array {
  const all = zeros(size * row.length);
  all.set(row);
  for (let done = row.length; done < all.length; done *= 2) all.copyWithin(done, 0, all.length - done);
  return all;
}

/** As `writeValue` for each row, inlined: several times as fast. */
function writeColumn(
  V_mag: Float64Array,
  V_sign: Float64Array,
  slot: number,
  width: number,
  column: ArrayLike<number>,
  begin: number,
): void {
  for (let at = slot, row = begin; at < V_mag.length; at += width, row++) {
    const value = column[row]!;
    V_mag[at] = Math.abs(value);
    // 1 / −0 is −Infinity, so this finds the sign of −0 as well.
    V_sign[at] = value < 0 || 1 / value < 0 ? -1 : 1;
  }
}

const isTemplate = (source: Source | Template | null): source is Template =>
  typeof source === 'object' && source !== null && 'slots' in source;

function checkColumn(name: string, column: Values, size: number): void {
  // A number is checked once, not `size` times: another column may claim any length.
  const [list, rows] = typeof column === 'number' ? [[column], 1] : [column, size];
  const row = firstNotFinite(list, rows);
  if (row === rows) return;
  throw new TensorizeError(
    'bad-values',
    `${name} is ${named(list[row])} in row ${row}, expected a finite number`,
  );
}

/** The first row whose value is no finite number; `rows` where there is none. */
function firstNotFinite(column: ArrayLike<unknown>, rows: number): number {
  let row = 0;
  while (row < rows && Number.isFinite(column[row])) row++;
  return row;
}

/** @throws TensorizeError with `code` unless `given`, which is `what` for the message, has the names of the variables */
export function checkNames(
  slots: Template['slots'],
  what: string,
  given: Readonly<Record<string, unknown>>,
  code: TensorizeErrorCode,
): void {
  const names = Object.keys(slots);
  const missing = names.filter((name) => !Object.hasOwn(given, name));
  if (missing.length > 0) {
    throw new TensorizeError(
      code,
      `no ${what} for ${missing.join(', ')}: the variables are ${names.join(', ')}`,
    );
  }
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(slots, name));
  if (unknown.length > 0) {
    const known = names.length > 0 ? `the variables are ${names.join(', ')}` : 'the expression has none';
    throw new TensorizeError(code, `no variable is named ${unknown.join(', ')}: ${known}`);
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
