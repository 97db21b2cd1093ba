import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { programDepth, type Program } from './program.js';

/** Writes the zero DAG to graph `index` of a batch. */
export function clearGraph({ depth, V_mag, V_sign, O, G }: DagTensors, index: number): void {
  const width = 2 * depth;
  set(V_mag, 0, index * width, width);
  set(V_sign, 1, index * width, width);
  set(O, 0, index * depth * width, depth * width);
  set(G, 1, index * depth, depth);
}

/** As `array.fill`, whose call overhead is larger than this loop over the few numbers of a graph. */
function set(array: Float64Array, value: number, from: number, count: number): void {
  for (let i = from; i < from + count; i++) array[i] = value;
}

/** Writes the magnitude and sign of a number (−0 is negative) at offset `at` of both arrays. */
export function writeValue(
  { V_mag, V_sign }: Pick<DagTensors, 'V_mag' | 'V_sign'>,
  at: number,
  value: number,
): void {
  V_mag[at] = Math.abs(value);
  V_sign[at] = value < 0 || Object.is(value, -0) ? -1 : 1;
}

/**
 * Writes a compiled program to graph `index` of a batch, for expressions that are compiled once and written many times, with the
 * same numbers or others. Variables are 0. Array lengths and `index` are not checked, and every graph must have a plan of its
 * own; `tensorizeInto` checks all that.
 *
 * @example
 * const program = compile('2 * 3');
 * writeGraph(program, batch, 0);
 * writeGraph({ ...program, numbers: [2, 35] }, batch, 1); // 2 * 35
 *
 * @throws TensorizeError `depth` where the batch's depth is too small; nothing is written then
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
