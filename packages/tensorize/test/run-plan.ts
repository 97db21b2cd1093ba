import type { DagTensors } from '../src/index.js';

/** The value of graph `row`, straight from the section "Hard plans are exact" of the format. */
export function runPlan({ depth, size, V_mag, V_sign, O, G }: DagTensors, row = 0): number {
  const width = 2 * depth;
  const plan = G.length === depth && size > 1 ? 0 : row;
  const v: number[] = [];
  for (let j = 0; j < depth; j++) v.push(V_sign[row * width + j]! * V_mag[row * width + j]!);
  for (let i = 0; i < depth; i++) {
    const coefficients = [...O.subarray((plan * depth + i) * width, (plan * depth + i) * width + depth + i)];
    v.push(G[plan * depth + i] === 1 ? linearStep(coefficients, v) : logStep(coefficients, v));
  }
  return v[width - 1]!;
}

function linearStep(coefficients: number[], v: number[]): number {
  const terms = coefficients.flatMap((c, j) => (c === 0 ? [] : [c * v[j]!]));
  return terms.length === 0 ? 0 : terms.reduce((a, b) => a + b);
}

function logStep(coefficients: number[], v: number[]): number {
  const factors = coefficients.flatMap((c, j) =>
    Array.from({ length: Math.abs(c) }, () => ({ value: v[j]!, above: c > 0 })),
  );
  const numerators = factors.filter(({ above }) => above);
  const product = numerators.reduce((p, { value }) => p * value, 1);
  // Numerators first, unless their product leaves the range of doubles.
  const inRange = Math.abs(product) >= 2 ** -1022 && Math.abs(product) < Infinity;
  if (numerators.length < 2 || inRange)
    return factors.filter(({ above }) => !above).reduce((p, { value }) => p / value, product);
  return factors.reduce((p, { value, above }) => (above ? p * value : p / value), 1);
}

/** A graph's steps as [domain, { node: coefficient }], to compare with plans written by hand. */
export function steps({ depth, O, G }: DagTensors, row = 0): ['linear' | 'log', Record<number, number>][] {
  const width = 2 * depth;
  return Array.from({ length: depth }, (_, i) => {
    const at = (row * depth + i) * width;
    const terms = [...O.subarray(at, at + width)].flatMap((c, j) => (c === 0 ? [] : [[j, c] as const]));
    return [G[row * depth + i] === 1 ? 'linear' : 'log', Object.fromEntries(terms)];
  });
}
