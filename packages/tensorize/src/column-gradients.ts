import { boundRows, prepareBinding, type Values } from './bind.js';
import { named } from './check-tensors.js';
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
 *
 * @example
 * columnGradients('x * y', { x: [1, -2], y: 3 }, executeWithGradients)
 * // { values: [3, -6], gradients: { x: [3, 3], y: [1, -2] } }
 *
 * @throws ExprError, TensorizeError as `bind` does; `bad-option` where `execute` is no function or does not return `out`; and
 *   whatever `execute` throws
 */
export function columnGradients(
  source: Source | Template,
  values: Readonly<Record<string, Values>>,
  execute: ExecuteWithGradients,
): ColumnGradients {
  if (typeof execute !== 'function')
    throw new TensorizeError(
      'bad-option',
      `execute is executeWithGradients of @dag/executor, got ${named(execute)}`,
    );
  const binding = prepareBinding(source, values);
  const { size, template } = binding;
  const { slots, tensors } = template;
  const width = 2 * tensors.depth;
  const rows = Math.min(size, Math.max(1, Math.floor(BLOCK / width)));
  const block = boundRows(binding, rows);
  const magnitudes = zeros(rows * width);
  const all = zeros(size);
  const gradients = Object.fromEntries(Object.keys(slots).map((name) => [name, zeros(size)]));
  for (let begin = 0; begin < size; begin += rows) {
    const end = Math.min(size, begin + rows);
    const bound = block(begin, end);
    const V_mag = magnitudes.subarray(0, bound.V_mag.length);
    const out = { values: all.subarray(begin, end), V_mag };
    checkWritten(execute(bound, { out }), out);
    for (const [name, slot] of Object.entries(slots))
      writeColumnGradient(V_mag, bound.V_sign, slot, width, gradients[name]!, begin);
  }
  return { values: all, gradients };
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
