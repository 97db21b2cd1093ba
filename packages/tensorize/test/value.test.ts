import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, type Expr } from '@dag/expr';
import { requiredDepth, tensorize } from '../src/index.js';
import { binaryTree, longChain } from './expressions.js';
import { runPlan } from './run-plan.js';

const planValue = (expr: Expr): number =>
  runPlan(tensorize(expr, { depth: Math.max(8, requiredDepth(expr)) }));

/** The distance from |x| to the next larger double. */
function ulp(x: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, Math.abs(x));
  bits.setBigInt64(0, bits.getBigInt64(0) + 1n);
  return bits.getFloat64(0) - Math.abs(x);
}

describe('the value of a plan', () => {
  it('has the bits of the expression where every step has two operands', () => {
    fc.assert(
      fc.property(binaryTree, (expr) => {
        expect(planValue(expr)).toBe(evaluate(expr));
      }),
      { numRuns: 3000 },
    );
  });

  // Both orders of n − 1 additions are within (n − 1)·2⁻⁵³ of the true sum, measured against the sum of the terms'
  // magnitudes S (Higham, Accuracy and Stability, §4.2), so they differ by at most (n − 1)·2⁻⁵²·S < 2(n − 1) ulp(S).
  // With cancellation nothing better holds: 1 + 1e-16 − 1 depends on the order in every digit of its result.
  it('of a long linear chain is within 2 ulp of the summed magnitudes per operation', () => {
    fc.assert(
      fc.property(longChain('linear'), ({ expr, operands }) => {
        const magnitude = operands.reduce((total, operand) => total + Math.abs(evaluate(operand)), 0);
        const error = Math.abs(planValue(expr) - evaluate(expr));
        if (Number.isFinite(magnitude))
          expect(error).toBeLessThanOrEqual(2 * (operands.length - 1) * ulp(magnitude));
        else expect(Number.isFinite(evaluate(expr))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  // Each of the n − 1 operations is right to a factor 1 + 2⁻⁵³ in either order, as long as nothing leaves the range of
  // normal doubles on the way, which the size of these operands excludes.
  it('of a long log chain is within 2 ulp per operation', () => {
    fc.assert(
      fc.property(longChain('log'), ({ expr, operands }) => {
        const [actual, expected] = [planValue(expr), evaluate(expr)];
        if (Number.isFinite(expected)) {
          expect(Math.abs(actual - expected)).toBeLessThanOrEqual(2 * (operands.length - 1) * ulp(expected));
        } else {
          expect(actual).toBe(expected);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['0.00001 + 0.00002', 0.00001 + 0.00002],
    ['5 - 5', 0],
    ['0 * 3', 0],
    ['0 * -3', -0],
    ['1 / 0', Infinity],
    ['1 / (0 * -1)', -Infinity],
    ['0 / 0', NaN],
    ['1e300 * 1e300', Infinity],
    ['1e-300 * 1e-300', 0],
    ['(1 + 2) * (3 - 4) / (5 + 6)', -3 / 11],
    ['-(1 - 1)', -0],
    ['10 - (2 - (3 - 4))', 7],
  ])('of %s is %d', (text, expected) => {
    expect(runPlan(tensorize(text, { depth: 8 }))).toBe(expected);
  });
});
