import { checkCount, checkObject, checkTensors, named } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { compile, programDepth } from './program.js';
import type { Source } from './source.js';
import { writeGraph } from './write-graph.js';
import { zeroDag } from './zero-dag.js';

/** An expression with variables as DAG tensors whose variables have no values yet. */
export interface Template {
  /** Size 1; the variables' initial nodes hold 0. */
  readonly tensors: DagTensors;
  /** The initial node of each variable, a column of `V_mag` and `V_sign`. */
  readonly slots: Readonly<Record<string, number>>;
}

/**
 * The plan of an expression with variables, and where their values go. Each distinct variable is one initial node,
 * at its first appearance; one that is an operand twice adds its coefficients: `x * x` is a log step with 2,
 * `x - x` has 0 and takes no part.
 *
 * @param options.depth left out: the smallest that fits
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

/** @throws TensorizeError `bad-tensors` unless each variable has a node of one graph */
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
