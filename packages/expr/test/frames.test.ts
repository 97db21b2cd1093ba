import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { asRead, evaluate, ExprError, fromText, normalize, parse } from '../src/index.js';
import { codeAndPosition, failure } from './failure.js';

describe('fromText', () => {
  it.each(['log10(3267.14)', 'f2(3)', 'what is x2(3) ?'])(
    'takes no name with digits for a number: %s',
    (text) => {
      expect(() => evaluate(fromText(text))).toThrow(ExprError);
    },
  );

  it.each([
    ['5² + 2⁻¹', 25.5],
    ['√9 + ∛27', 6],
    ['√16/4 - 2·√9*50%', -2],
    ['the sum of √9/3 and 2', 3],
    ['the sum of twenty-five, 37.2, one hundred and 1.5 million', 1500162.2],
    ['half of twenty-five, then add 2', 14.5],
    ['|√9 - 8|-√4 + 5² x 3', 78],
    ['15% x 80', 12],
    ['½ of 18 + 2½ x 4 - 1,234½', -1215.5],
    ['add ½ to √¼', 1],
    ['9^½ + 1½²', 5.25],
    ['√(2 - 11)^2 + √4^2', NaN],
    ['sqrt(4)% of 50 plus half of √(4)%', 1.01],
    ['the sum of cbrt(8)^-1 and ∛(-8)', -1.5],
    ['2(3 + 4)', 14],
    ['(1 + 2)(3 + 4)', 21],
    ['2 sqrt(9)', 6],
    ['2²(3)', 12],
    ['5³%', 1.25],
    ['20 / 5²%', 80],
    ['5²% of 80', 20],
    ['5 squared percent', 0.25],
    ['two cubed squared', 64],
    ['2 squared to the power of 3', 64],
    ['9 to the power of (1/2)', 3],
    ['9 to the power of 1 / 2', 4.5],
    ['9 to the power of 1/2', 3],
    ['9 raised to -1/2', 1 / 3],
    ['the square root of 9/16', 0.75],
    ['the square root of 9 / 16', 3 / 16],
    ['√9/16', 3 / 16],
    ['3/4 ÷ 1/2', 1.5],
    ['3/4÷1/2', 0.375],
    ['1/3 less than 2/3', 1 / 3],
    ['3 divided by 3/4', 4],
    ['3 / 3/4', 0.25],
    ['3/4 squared', 0.5625],
    ['3/4 ^ 2', 0.1875],
    ['the quotient of 1/2 and 1/4', 2],
    ['the reciprocal of 4/3', 0.75],
    ['3/4% of 80', 0.6],
    ['2 1/2', 2.5],
    ['10 - 2 1/2 * 2', 5],
    ['half of 2 1/2', 1.25],
    ['2 1/2 plus 1 3/4', 4.25],
    ['2 to the power of 3 squared', 512],
    ['five cubed per cent plus 1', 2.25],
    ['minus (2 + 3) squared %', -0.25],
    ['5^2%', 5 ** 0.02],
    ['5 to the power of 2 percent', 5 ** 0.02],
    ['15 percent of 80 plus 20', 32],
    ['20 / 10% of 50', 4],
    ['half of 10', 5],
    ['10 - half of 4', 8],
    ['half a million', 500_000],
    ['a third of 12', 4],
    ['three-quarters of 12', 9],
    ['three quarters', 0.75],
    ['1/2 of 10', 5],
    ['twice 12', 24],
    ['two and a half times 4', 10],
    ['one and a half million', 1_500_000],
    ['What is the sum of 3, 4 and 5?', 12],
    ['the sum of 1/2 and 1/4', 0.75],
    ['the product of 3 and the sum of 4 and 5', 27],
    ['the product of the sum of 3 and 4 and 5', 35],
    ['the sum of 3 and 4 plus 5', 12],
    ['the difference between 3 and 10', 7],
    ['the difference of 10 and 3', 7],
    ['The quotient of 12 and 4.', 3],
    ['Divide 12 by -4.', -3],
    ['multiply 3, 4 and 5', 60],
    ['Add 3 to 4', 7],
    ['Put together 3 and 4.', 7],
    ['Subtract 3 from 10.', 7],
    ['take 3 away from 10', 7],
    ['10 take away 3', 7],
    ['3 less than 10', 7],
    ['3 more than twice 10', 23],
    ['the average of 10, twenty and 30', 20],
    ['the square root of the sum of 9 and 16', 5],
    ["What's the square of the sum of 3 and 4?", 49],
    ['twice two squared', 8],
    ['minus the reciprocal of 4', -0.25],
    ['the sum of two hundred and three hundred', 500],
    ['the product of two thousand and three thousand', 6e6],
    ['the sum of one hundred and five and six', 111],
    ['add 2 and 3, then multiply by 4', 20],
    ['the sum of 3 and 4, divided by 7', 1],
    ['the sum of |-3| and √16', 7],
  ])('reads %j', (text, value) => {
    expect(evaluate(fromText(text))).toBe(value);
    expect(evaluate(fromText(asRead(text)))).toBe(value);
  });

  it('reads variables in them', () => {
    expect(fromText('add a to b')).toEqual(parse('a + b'));
    expect(fromText('2 * x⁻¹')).toEqual(parse('2 * x^-1'));
  });

  it.each([
    ['the sum of 3 and 4 times 5', 'as 3 + 4 * 5 and as (3 + 4) * 5'],
    ['the product of 3 and 4 plus 5', 'as 3 * (4 + 5) and as 3 * 4 + 5'],
    ['the sum of 3 and the product of 4 and 5 and 6', 'as 3 + 4 * 5 * 6 and as 3 + 4 * 5 + 6'],
    ['the difference of 3 and 10', 'as 3 - 10 and as abs(3 - 10)'],
    ['2 plus 5 less than 9', 'as 2 + (9 - 5) and as 9 - (2 + 5)'],
    ['5 less than 3 times 4', 'as 3 * 4 - 5 and as (3 - 5) * 4'],
    ['the sum of 3 and 4 squared', 'as 3 + 4^2 and as (3 + 4)^2'],
  ])('refuses %j, which can be read %s', (text, ways) => {
    const { code, message } = failure(() => fromText(text));
    expect(code).toBe('ambiguous');
    expect(message).toContain(ways);
  });

  it.each<[string, string, number]>([
    ['6/2(1+2)', 'unsupported', 3],
    ['2^2(3)', 'unsupported', 3],
    ['√9(4)', 'syntax', 0],
    ['2.5½ + 1', 'syntax', 3],
    ['9 to the power of 0.5/2', 'ambiguous', 9],
    ['2 5/3', 'syntax', 2],
    ['two 1/2', 'syntax', 4],
    ['1 2 1/2', 'syntax', 2],
    ['1/2 million', 'unsupported', 4],
    ['half of 1/2 apples', 'syntax', 12],
    ['2 1/2 +', 'syntax', 7],
    ['a million and a half', 'syntax', 14],
    ['9 raised to -0.5/2', 'ambiguous', 2],
    ['add 15% to 80', 'syntax', 11],
    ['15% more than 80', 'syntax', 4],
    ['a third less than 12', 'syntax', 8],
    ['half more than 10', 'syntax', 5],
    ['the sum of 3,5 and 2,5', 'syntax', 12],
    ['the sum of the digits of 12', 'syntax', 15],
    ['the sum of 3 and', 'syntax', 16],
    ['the average of 3', 'syntax', 16],
    ['twenty apples and half of 3', 'syntax', 7],
    [`${'half of '.repeat(120)}1`, 'too-long', 608],
    [`${'half of '.repeat(130)}1`, 'too-long', 1000],
  ])('refuses %j: %s at %i', (text, code, position) => {
    expect(codeAndPosition(() => fromText(text))).toEqual([code, position]);
  });

  it('reads nested frames right, or says that they are ambiguous', () => {
    interface Said {
      readonly text: string;
      readonly value: number;
    }
    const ways: [string, (a: number, b: number) => number][] = [
      ['the sum of A and B', (a, b) => a + b],
      ['the product of A and B', (a, b) => a * b],
      ['the quotient of A and B', (a, b) => a / b],
      ['the distance between A and B', (a, b) => Math.abs(a - b)],
      ['A plus B', (a, b) => a + b],
      ['A * B', (a, b) => a * b],
      ['B less than A', (a, b) => a - b],
      ['subtract B from A', (a, b) => a - b],
      ['multiply A by B', (a, b) => a * b],
      ['half of (A + B)', (a, b) => (a + b) / 2],
      ['the average of A and B', (a, b) => (a + b) / 2],
    ];
    const said = (grouped: boolean): fc.Arbitrary<Said> =>
      fc.letrec<{ said: Said }>((tie) => ({
        said: fc.oneof(
          { maxDepth: 3, depthSize: 'small' },
          fc.integer({ min: 2, max: 99 }).map((n) => ({ text: String(n), value: n })),
          fc.tuple(fc.constantFrom(...ways), tie('said'), tie('said')).map(([[text, value], a, b]) => ({
            text: text.replace(/[AB]/g, (name) => {
              const operand = (name === 'A' ? a : b).text;
              // Operators between operands bind as they do in symbols.
              const isInfix = /^[AB]/.test(text);
              return (grouped || isInfix) && /\D/.test(operand) ? `(${operand})` : operand;
            }),
            value: value(a.value, b.value),
          })),
        ),
      })).said;
    const isRight = (value: number, expected: number): boolean =>
      Object.is(value, expected) || Math.abs(value - expected) <= 1e-9 * Math.abs(expected);
    const outcome = (text: string): number | string => {
      try {
        return evaluate(fromText(text));
      } catch (error) {
        if (error instanceof ExprError) return error.code;
        throw error;
      }
    };
    let read = 0;
    for (const grouped of [true, false])
      fc.assert(
        fc.property(said(grouped), ({ text, value }) => {
          const result = outcome(text);
          if (typeof result === 'string') return !grouped && ['ambiguous', 'too-long'].includes(result);
          read++;
          return isRight(result, value);
        }),
        { numRuns: 500 },
      );
    expect(read).toBeGreaterThan(600);
  });

  it('takes no longer than its limits allow, however a text nests', () => {
    for (const words of ['half of ', '3 less than ', 'the sum of 3 and ', 'the product of ', '2(', '5² + '])
      for (const count of [20, 200, 5000]) {
        const text = `${words.repeat(count)}3`;
        try {
          normalize(fromText(text));
        } catch (error) {
          expect(error).toBeInstanceOf(ExprError);
        }
      }
  });
});
