import { describe, expect, it } from '@jest/globals';
import { execute } from '@dag/executor';
import { evaluate, format, generateExpression, normalize } from '@dag/expr';
import { detensorize, tensorize, type DagTensors } from '@dag/tensorize';

/** The coefficients of the steps of a log or linear domain that read anything. */
function stepsOf({ depth, O }: DagTensors): number[][] {
  return Array.from({ length: depth }, (_, i) =>
    [...O.subarray(i * 2 * depth, (i + 1) * 2 * depth)].filter((coefficient) => coefficient !== 0),
  );
}

const isWhole = (coefficient: number): boolean => Number.isInteger(coefficient);
const isRoot = (coefficient: number): boolean => Math.abs(coefficient) === 0.5;

describe('the plan of a generated expression', () => {
  it('fits the depth, and has the bits of the expression where each step has one rounding for each operation', () => {
    const depth = 8;
    let exact = 0;
    const others = { close: 0, far: [] as string[] };
    for (let index = 0; index < 3000; index++) {
      const expr = generateExpression({
        ...{ seed: 3, index, depth, maxDigits: 3, maxDecimals: 2 },
        ...{ negatedGroups: 0.2, percentages: 0.15, functions: 0.2, powers: 0.25 },
      });
      const normal = normalize(expr);
      const tensors = tensorize(expr, { depth });
      const value = execute(tensors)[0]!;
      const expected = evaluate(normal);
      const steps = stepsOf(tensors);
      const text = format(normal);
      if (steps.flat().every((c) => isWhole(c) || isRoot(c)))
        expect([text, evaluate(detensorize(tensors))]).toEqual([text, value]);
      if (
        steps.every(
          (terms) =>
            (terms.length <= 1 && terms.every((c) => isWhole(c) || isRoot(c))) ||
            (terms.length === 2 && terms.every((c) => Math.abs(c) === 1)),
        )
      ) {
        exact++;
        expect([text, value]).toEqual([text, expected]);
      } else if (Number.isFinite(value) && Number.isFinite(expected)) {
        // Sums that cancel keep no digits of another order of roundings.
        if (Math.abs(value - expected) <= 1e-9 * Math.abs(expected)) others.close++;
        else others.far.push(`${text}: ${value}, not ${expected}`);
      }
    }
    expect(exact).toBeGreaterThan(500);
    expect(others.close).toBeGreaterThan(1000);
    expect(others.far).toEqual([]);
  });
});
