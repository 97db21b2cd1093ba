import { ExprError } from '@dag/expr';
import { checkIndex, checkOptions, checkTensors, named, sharesPlan } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { compile, programDepth } from './program.js';
import type { Source } from './source.js';
import { clearGraph, writeGraph } from './write-graph.js';
import { zeroDag } from './zero-dag.js';

/**
 * Converts one expression without variables to DAG tensors of size 1 and depth D.
 *
 * A chain at one precedence level, read from the left, is one step; a group on the right of an operator is a step
 * of its own: `1 - 2 - 3` has one step with coefficients 1, −1, −1, and `1 - (2 - 3)` has two. A constant power is a log
 * coefficient: `2 * 3^2 / 5` has one step with coefficients 1, 2, −1, and `sqrt(2)` one with 0.5; `|x|` has two, 2 and 0.5.
 *
 * @example
 * tensorize('2.5 * 3 + 1', { depth: 4 }).V_mag // [2.5, 3, 1, 0, 0, 0, 0, 0]
 *
 * @throws ExprError where the text is no expression
 * @throws TensorizeError `depth` where it needs more than D numbers or steps (`needed` says how many), `symbols`
 *   where it has variables, `bad-expression` where a number is not finite, `bad-option` where D is no whole number of at
 *   least 1
 */
export function tensorize(source: Source, options: { depth: number }): DagTensors {
  checkOptions('{ depth: 4 }', options, ['depth']);
  const tensors = zeroDag({ depth: options.depth, size: 1 });
  writeSource(source, tensors, 0);
  return tensors;
}

/**
 * Converts N expressions to DAG tensors of size N and depth D, in their order. `null`, for a text that is no expression, gives
 * the zero DAG (V_mag 0, V_sign 1, O 0, G 1).
 *
 * @throws TensorizeError as `tensorize` does, with the `index` of the source that failed; a text that does not parse is
 *   `bad-expression` with the `ExprError` as its `cause`; `bad-option` where `sources` is no array or empty
 */
export function tensorizeAll(sources: readonly (Source | null)[], options: { depth: number }): DagTensors {
  if (!Array.isArray(sources))
    throw new TensorizeError(
      'bad-option',
      `expected an array of expressions, got ${named(sources)}; tensorize takes a single one`,
    );
  if (sources.length === 0) throw new TensorizeError('bad-option', 'expected at least one source, got none');
  checkOptions('{ depth: 4 }', options, ['depth']);
  const tensors = zeroDag({ depth: options.depth, size: sources.length });
  // Not forEach, which skips the holes of a sparse array.
  for (const [index, source] of sources.entries()) {
    try {
      if (source !== null) writeSource(source, tensors, index);
    } catch (error) {
      throw atIndex(error, index);
    }
  }
  return tensors;
}

/**
 * Converts one expression and writes it to graph `index` of an existing batch, for data pipelines that reuse their
 * buffers. `null` writes the zero DAG. The batch is unchanged where it throws.
 *
 * @example
 * const batch = zeroDag({ depth: 8, size: 2 });
 * tensorizeInto('1 + 2', batch, 0);
 * tensorizeInto(null, batch, 1);
 *
 * @throws ExprError and TensorizeError as `tensorize` does; `bad-tensors` where array lengths are wrong or all rows share one
 *   plan; `bad-option` where `index` is outside 0 … N − 1
 */
export function tensorizeInto(source: Source | null, tensors: DagTensors, index: number): void {
  checkTensors(tensors);
  checkIndex(tensors, index);
  if (sharesPlan(tensors)) {
    throw new TensorizeError('bad-tensors', 'expected a plan for each row, got one plan that all rows share');
  }
  if (source === null) clearGraph(tensors, index);
  else writeSource(source, tensors, index);
}

/**
 * The smallest depth D that holds an expression: the number of its initial nodes (numbers and distinct variables) or of its
 * steps, whichever is larger; at least 1.
 *
 * @throws ExprError where the text is no expression, TensorizeError `bad-expression` where a number is not finite
 */
export const requiredDepth = (source: Source): number => programDepth(compile(source));

function writeSource(source: Source, tensors: DagTensors, index: number): void {
  const program = compile(source);
  if (program.symbols.size > 0) {
    const names = [...program.symbols.keys()].join(', ');
    throw new TensorizeError(
      'symbols',
      `expected only numbers, got the variables ${names}: give them values with bind`,
    );
  }
  writeGraph(program, tensors, index);
}

function atIndex(error: unknown, index: number): unknown {
  if (error instanceof TensorizeError) {
    const { code, message, needed } = error;
    return new TensorizeError(code, `source ${index}: ${message}`, { needed, index, cause: error });
  }
  if (error instanceof ExprError) {
    return new TensorizeError('bad-expression', `source ${index}: ${error.message}`, { index, cause: error });
  }
  return error;
}
