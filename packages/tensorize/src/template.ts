import { checkCount, checkObject, checkOptions, named, readTensors } from './check-tensors.js';
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
  checkOptions('{ depth: 4 }', options, ['depth']);
  const program = compile(source);
  const { depth = programDepth(program) } = options;
  checkCount('depth', depth);
  const tensors = zeroDag({ depth, size: 1 });
  writeGraph(program, tensors, 0);
  return { tensors, slots: Object.fromEntries(program.symbols) };
}

/**
 * A copy of a template that reads everything once; the arrays are those of the template.
 *
 * @throws TensorizeError `bad-tensors` unless it is one graph of finite numbers, and every slot is an initial node, 0 … D−1
 */
export function readTemplate(template: Template): Template {
  checkObject('a template, as tensorizeWithSymbols returns it', template);
  const { tensors: graph, slots: nodes } = template;
  const tensors = readTensors(graph);
  const { depth, size, V_mag, V_sign, O, G } = tensors;
  if (size !== 1) throw new TensorizeError('bad-tensors', `a template is one graph, got ${size}`);
  for (const [name, array] of Object.entries({ V_mag, V_sign, O, G }))
    for (let at = 0; at < array.length; at++)
      if (!Number.isFinite(array[at]))
        throw new TensorizeError(
          'bad-tensors',
          `${name} of a template holds finite numbers, got ${array[at]} at ${at}`,
        );
  checkObject('the slots of a template', nodes);
  const slots = { ...nodes };
  for (const [name, slot] of Object.entries(slots))
    if (!Number.isInteger(slot) || slot < 0 || slot >= depth)
      throw new TensorizeError(
        'bad-tensors',
        `${name} has a node from 0 to ${depth - 1} in a template, got ${named(slot)}`,
      );
  return { tensors, slots };
}
