import { checkObject, listLength, named, readTensors } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { readTemplate, type Template } from './template.js';
import { zeros } from './zero-dag.js';

/**
 * Derivatives of the N values by each variable, from the derivatives by the magnitudes. A variable is v = s·m with a constant
 * sign s = ±1, so dv/d(variable) is s · d/dm. The gradient by V_sign plays no part, because a variable changes its sign only
 * at 0.
 *
 * @param template of the expression
 * @param tensors what `bind` returned for this template, size N
 * @param gradients the result of `executeWithGradients` of @dag/executor: V_mag is (N, 2D)
 * @returns (N) derivatives for each variable, by its name
 *
 * @example
 * const template = tensorizeWithSymbols('x * y');
 * const tensors = bind(template, { x: [1, -2], y: 3 });
 * variableGradients(template, tensors, executeWithGradients(tensors)) // { x: [3, 3], y: [1, -2] }
 *
 * @throws TensorizeError `bad-tensors` where array lengths of the tensors or gradients are wrong, or the depths of the
 *   tensors and the template differ
 */
export function variableGradients(
  template: Template,
  tensors: DagTensors,
  gradients: { readonly V_mag: ArrayLike<number> },
): Record<string, Float64Array> {
  const { tensors: graph, slots } = readTemplate(template);
  const { depth, size, V_sign } = readTensors(tensors);
  checkObject('gradients, as executeWithGradients returns them', gradients, 'bad-tensors');
  const { V_mag } = gradients;
  if (graph.depth !== depth) {
    throw new TensorizeError('bad-tensors', `the template has depth ${graph.depth}, the tensors ${depth}`);
  }
  const width = 2 * depth;
  const length = listLength(V_mag);
  if (length !== size * width) {
    throw new TensorizeError(
      'bad-tensors',
      `the gradient by V_mag has ${size * width} numbers for size ${size} and depth ${depth}, ` +
        `got ${length ?? 'no array'}`,
    );
  }
  return Object.fromEntries(
    Object.entries(slots).map(([name, slot]) => {
      const column = zeros(size);
      writeColumnGradient(V_mag, V_sign, slot, width, column, 0);
      return [name, column];
    }),
  );
}

/** Writes sign · gradient of initial node `slot` of each row to `column`, from index `begin` on. */
export function writeColumnGradient(
  gradients: ArrayLike<unknown>,
  V_sign: Float64Array,
  slot: number,
  width: number,
  column: Float64Array,
  begin: number,
): void {
  for (let row = begin, at = slot; at < V_sign.length; row++, at += width) {
    const gradient = gradients[at];
    if (typeof gradient !== 'number')
      throw new TensorizeError(
        'bad-tensors',
        `the gradient by V_mag is numbers, got ${named(gradient)} at ${at}`,
      );
    column[row] = V_sign[at]! * gradient;
  }
}
