import type { DagTensors } from '@dag/tensorize';
import type { Operand, Step } from './equation.js';

/** The tensors of a plan: the numbers of the text as its first nodes, then the constants that it uses. */
export function planTensors(steps: readonly Step[], numbers: readonly number[]): DagTensors {
  const constants: number[] = [];
  for (const { terms } of steps)
    for (const [operand] of terms)
      if (operand.kind === 'constant' && !constants.includes(operand.value)) constants.push(operand.value);
  const initial = [...numbers, ...constants];
  const D = Math.max(1, initial.length, steps.length);
  const V_mag = new Float64Array(2 * D);
  const V_sign = new Float64Array(2 * D).fill(1);
  initial.forEach((value, i) => {
    V_mag[i] = Math.abs(value);
    if (value < 0) V_sign[i] = -1;
  });
  const O = new Float64Array(2 * D * D);
  const G = new Float64Array(D).fill(1);
  const column = (operand: Operand): number =>
    operand.kind === 'number'
      ? operand.index
      : operand.kind === 'constant'
        ? numbers.length + constants.indexOf(operand.value)
        : D + operand.index;
  steps.forEach(({ kind, terms }, d) => {
    G[d] = Number(kind === 'sum');
    for (const [operand, coefficient] of terms) O[2 * D * d + column(operand)] = coefficient;
  });
  // Steps that are left pass on the result.
  for (let d = steps.length; d < D; d++) O[2 * D * d + D + d - 1] = 1;
  return { depth: D, size: 1, V_mag, V_sign, O, G };
}
