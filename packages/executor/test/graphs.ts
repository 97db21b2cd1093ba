import type { DagTensors } from '@dag/tensorize';

/** A step by hand: its gate (1 linear, 0 log) and the coefficient of each node that it reads. */
export type Step = readonly [gate: number, coefficients: Readonly<Record<number, number>>];

export const linear = (coefficients: Record<number, number>): Step => [1, coefficients];
export const log = (coefficients: Record<number, number>): Step => [0, coefficients];

/** One graph: the values of its initial nodes (−0 is negative), then its steps; those left over pass the result on. */
export function graph(depth: number, numbers: readonly number[], steps: readonly Step[]): DagTensors {
  const width = 2 * depth;
  const V_mag = new Float64Array(width);
  const V_sign = new Float64Array(width).fill(1);
  numbers.forEach((x, j) => {
    V_mag[j] = Math.abs(x);
    V_sign[j] = x < 0 || Object.is(x, -0) ? -1 : 1;
  });
  const O = new Float64Array(depth * width);
  const G = new Float64Array(depth).fill(1);
  for (let i = 0; i < depth; i++) {
    const [gate, coefficients] = steps[i] ?? linear({ [i === 0 ? 0 : depth + i - 1]: 1 });
    G[i] = gate;
    for (const [j, c] of Object.entries(coefficients)) O[i * width + Number(j)] = c;
  }
  return { depth, size: 1, V_mag, V_sign, O, G };
}

/** Graphs of one depth as one batch. */
export function batch(graphs: readonly DagTensors[]): DagTensors {
  const joined = (field: 'V_mag' | 'V_sign' | 'O' | 'G') =>
    Float64Array.from(graphs.flatMap((g) => Array.from(g[field])));
  return {
    depth: graphs[0]!.depth,
    size: graphs.length,
    V_mag: joined('V_mag'),
    V_sign: joined('V_sign'),
    O: joined('O'),
    G: joined('G'),
  };
}
