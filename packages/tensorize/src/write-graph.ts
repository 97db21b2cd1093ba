import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { programDepth, type Program } from './program.js';

/** Makes graph `index` of a batch the zero DAG, whatever it held. */
export function clearGraph({ depth, V_mag, V_sign, O, G }: DagTensors, index: number): void {
  const width = 2 * depth;
  set(V_mag, 0, index * width, width);
  set(V_sign, 1, index * width, width);
  set(O, 0, index * depth * width, depth * width);
  set(G, 1, index * depth, depth);
}

/** `array.fill`, whose call alone costs more than the few numbers of a graph. */
function set(array: Float64Array, value: number, from: number, count: number): void {
  for (let i = from; i < from + count; i++) array[i] = value;
}

/** Writes a number to a node: its magnitude and its sign, which −0 has too. `at` is an offset into both arrays. */
export function writeValue(
  { V_mag, V_sign }: Pick<DagTensors, 'V_mag' | 'V_sign'>,
  at: number,
  value: number,
): void {
  V_mag[at] = Math.abs(value);
  V_sign[at] = value < 0 || Object.is(value, -0) ? -1 : 1;
}

/**
 * Writes a program as graph `index` of a batch: what `tensorizeInto` does with an expression, for one that is compiled
 * once and written many times, with the same numbers or others. Variables have 0. Neither the lengths of the batch's
 * arrays nor `index` are checked; every graph has a plan of its own.
 *
 * @example
 * const program = compile('2 * 3');
 * writeGraph(program, batch, 0);
 * writeGraph({ ...program, numbers: [2, 35] }, batch, 1); // 2 * 35
 *
 * @throws TensorizeError `depth` where the batch's is too small, before anything is written
 */
export function writeGraph(program: Program, tensors: DagTensors, index: number): void {
  const { numbers, steps } = program;
  const { depth, O, G } = tensors;
  const width = 2 * depth;
  checkFits(program, depth);
  clearGraph(tensors, index);

  for (let node = 0; node < numbers.length; node++) {
    writeValue(tensors, index * width + node, numbers[node]!);
  }
  for (let i = 0; i < depth; i++) {
    const row = (index * depth + i) * width;
    const step = steps[i];
    if (step === undefined) {
      const last = i === 0 ? 0 : depth + i - 1;
      O[row + last] = 1;
      continue;
    }
    const { domain, operands, coefficients } = step;
    for (let k = 0; k < operands.length; k++) {
      const { from, index: at } = operands[k]!;
      const node = row + (from === 'initial' ? at : depth + at);
      O[node] = O[node]! + coefficients[k]!;
    }
    G[index * depth + i] = domain === 'linear' ? 1 : 0;
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
