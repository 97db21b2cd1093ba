import { boundRows, entriesFor, prepareBinding, type Binding, type Named, type Values } from './bind.js';
import {
  checkDoubles,
  checkObject,
  checkOptions,
  isTypedArray,
  named,
  overlap,
  plainView,
} from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import type { Source } from './source.js';
import type { Template } from './template.js';
import { writeColumnGradient } from './variable-gradients.js';
import { zeros } from './zero-dag.js';

/**
 * The executor that `columnGradients` calls; `executeWithGradients` of @dag/executor is one. It must write its results to the
 * arrays of `options.out` and return these arrays.
 */
export type ExecuteWithGradients = (
  tensors: DagTensors,
  options: {
    readonly out: ColumnResults;
  },
) => ColumnResults;

/** What an executor writes for N rows. */
export interface ColumnResults {
  /** (N) values. */
  readonly values: Float64Array;
  /** (N, 2D) derivatives of the values by the magnitudes. */
  readonly V_mag: Float64Array;
}

/** The result of `columnGradients` for N rows. */
export interface ColumnGradients {
  /** (N) values. */
  readonly values: Float64Array;
  /** By the name of each variable, (N) derivatives of the values by it. */
  readonly gradients: Record<string, Float64Array>;
}

/** Numbers in a (rows, 2D) array of one block, few enough that V_mag, V_sign and the gradient fit into a core's cache. */
const BLOCK = 16_384;

/**
 * Values and derivatives of an expression over columns of data. Gives the same numbers as `bind`, `executeWithGradients` and
 * `variableGradients` called in turn, but works in blocks of rows and never allocates tensors for all N (32·D bytes a row).
 *
 * @param source an expression, its text, or its template, which is compiled already
 * @param values for each variable an array of N numbers, or one number for all rows
 * @param execute `executeWithGradients` of @dag/executor, or a function that adds options to its call:
 * `(tensors, options) => executeWithGradients(tensors, { ...options, backend: 'wasm' })`
 * @param options.out arrays of N numbers that receive the results, with a gradient for each variable; it is returned. Default: new
 *   arrays, whose first touch takes much of the time where there are many rows.
 *
 * @example
 * columnGradients('x * y', { x: [1, -2], y: 3 }, executeWithGradients)
 * // { values: [3, -6], gradients: { x: [3, 3], y: [1, -2] } }
 * columnGradients('x * y', { x: [2, 4], y: 5 }, executeWithGradients, { out }) // → out, what an earlier call returned
 *
 * @throws ExprError, TensorizeError as `bind` does; `bad-option` where `execute` is no function or does not return `out`, where
 *   `options.out` lacks a variable or has another, or where one of its arrays is no Float64Array of N numbers or shares memory with
 *   another array; and whatever `execute` throws. Nothing is written to `options.out` before it is checked. An overlap is
 *   not seen where a SharedArrayBuffer came back from another thread, since it is then a new object over the same memory.
 */
export function columnGradients(
  source: Source | Template,
  values: Readonly<Record<string, Values>>,
  execute: ExecuteWithGradients,
  options: { readonly out?: ColumnGradients } = {},
): ColumnGradients {
  if (typeof execute !== 'function')
    throw new TensorizeError(
      'bad-option',
      `execute is executeWithGradients of @dag/executor, got ${named(execute)}`,
    );
  checkOptions('{ out: { values, gradients } }', options, ['out']);
  const { out: given } = options;
  const binding = prepareBinding(source, values);
  const { size, template } = binding;
  const { slots, tensors } = template;
  const width = 2 * tensors.depth;
  const rows = Math.min(size, Math.max(1, Math.floor(BLOCK / width)));
  const { values: all, gradients } = given === undefined ? newColumns(binding) : checkedOut(given, binding);
  const block = boundRows(binding, rows);
  const magnitudes = zeros(rows * width);
  for (let begin = 0; begin < size; begin += rows) {
    const end = Math.min(size, begin + rows);
    const bound = block(begin, end);
    const V_mag = magnitudes.subarray(0, bound.V_mag.length);
    const out = { values: all.subarray(begin, end), V_mag };
    checkWritten(execute(bound, { out }), out);
    for (const [name, slot] of Object.entries(slots))
      writeColumnGradient(V_mag, bound.V_sign, slot, width, gradients[name]!, begin);
  }
  return given ?? { values: all, gradients };
}

const newColumns = ({ size, template: { slots } }: Binding): ColumnGradients => ({
  values: zeros(size),
  gradients: Object.fromEntries(Object.keys(slots).map((name) => [name, zeros(size)])),
});

/** Views of the arrays of `out`, each read once. */
function checkedOut(out: ColumnGradients, { size, template, values }: Binding): ColumnGradients {
  const code = 'bad-option';
  checkObject('out such as { values, gradients }', out, code);
  const { values: all, gradients } = out;
  checkObject('out.gradients, an array for each variable', gradients, code);
  const columns = entriesFor(template.slots, 'out.gradients', gradients, code);
  const outputs: Named<unknown>[] = [
    ['out.values', all],
    ...columns.map(([name, column]) => [`out.gradients.${name}`, column] as const),
  ];
  const taken: Named<unknown>[] = [
    ...values.map(([name, column]) => [`the values of ${name}`, column] as const),
    ...Object.entries(template.tensors).map(([name, field]) => [`${name} of the template`, field] as const),
  ];
  for (const [name, array] of outputs) {
    checkDoubles(name, array, code);
    if (array.length !== size)
      throw new TensorizeError(code, `${name} has ${size} numbers for ${size} rows, got ${array.length}`);
    const other = taken.find(([, other]) => isTypedArray(other) && overlap(array, other));
    if (other)
      throw new TensorizeError(code, `${name} shares memory with ${other[0]}; give it memory of its own`);
    taken.push([name, array]);
  }
  return {
    values: plainView(all),
    gradients: Object.fromEntries(columns.map(([name, column]) => [name, plainView(column)])),
  };
}

/** Catches an `execute` that ignores `out`: the results would be zeros. */
function checkWritten(result: unknown, out: ColumnResults): void {
  const { values, V_mag } = Object(result) as Partial<ColumnResults>;
  if (values !== out.values || V_mag !== out.V_mag)
    throw new TensorizeError(
      'bad-option',
      'execute has to write to the arrays of options.out and return them: (tensors, options) => executeWithGradients(tensors, options)',
    );
}
