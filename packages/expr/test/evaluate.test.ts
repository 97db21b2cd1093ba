import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate as mathjsEvaluate } from 'mathjs/number';
import { evaluate, format, generateText, normalize, parse } from '../src/index.js';
import {
  a,
  abs,
  add,
  anyExpression,
  b,
  div,
  inverse,
  leftNest,
  mul,
  neg,
  num,
  pow,
  sub,
  sym,
} from './expressions.js';
import { failure } from './failure.js';

describe('evaluate', () => {
  it('reads chains from the left', () => {
    expect(evaluate(sub(num(10), num(3), num(2)))).toBe(5);
    expect(evaluate(div(num(16), num(4), num(2)))).toBe(2);
    expect(evaluate(add(num(0.1), num(0.2), num(0.3)))).toBe(0.1 + 0.2 + 0.3);
  });

  it.each([
    ['1 / 0', Infinity],
    ['-1 / 0', -Infinity],
    ['0 / 0', NaN],
    ['0 * -3', -0],
    ['5 - 5', 0],
    ['1e308 * 10', Infinity],
    ['4 ^ -1', 0.25],
    ['-4 ^ -1', -0.25],
    ['-(0)', -0],
  ])('is IEEE double arithmetic: %s is %d', (text, value) => {
    expect(evaluate(parse(text))).toBe(value);
  });

  it('gives the bits that mathjs gives', () => {
    fc.assert(
      fc.property(anyExpression({ powers: false, names: false }), (expr) => {
        expect(evaluate(expr)).toBe(mathjsEvaluate(format(expr)));
      }),
      { numRuns: 1000 },
    );
    for (let index = 0; index < 2000; index++) {
      const text = generateText({
        seed: 7,
        index,
        depth: 8,
        maxDigits: 6,
        maxDecimals: 6,
        negatedGroups: 0.3,
      });
      const expected: unknown = mathjsEvaluate(text);
      expect([text, evaluate(parse(text))]).toEqual([text, expected]);
      expect([text, evaluate(normalize(parse(text)))]).toEqual([text, expected]);
    }
  });

  it('gives the values that mathjs gives for inverses, but for the last bits', () => {
    const ordinary = fc.integer({ min: 1, max: 9999 }).map((n) => num(n / 100));
    fc.assert(
      fc.property(ordinary, ordinary, ordinary, (x, y, z) => {
        // Positive terms: without cancellation each operation adds at most a relative 2^-53.
        const expr = add(mul(x, inverse(y), z), inverse(add(x, z)));
        const expected: unknown = mathjsEvaluate(format(expr));
        for (const value of [evaluate(expr), evaluate(normalize(expr))]) {
          expect(Math.abs(value / Number(expected) - 1)).toBeLessThan(1e-15);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['2**10', 1024],
    ['-2^2', -4],
    ['(-2)^3', -8],
    ['0.1^2', 0.1 * 0.1],
    ['(0 - 0)^-1', Infinity],
    ['(-0)^-3', -Infinity],
    ['0^0', 1],
    ['sqrt(2)', Math.SQRT2],
    ['4^-0.5', 0.5],
    ['sqrt(-4)', NaN],
    ['(-4)^0.3', NaN],
    ['cbrt(64)', 4],
    ['cbrt(-8)', -2],
    ['|3 - 5| * abs(-2)', 4],
    ['abs(1e200) + |-0|', 1e200],
    ['1e200^2', Infinity],
    ['1.1^1000', 2.4699329180060256e41],
    ['(-3)^-41', -2.741754446656653e-20],
    ['1e-320^17', 0],
    ['1.0000001^1e20', Infinity],
  ])('of the power %s is %d', (text, value) => {
    expect(evaluate(parse(text))).toBe(value);
  });

  it('rounds whole powers above 16 to the nearest double', () => {
    /** m·2^e exactly, for |x| in the range that the test draws. */
    const exact = (x: number, n: number): { num: bigint; den: bigint } => {
      const m = BigInt(x * 2 ** 60);
      return { num: m ** BigInt(n), den: (1n << 60n) ** BigInt(n) };
    };
    const base = fc.double({ min: 0.5, max: 2, noNaN: true });
    fc.assert(
      fc.property(base, fc.integer({ min: 17, max: 300 }), (x, n) => {
        const value = evaluate(pow(num(x), n));
        const { num: p, den: q } = exact(x, n);
        // |value − p/q| ≤ ½ ulp: scaled by 2^400, whole numbers.
        const scale = 1n << 400n;
        const ulp = 2 ** (Math.floor(Math.log2(value)) - 53);
        const big = (y: number): bigint => BigInt(y * 2 ** 360 * 2 ** 0) << 40n;
        const error = big(value) - (p * scale) / q;
        expect(error < 0n ? -error : error).toBeLessThanOrEqual(big(ulp) + 1n);
      }),
    );
  });

  it('gives the values that mathjs gives for powers, but for the last bits', () => {
    const ordinary = fc.double({ min: 0.01, max: 99, noNaN: true }).map(num);
    const exponent = fc.oneof(fc.integer({ min: -30, max: 30 }), fc.double({ min: -5, max: 5, noNaN: true }));
    fc.assert(
      fc.property(ordinary, ordinary, exponent, (x, y, n) => {
        const expr = div(mul(x, pow(y, n)), pow(abs(neg(add(x, y))), 0.5), pow(x, 1 / 3));
        const expected = Number(mathjsEvaluate(format(expr)));
        for (const value of [evaluate(expr), evaluate(normalize(expr))])
          expect(Math.abs(value / expected - 1)).toBeLessThan(1e-14);
      }),
      { numRuns: 1000 },
    );
  });

  it('looks variables up among the own properties of the scope', () => {
    expect(evaluate(parse('a * a + b'), { a: 3, b: 1 })).toBe(10);
    expect(evaluate(sym('__proto__'), { ['__proto__']: 2 })).toBe(2);
    for (const name of ['toString', 'constructor', '__proto__', 'c']) {
      const error = failure(() => evaluate(add(a, sym(name)), { a: 1, b: 2 }));
      expect([error.code, error.position]).toEqual(['unknown-symbol', -1]);
      expect(error.message).toContain(`'${name}'`);
      expect(error.message).toContain('a, b');
    }
    expect(failure(() => evaluate(a)).code).toBe('unknown-symbol');
  });

  it('refuses a value that is no number', () => {
    expect(failure(() => evaluate(b, { b: '2' as unknown as number })).code).toBe('bad-option');
  });

  it('evaluates trees that are 10,000 levels deep anywhere', () => {
    expect(evaluate(leftNest(add, 10_000))).toBe(10_001);
    let nest = num(1);
    for (let i = 0; i < 10_000; i++) nest = sub(num(1), neg(nest));
    expect(evaluate(nest)).toBe(10_001);
  });
});
