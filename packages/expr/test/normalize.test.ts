import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, format, normalize, parse, type Expr } from '../src/index.js';
import { add, anyExpression, leftNest, mul, num, sub } from './expressions.js';

const normalText = (text: string): string => format(normalize(parse(text)));

describe('normalize', () => {
  it.each([
    ['-1 * x', '-x'],
    ['-1 * (a + b)', '-(a + b)'],
    ['-1 * -x', 'x'],
    ['-1 * 3', '-1 * 3'],
    ['x * -1', 'x * -1'],
    ['-1 * x * y', '-1 * x * y'],
    ['--x', 'x'],
    ['-(2)', '-2'],
    ['--2', '2'],
    ['-(-(-x))', '-x'],
    ['a * b^-1 * c^-1', 'a / b / c'],
    ['a * b^-1 * c', 'a / b * c'],
    ['a / b * c^-1', 'a / b / c'],
    ['-1 * x^-1', '-1 / x'],
    ['-1 * x * y^-1', '-x / y'],
    ['x^-1', '1 / x'],
    ['x^-1 * y', '1 / x * y'],
    ['a / b^-1', 'a / (1 / b)'],
    ['a * b^-2', 'a / b^2'],
    ['a / b^-2 / c', 'a * b^2 / c'],
    ['-1 / b^-2', '-b^2'],
    ['-1 / b^-2 / c', '-b^2 / c'],
    ['-1 / b^-2 / c^-2', '-1 * b^2 * c^2'],
    ['b^-2 * a', 'b^-2 * a'],
    ['a * b^2 / c^0.5', 'a * b^2 / sqrt(c)'],
    ['-1 * x^2', '-x^2'],
    ['(a + b)^1', 'a + b'],
    ['cbrt(-8) + cbrt(-x)', '-cbrt(8) - cbrt(x)'],
    ['|--x|', 'abs(x)'],
    ['a * (1 / b)', 'a * (1 / b)'],
    ['(a / b) / c', 'a / b / c'],
    ['a + -b + -c', 'a - b - c'],
    ['a + -b + c', 'a - b + c'],
    ['a - -b', 'a + b'],
    ['a + -2', 'a + -2'],
    ['a - -2', 'a - -2'],
    ['-a + b', '-a + b'],
    ['a + -1 * b', 'a - b'],
    ['a + -(b + c)', 'a - (b + c)'],
    ['(a + b) + c', 'a + b + c'],
    ['(a + b) - c', 'a + b - c'],
    ['a + (b + c)', 'a + (b + c)'],
    ['a * (b * c)', 'a * (b * c)'],
    ['(a + -b) + c + -d', 'a - b + c - d'],
  ])('%s is %s', (text, normal) => {
    expect(normalText(text)).toBe(normal);
  });

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(anyExpression(), (expr) => {
        const normal = normalize(expr);
        expect(normalize(normal)).toEqual(normal);
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps the bits of the value where there is no inverse', () => {
    fc.assert(
      fc.property(anyExpression({ powers: false, names: false }), (expr) => {
        expect(evaluate(normalize(expr))).toBe(evaluate(expr));
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves the expression that it is given as it is', () => {
    fc.assert(
      fc.property(anyExpression(), (expr) => {
        const before = structuredClone(expr);
        normalize(expr);
        expect(expr).toEqual(before);
      }),
    );
  });

  it('has no inverse and no first power, no minus of a number or minus, and no chain that could be longer on the left', () => {
    fc.assert(
      fc.property(anyExpression(), (expr) => isNormal(normalize(expr))),
      { numRuns: 1000 },
    );
  });

  it('flattens trees that are 10,000 levels deep on the left', () => {
    expect(normalize(leftNest(add, 10_000))).toEqual(add(...Array<Expr>(10_001).fill(num(1))));
    expect(evaluate(normalize(leftNest(sub, 10_000)))).toBe(-9999);
    expect(evaluate(normalize(leftNest(mul, 10_000)))).toBe(1);
  });
});

function isNormal(expr: Expr): boolean {
  switch (expr.type) {
    case 'Num':
    case 'Sym':
      return true;
    case 'Pow':
      return expr.exponent !== 1 && expr.exponent !== -1 && isNormal(expr.base);
    case 'Neg':
      return expr.arg.type !== 'Num' && expr.arg.type !== 'Neg' && isNormal(expr.arg);
    default: {
      const [first, ...rest] = expr.args;
      const isSum = expr.type === 'Add' || expr.type === 'Sub';
      return (
        rest.length > 0 &&
        first!.type !== expr.type &&
        !(isSum && rest.some((arg) => arg.type === 'Neg')) &&
        (isSum || !rest.some((arg) => arg.type === 'Pow' && arg.exponent < 0)) &&
        expr.args.every(isNormal)
      );
    }
  }
}

describe('@dag/expr', () => {
  it.each(['normalize', 'index'])('imports no other package in %s, directly or not', (entry) => {
    const seen = new Set<string>();
    const foreign: string[] = [];
    const visit = (url: URL): void => {
      if (seen.has(url.href)) return;
      seen.add(url.href);
      const source = readFileSync(url, 'utf8');
      for (const [, from] of source.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
        if (from!.startsWith('.')) visit(new URL(from!.replace(/\.js$/, '.ts'), url));
        else foreign.push(from!);
      }
    };
    visit(new URL(`../src/${entry}.ts`, import.meta.url));
    expect(seen.size).toBeGreaterThan(4);
    expect(foreign).toEqual([]);
  });
});
