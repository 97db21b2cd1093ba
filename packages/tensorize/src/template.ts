import { checkCount, checkObject, checkTensors, named } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { compile, programDepth } from './program.js';
import type { Source } from './source.js';
import { writeGraph } from './write-graph.js';
import { zeroDag } from './zero-dag.js';

/** An expression with variables as DAG tensors; `bind` gives the variables their values. */
export interface Template {
  /** One graph (size 1), in which the variables are 0. */
  readonly tensors: DagTensors;
  /** Variable name → index of its initial node, 0 … D−1: a column of `V_mag` and `V_sign`. */
  readonly slots: Readonly<Record<string, number>>;
}

/**
 * Compiles an expression with variables. Each variable has one initial node, numbered at its first appearance. Where it is an
 * operand of one step several times, its coefficients add up: `x * x` is a log step with coefficient 2; in `x - x` the
 * coefficient is 0, and `x` takes no part.
 *
 * @param options.depth D; by default the smallest that fits
 *
 * @example
 * tensorizeWithSymbols('a * x + b').slots // { a: 0, x: 1, b: 2 }
 *
 * @throws ExprError where the text is no expression
 * @throws TensorizeError `depth`, `bad-expression` or `bad-option`, as `tensorize` does
 */
export function tensorizeWithSymbols(source: Source, options: { depth?: number } = {}): Template {
  checkObject('options such as { depth: 4 }', options);
  const program = compile(source);
  const { depth = programDepth(program) } = options;
  checkCount('depth', depth);
  const tensors = zeroDag({ depth, size: 1 });
  writeGraph(program, tensors, 0);
  return { tensors, slots: Object.fromEntries(program.symbols) };
}

/** @throws TensorizeError `bad-tensors` unless every slot is an initial node, 0 … D−1 */
export function checkTemplate(template: Template): void {
  checkObject('a template, as tensorizeWithSymbols returns it', template);
  const { tensors, slots } = template;
  checkTensors(tensors);
  checkObject('the slots of a template', slots);
  for (const [name, slot] of Object.entries(slots))
    if (!Number.isInteger(slot) || slot < 0 || slot >= tensors.depth)
      throw new TensorizeError(
        'bad-tensors',
        `${name} has a node from 0 to ${tensors.depth - 1} in a template, got ${named(slot)}`,
      );
}
