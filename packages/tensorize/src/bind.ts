import { checkObject, checkOptions, isTypedArray, listLength, named } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError, type TensorizeErrorCode } from './error.js';
import type { Source } from './source.js';
import { readTemplate, tensorizeWithSymbols, type Template } from './template.js';
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
 *   differ in length, or a number is NaN or infinite (with its variable and row); `bad-tensors` where a template is not one
 *   graph of finite numbers; `depth` or `bad-option` as `tensorize` does
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
  /** A number, a typed array, or a copy of another array, whose elements may have getters. */
  readonly values: readonly Named<Values>[];
  /** Rows N. */
  readonly size: number;
}

/** Checks everything that `bind` checks, and throws as it does. */
export function prepareBinding(
  source: Source | Template,
  values: Readonly<Record<string, Values>>,
  options: { depth?: number } = {},
): Binding {
  checkOptions('{ depth: 4 }', options, ['depth']);
  const { depth } = options;
  checkObject('values such as { x: [1, 2] }', values, 'bad-values');
  const template = isTemplate(source)
    ? readTemplate(source)
    : tensorizeWithSymbols(source, depth === undefined ? {} : { depth });
  if (depth !== undefined && depth !== template.tensors.depth) {
    throw new TensorizeError('bad-option', `the template has depth ${template.tensors.depth}, got ${depth}`);
  }
  const given = entriesFor(template.slots, 'values', values, 'bad-values');
  const size = commonLength(given);
  const columns = given.map(([name, column]) => [name, checkedColumn(name, column, size)] as const);
  return { template, values: columns, size };
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
  const first = { V_mag: new Float64Array(tensors.V_mag), V_sign: new Float64Array(tensors.V_sign) };
  const columns: (readonly [slot: number, column: ArrayLike<number>])[] = [];
  for (const [name, column] of values) {
    const slot = slots[name]!;
    if (typeof column === 'number') writeValue(first, slot, column);
    else columns.push([slot, column]);
  }
  const all = { V_mag: repeated(first.V_mag, rows), V_sign: repeated(first.V_sign, rows) };
  const [O, G] = [new Float64Array(tensors.O), new Float64Array(tensors.G)];
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

/** @throws TensorizeError `bad-values` for what is no finite number */
function checkedColumn(name: string, column: Values, size: number): Values {
  const isOne = typeof column === 'number';
  // A number is checked once, not `size` times: another column may claim any length.
  const [list, rows] = isOne ? [[column], 1] : [column, size];
  // It grows as rows are read: an array-like may claim any length.
  const copy: number[] | null = isOne || isTypedArray(column) ? null : [];
  for (let row = 0; row < rows; row++) {
    const value: unknown = list[row];
    if (!isFiniteNumber(value))
      throw new TensorizeError(
        'bad-values',
        `${name} is ${named(value)} in row ${row}, expected a finite number`,
      );
    copy?.push(value);
  }
  return copy ?? column;
}

const isFiniteNumber = (value: unknown): value is number => Number.isFinite(value);

/** What the caller gave for a variable. */
export type Named<T> = readonly [name: string, given: T];

/**
 * What `given`, which is `what` for the message, has for each variable, read once.
 *
 * @throws TensorizeError with `code` unless it has the names of the variables
 */
export function entriesFor<T>(
  slots: Template['slots'],
  what: string,
  given: Readonly<Record<string, T>>,
  code: TensorizeErrorCode,
): Named<T>[] {
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
  return names.map((name) => [name, given[name]!]);
}

function commonLength(values: readonly Named<Values>[]): number {
  const columns = values.flatMap(([name, value]) => {
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
