import { ExprError } from '@dag/expr';
import { checkIndex, checkObject, checkTensors, named, sharesPlan } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { compile, programDepth } from './program.js';
import type { Source } from './source.js';
import { clearGraph, writeGraph } from './write-graph.js';
import { zeroDag } from './zero-dag.js';

/**
 * The DAG tensors of one expression of numbers: size 1, depth D.
 *
 * A chain at one precedence level, read from the left, is one step; a group on the right of an operator is a step
 * of its own: `1 - 2 - 3` has one step with coefficients 1, −1, −1, and `1 - (2 - 3)` has two.
 *
 * @example
 * tensorize('2.5 * 3 + 1', { depth: 4 }).V_mag // [2.5, 3, 1, 0, 0, 0, 0, 0]
 *
 * @throws ExprError where the text is no expression
 * @throws TensorizeError `depth` where it needs more than D numbers or steps (`needed` says how many), `symbols`
 *   where it has variables, `bad-expression` where a number is not finite, `bad-option` for a depth that is none
 */
export function tensorize(source: Source, options: { depth: number }): DagTensors {
  checkObject('options such as { depth: 4 }', options);
  const tensors = zeroDag({ depth: options.depth, size: 1 });
  writeSource(source, tensors, 0);
  return tensors;
}

/**
 * The DAG tensors of N expressions, one after another: size N, depth D. `null` stands for a prefix that is no
 * expression and gives the zero DAG (V_mag 0, V_sign 1, O 0, G 1).
 *
 * @throws TensorizeError as `tensorize` does, with the `index` of the source; text that does not parse is
 *   `bad-expression` with the `ExprError` as its cause; `bad-option` where there are no sources
 */
export function tensorizeAll(sources: readonly (Source | null)[], options: { depth: number }): DagTensors {
  if (!Array.isArray(sources))
    throw new TensorizeError(
      'bad-option',
      `expected an array of expressions, got ${named(sources)}; tensorize takes a single one`,
    );
  if (sources.length === 0) throw new TensorizeError('bad-option', 'expected at least one source, got none');
  checkObject('options such as { depth: 4 }', options);
  const tensors = zeroDag({ depth: options.depth, size: sources.length });
  // Not forEach, which passes over what an array lacks.
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
 * Writes one expression over graph `index` of a batch that is there already, for data pipelines that reuse their
 * buffers. `null` writes the zero DAG. Where it throws, the batch is as it was.
 *
 * @example
 * const batch = zeroDag({ depth: 8, size: 2 });
 * tensorizeInto('1 + 2', batch, 0);
 * tensorizeInto(null, batch, 1);
 *
 * @throws ExprError and TensorizeError as `tensorize` does; `bad-tensors` where the arrays have other lengths or
 *   all rows share one plan; `bad-option` where `index` is no row of the batch
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
 * The smallest depth that holds an expression: its numbers and distinct variables, or its steps, whichever are
 * more; at least 1.
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
