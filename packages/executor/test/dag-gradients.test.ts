import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { execute, executeDag, executeWithGradients, gradCheck, sum, tensor } from '../src/index.js';

/** A graph whose magnitudes, signs, coefficients and gates are all between their hard values. */
function softGraph(
  depth: number,
  seed: number,
): { V_mag: number[]; V_sign: number[]; O: number[]; G: number[] } {
  let state = seed >>> 0;
  const uniform = (low: number, high: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((high - low) * state) / 2 ** 32;
  };
  const fill = (n: number, low: number, high: number) => Array.from({ length: n }, () => uniform(low, high));
  return {
    V_mag: fill(2 * depth, 0.5, 2),
    V_sign: fill(2 * depth, -0.9, 0.9),
    O: fill(2 * depth * depth, -0.8, 0.8),
    G: fill(depth, 0.1, 0.9),
  };
}

/** Value of every intermediate node: that of the graph cut off after each step. */
function nodeValues(g: ReturnType<typeof softGraph>, D: number): number[] {
  return Array.from({ length: D }, (_, i) => {
    // The remaining steps pass the result of step i on.
    const O = g.O.slice();
    const G = g.G.slice();
    for (let k = i + 1; k < D; k++) {
      O.fill(0, k * 2 * D, (k + 1) * 2 * D);
      O[k * 2 * D + D + k - 1] = 1;
      G[k] = 1;
    }
    const f64 = (values: number[]) => Float64Array.from(values);
    return execute({
      depth: D,
      size: 1,
      V_mag: f64(g.V_mag),
      V_sign: f64(g.V_sign),
      O: f64(O),
      G: f64(G),
    })[0]!;
  });
}

describe('gradients of a soft plan', () => {
  it('agree with central differences in double to 1e-6', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(), (D, seed) => {
        const g = softGraph(D, seed);
        const leaf = (values: number[], shape: number[]) =>
          tensor(Float64Array.from(values), shape, { requiresGrad: true });
        const fields = {
          V_mag: leaf(g.V_mag, [1, 2 * D]),
          V_sign: leaf(g.V_sign, [1, 2 * D]),
          O: leaf(g.O, [1, D, 2 * D]),
          G: leaf(g.G, [1, D]),
        };
        // Close to a sign change of an intermediate node the function bends too sharply for differences to say much.
        fc.pre(nodeValues(g, D).every((v) => Math.abs(v) > 0.02));
        expect(gradCheck(() => sum(executeDag(fields)), Object.values(fields)).failures).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('gradients at zero', () => {
  const product = (a: number, b: number) => ({
    depth: 2,
    size: 1,
    V_mag: Float64Array.of(Math.abs(a), Math.abs(b), 0, 0),
    V_sign: Float64Array.of(Math.sign(a) || 1, Math.sign(b) || 1, 1, 1),
    O: Float64Array.of(1, 1, 0, 0, 0, 0, 1, 0),
    G: Float64Array.of(0, 1),
  });

  it('of a·b are b and a', () => {
    expect(Array.from(executeWithGradients(product(0, 3)).V_mag)).toEqual([3, 0, 0, 0]);
    expect(Array.from(executeWithGradients(product(-2, 0)).V_mag)).toEqual([0, -2, 0, 0]);
    expect(Array.from(executeWithGradients(product(0, 0)).V_mag)).toEqual([0, 0, 0, 0]);
  });
});
