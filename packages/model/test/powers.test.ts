/** Plans of constant powers: what they execute to is what the expression evaluates to, bit by bit. */
import { describe, expect, it } from '@jest/globals';
import { evaluate, parse, type Expr } from '@dag/expr';
import { detensorize, requiredDepth, tensorize } from '@dag/tensorize';
import fc from 'fast-check';
import { binaryTree, num } from '../../tensorize/test/expressions.js';
import { execute } from '@dag/executor';

describe('the executed plan', () => {
  it('of a power, a root or an absolute value has the bits of the expression', () => {
    const exponent = fc.oneof(fc.integer({ min: -40, max: 40 }), fc.constantFrom(0.5, -0.5));
    fc.assert(
      fc.property(binaryTree, exponent, fc.constantFrom('Add', 'Mul', 'Div'), (base, exponent, type) => {
        const pow = (arg: Expr, by: number): Expr => ({ type: 'Pow', base: arg, exponent: by });
        const values: Expr[] = [pow(base, exponent)];
        const left = Math.max(-1e300, Math.min(evaluate(base), 1e300)) || 1;
        if (exponent === 0.5) values.push({ type, args: [num(left), pow(num(3), exponent)] });
        for (const expr of values)
          expect(execute(tensorize(expr, { depth: requiredDepth(expr) }))[0]).toBe(evaluate(expr));
        const size = Math.abs(evaluate(base));
        if (size > 1e-150 && size < 1e150) {
          const abs = pow(pow(base, 2), 0.5);
          expect(execute(tensorize(abs, { depth: requiredDepth(abs) }))[0]).toBe(size);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['2 * 3^3 / 4 - sqrt(16)', 9.5],
    ['cbrt(-27) + |3 - 5|^3', 5],
    ['-2^2 * 2^-1', -2],
    ['4^0 * 3', 3],
    ['10^-2', 0.01],
  ])('of the powers %s is %d when it is executed', (text, expected) => {
    expect(execute(tensorize(text, { depth: 8 }))[0]).toBeCloseTo(expected, 14);
    expect(evaluate(parse(text))).toBeCloseTo(expected, 14);
  });

  it.each([1.1, -3, 0, -0, 5e-324])('of powers of %d is read back as an expression of its value', (base) => {
    for (const c of [16, -16, 15, -2, 17, -17, 59, -1000, 0.5, -0.5]) {
      const plan = {
        ...{ depth: 1, size: 1, V_mag: Float64Array.of(Math.abs(base), 0) },
        V_sign: Float64Array.of(Object.is(base, -0) || base < 0 ? -1 : 1, 1),
        ...{ O: Float64Array.of(c, 0), G: Float64Array.of(0) },
      };
      expect(evaluate(detensorize(plan))).toBe(execute(plan)[0]);
    }
  });
});
