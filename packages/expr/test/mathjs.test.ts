import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { derivative, simplify } from 'mathjs';
import { evaluate as mathjsEvaluate } from 'mathjs/number';
import { fromMathNode, parseMath, toMathNode } from '../src/mathjs.js';
import { evaluate, ExprError, format, parse, type Expr } from '../src/index.js';
import { anyExpression, leftNest } from './expressions.js';
import { codeAndPosition, failure } from './failure.js';
import { orJunk } from './junk.js';

describe('parseMath', () => {
  it.each([
    ['2x', '2 * x'],
    ['3 (x + 1)', '3 * (x + 1)'],
    ['1/2 x', '1 / 2 * x'],
    ['2(x)(3)', '2 * x * 3'],
    ['sqrt(16) + x', '4 + x'],
    ['abs(-3) * x', '3 * x'],
    ['2^10 - x', '1024 - x'],
    ['x^2 - 3 (x + 1)^(1 / 2)', 'x^2 - 3 * sqrt(x + 1)'],
    ['cbrt(2 x) + abs(x - 1) + sqrt(sqrt(16) x)', 'cbrt(2 * x) + abs(x - 1) + sqrt(4 * x)'],
    ['2^3^2', '512'],
    ['-2^2', '-4'],
    ['x ^ -1', 'x^-1'],
    ['x ^ (2 - 3)', 'x^-1'],
    ['2 ^ -1', '2^-1'],
    ['5!', '120'],
    ['7 mod 4', '3'],
    ['5%', '5 / 100'],
    ['x + 5%', 'x + x * (5 / 100)'],
    ['0x1F + 0b11', '31 + 3'],
    ['add(x, 2) + divide(x, 3)', 'x + 2 + x / 3'],
    ['max(1, 2 + 3, 4) x', '5 * x'],
    ['hypot(3, sqrt(16))', '5'],
    ['cos(0) # a comment', '1'],
    ['pi', String(Math.PI)],
    ['2 e', `2 * ${Math.E}`],
    ['a * cm', 'a * cm'],
  ])('reads %s as %s', (text, expected) => {
    expect(format(parseMath(text))).toBe(expected);
  });

  it.each([
    ['1 + 2^x', 'unsupported', 4, "the power of a variable, in '2 ^ x'"],
    ['2 + sin( x )', 'unsupported', 4, "the function sin of a variable, in 'sin(x)'"],
    ['2^x + 2^x', 'unsupported', -1, 'the power of a variable'],
    ['x^(1 / 0)', 'not-finite', -1, 'no finite number'],
    ['2^x', 'unsupported', 0, 'the power of a variable'],
    ['3 + x!', 'unsupported', 4, 'the operator ! of a variable'],
    ['5 cm + 1', 'unsupported', 2, 'the unit cm'],
    ['5 cm to inch', 'unsupported', 2, 'the unit cm'],
    ['x to y', 'unsupported', 0, 'the operator to'],
    ['1 + [2, 3]', 'unsupported', 4, "a matrix, in '[2, 3]'"],
    ['1:3', 'unsupported', 0, 'a range'],
    ['{a: 1}', 'unsupported', -1, 'an object'],
    ['a[1]', 'unsupported', 0, 'an index'],
    ['a.b', 'unsupported', 0, 'a property'],
    ['a = 2', 'unsupported', 0, 'an assignment'],
    ['f(x) = x^2', 'unsupported', 0, 'the definition of a function'],
    ['1; 2', 'unsupported', 0, 'several expressions'],
    ['x > 1 ? 2 : 3', 'unsupported', -1, 'a condition'],
    ['1 < 2 < 3', 'unsupported', 0, 'a comparison'],
    ['1 < 2', 'unsupported', 0, 'the operator <'],
    ['random()', 'unsupported', 0, 'the function random'],
    ['evaluate("1")', 'unsupported', 9, 'a string'],
    ['f(2)', 'unsupported', 0, 'the function f'],
    ['constructor(2)', 'unsupported', 0, 'the function constructor'],
    ['a.sqrt(2)', 'unsupported', 0, "a property, in 'a.sqrt'"],
    ['2 + i', 'unsupported', 4, 'a complex number'],
    ['sqrt(-4)', 'unsupported', 0, 'a value that is no real number'],
    ['round(1.5, 99)', 'unsupported', 0, 'the function round outside of its domain'],
    ['max()', 'unsupported', 0, 'the function max outside of its domain'],
    ['true', 'unsupported', 0, 'a boolean'],
    ['null', 'unsupported', 0, 'null'],
    ['log(0)', 'not-finite', 0, 'a value that is not finite'],
    ['2 * 1e400', 'not-finite', -1, 'a value that is not finite'],
    ['', 'syntax', 0, 'An expression is expected'],
    ['2 +', 'syntax', 3, 'Unexpected end of expression'],
    ['2 * (3 +) 4', 'syntax', 8, 'Value expected'],
  ])('refuses %s', (text, code, position, message) => {
    const error = failure(() => parseMath(text));
    expect(error.code).toBe(code);
    expect(error.position).toBe(position);
    expect(error.message).toContain(message);
  });

  it('refuses texts that are too long or too deep, and percentages that repeat their left operands beyond all bounds', () => {
    const repeated = `[${'('.repeat(60)}x${' + 1%)'.repeat(60)}]`;
    expect(codeAndPosition(() => parseMath('1+'.repeat(6000)))).toEqual(['too-long', 10_000]);
    expect(codeAndPosition(() => parseMath('('.repeat(9_999)))).toEqual(['too-deep', 0]);
    expect(codeAndPosition(() => parseMath(repeated))).toEqual(['too-long', -1]);
  });

  it('reads what parse reads', () => {
    fc.assert(
      fc.property(anyExpression({ names: false, powers: false }), (expr) => {
        expect(parseMath(format(expr))).toEqual(parse(format(expr)));
      }),
    );
  });

  it('has the values of mathjs', () => {
    let read = 0;
    fc.assert(
      fc.property(mathText, (text) => {
        const scope = { x: 2.5, y: -3 };
        const expected = mathjsEvaluate(text, { ...scope }) as number;
        try {
          const value = evaluate(parseMath(text), scope);
          read++;
          // mathjs computes x^-1 with pow, whose last bits differ from those of 1 / x; a sum may magnify that.
          if (!Object.is(value, expected)) expect(value).toBeCloseTo(expected, 9 - magnitude(expected));
        } catch (error) {
          if (!(error instanceof ExprError)) throw error;
          expect(error.message).toMatch(/of a variable|no real number|not finite/);
        }
      }),
      { numRuns: 1000 },
    );
    expect(read).toBeGreaterThan(500);
  });
});

const magnitude = (x: number): number => (x === 0 ? 0 : Math.ceil(Math.log10(Math.abs(x))));

/** Texts of mathjs's language with two variables, of which most are arithmetic of real numbers. */
const mathText = fc.letrec<{ text: string }>((tie) => {
  const one = tie('text');
  const two = fc.tuple(one, one);
  const number = fc.integer({ min: 0, max: 200 }).map((n) => String(n / 8));
  return {
    text: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      fc.oneof(number, fc.constantFrom('x', 'y', 'pi', 'e', '3%', '0x1f')),
      two.chain(([a, b]) => fc.constantFrom('+', '-', '*', '/').map((op) => `${a} ${op} ${b}`)),
      two.chain(([a, b]) => fc.constantFrom(`(${a}) - (${b})`, `(${a}) (${b})`, `2 (${b})`)),
      one.chain((a) =>
        fc.constantFrom('abs', 'sqrt', 'cbrt', 'floor', 'exp', 'sin', 'square').map((f) => `${f}(${a})`),
      ),
      one.chain((a) => fc.constantFrom(`(${a})`, `-${a}`, `(${a})^-1`, `(${a})^(4 - 5)`, `(${a})^2`)),
    ),
  };
}).text;

describe('toMathNode', () => {
  it('is undone by fromMathNode, node for node', () => {
    fc.assert(
      fc.property(anyExpression(), (expr) => {
        expect(fromMathNode(toMathNode(expr))).toEqual(parse(format(expr)));
      }),
    );
  });

  it('gives nodes that mathjs simplifies, differentiates and typesets', () => {
    const node = toMathNode(parse('2.5 * (x - 1) / 3'));
    expect(node.toTex()).toBe('\\frac{2.5\\cdot\\left( x-1\\right)}{3}');
    expect(derivative(node, 'x').evaluate()).toBeCloseTo(2.5 / 3, 15);
    expect(format(fromMathNode(simplify(toMathNode(parse('x + x + y')))))).toBe('2 * x + y');
    expect(format(fromMathNode(derivative(toMathNode(parse('x^3')), 'x')))).toBe('3 * x^2');
  });

  it('refuses what cannot be written, and what is nested deeper than mathjs reads', () => {
    expect(failure(() => toMathNode({ type: 'Num', value: NaN })).code).toBe('not-finite');
    const deep = (left: Expr, right: Expr): Expr => ({ type: 'Sub', args: [right, left] });
    expect(failure(() => toMathNode(leftNest(deep as never, 100_000))).code).toBe('too-deep');
  });
});

it('answers whatever is given with a result or an ExprError', () => {
  fc.assert(
    fc.property(orJunk(fc.string()), orJunk(anyExpression()), (text, expr) => {
      for (const act of [() => parseMath(text), () => toMathNode(expr), () => fromMathNode(expr)]) {
        try {
          act();
        } catch (error) {
          if (!(error instanceof ExprError)) throw error;
        }
      }
    }),
    { numRuns: 500 },
  );
});
