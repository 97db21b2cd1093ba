import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { format, normalize, parse } from '../src/index.js';
import {
  a,
  abs,
  add,
  anyExpression,
  b,
  c,
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

describe('format', () => {
  it.each([
    [add(add(a, b), c), '(a + b) + c'],
    [add(sub(a, b), c), 'a - b + c'],
    [sub(a, add(b, c)), 'a - (b + c)'],
    [mul(add(a, b), c), '(a + b) * c'],
    [mul(div(a, b), div(a, c)), 'a / b * (a / c)'],
    [add(mul(a, b), div(a, c)), 'a * b + a / c'],
    [sub(a, num(-2)), 'a - -2'],
    [neg(num(2)), '-(2)'],
    [neg(num(-2)), '--2'],
    [neg(num(0)), '-(0)'],
    [neg(mul(a, b)), '-(a * b)'],
    [mul(neg(a), b), '-a * b'],
    [neg(inverse(a)), '-a^-1'],
    [inverse(neg(a)), '(-a)^-1'],
    [inverse(num(-2)), '(-2)^-1'],
    [inverse(inverse(a)), '(a^-1)^-1'],
    [pow(a, 2), 'a^2'],
    [pow(a, -1e-7), 'a^-1e-7'],
    [pow(pow(a, 2), 3), '(a^2)^3'],
    [pow(pow(a, 0.5), 3), 'sqrt(a)^3'],
    [pow(a, -0.5), 'a^-0.5'],
    [pow(num(-8), 1 / 3), 'cbrt(-8)'],
    [pow(num(-2), 2), '(-2)^2'],
    [neg(abs(sub(a, b))), '-abs(a - b)'],
    [pow(abs(a), 2), 'abs(a)^2'],
    [num(-0), '-0'],
    [num(1e21), '1e+21'],
    [num(0.1), '0.1'],
  ])('of %j is %s', (expr, text) => {
    expect(format(expr)).toBe(text);
  });

  it('parses back to the same expression, node for node', () => {
    fc.assert(
      fc.property(anyExpression(), (expr) => {
        expect(parse(format(expr))).toEqual(expr);
        const normal = normalize(expr);
        expect(parse(format(normal))).toEqual(normal);
      }),
      { numRuns: 800 },
    );
  });

  it('needs each pair of its parentheses', () => {
    fc.assert(
      fc.property(anyExpression(), (expr) => {
        const text = format(expr);
        const open: number[] = [];
        for (let i = 0; i < text.length; i++) {
          if (text[i] === '(') open.push(i);
          if (text[i] !== ')') continue;
          const begin = open.pop()!;
          const without = `${text.slice(0, begin)} ${text.slice(begin + 1, i)} ${text.slice(i + 1)}`;
          expect(readsAs(without, expr)).toBe(false);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('writes trees that are 10,000 levels deep on the left', () => {
    expect(format(leftNest(add, 10_000)).length).toBeGreaterThan(40_000);
  });

  it('refuses what no text can say', () => {
    expect(failure(() => format(num(NaN))).code).toBe('not-finite');
    expect(failure(() => format(num(-Infinity))).code).toBe('not-finite');
    for (const name of ['', '2x', 'a b', 'a×b', 'true', 'mod', 'a\n']) {
      expect(failure(() => format(sym(name))).code).toBe('unsupported');
    }
  });
});

function readsAs(text: string, expr: ReturnType<typeof parse>): boolean {
  try {
    expect(parse(text)).toEqual(expr);
    return true;
  } catch {
    return false;
  }
}
