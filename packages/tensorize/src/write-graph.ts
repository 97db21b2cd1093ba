import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { programDepth, type Operand, type Program } from './program.js';

/** Makes graph `index` of a batch the zero DAG, whatever it held. */
export function clearGraph({ depth, V_mag, V_sign, O, G }: DagTensors, index: number): void {
  const width = 2 * depth;
  V_mag.fill(0, index * width, (index + 1) * width);
  V_sign.fill(1, index * width, (index + 1) * width);
  O.fill(0, index * depth * width, (index + 1) * depth * width);
  G.fill(1, index * depth, (index + 1) * depth);
}

/** Writes a number to a node: its magnitude and its sign, which −0 has too. `at` is an offset into both arrays. */
export function writeValue({ V_mag, V_sign }: DagTensors, at: number, value: number): void {
  V_mag[at] = Math.abs(value);
  V_sign[at] = value < 0 || Object.is(value, -0) ? -1 : 1;
}

/** Writes a program as graph `index` of a batch. Throws `depth` before anything is written. */
export function writeGraph(program: Program, tensors: DagTensors, index: number): void {
  const { depth, O, G } = tensors;
  const width = 2 * depth;
  checkFits(program, depth);
  clearGraph(tensors, index);

  program.numbers.forEach((value, node) => {
    writeValue(tensors, index * width + node, value);
  });

  const nodeOf = ({ from, index: i }: Operand): number => (from === 'initial' ? i : depth + i);
  program.steps.forEach(({ domain, operands, coefficients }, i) => {
    const row = (index * depth + i) * width;
    operands.forEach((operand, k) => {
      const at = row + nodeOf(operand);
      O[at] = O[at]! + coefficients[k]!;
    });
    G[index * depth + i] = domain === 'linear' ? 1 : 0;
  });

  for (let i = program.steps.length; i < depth; i++) {
    const last = i === 0 ? 0 : depth + i - 1;
    O[(index * depth + i) * width + last] = 1;
  }
}

function checkFits(program: Program, depth: number): void {
  const needed = programDepth(program);
  if (needed <= depth) return;
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  throw new TensorizeError(
    'depth',
    `the expression needs ${count(program.numbers.length, 'number')} and ${count(program.steps.length, 'step')}, ` +
      `depth ${depth} holds ${depth} of each: use a depth of at least ${needed}`,
    { needed },
  );
}
