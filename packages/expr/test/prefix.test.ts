import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { completePrefix, format, generateText, parse, toWords } from '../src/index.js';
import { anyExpression } from './expressions.js';

describe('completePrefix', () => {
  it.each([
    ['2', '2'],
    ['2.', '2.0'],
    ['2.5 * 3.', '2.5 * 3.0'],
    ['-2.', '-2.0'],
    ['2.5 *', '2.5'],
    ['2.5 * -', '2.5'],
    ['2.5 - -', '2.5'],
    ['2.5 * (', '2.5'],
    ['2.5 * -(-(', '2.5'],
    ['2.5 * (3 +', '2.5 * (3)'],
    ['((2 + 3) * (4 - (5', '((2 + 3) * (4 - (5)))'],
    ['(2.', '(2.0)'],
    ['2. *', '2.0'],
    ['3 + .', '3'],
    ['1e', '1'],
    ['2.e-', '2.0'],
    ['a ^', 'a'],
    ['a^(-', 'a'],
    ['a^-1', 'a^-1'],
    ['2 *', '2'],
    ['2 **', '2'],
    ['2 ** 1', '2 ** 1'],
    ['a^(-0.', 'a^(-0.0)'],
    ['a^(1 / ', 'a^(1)'],
    ['3 + sqrt(', '3'],
    ['3 + sqrt((2 + 7', '3 + sqrt((2 + 7))'],
    ['3 * |2 - (5', '3 * |2 - (5)|'],
    ['3 * |2|', '3 * |2|'],
    ['3 * |', '3'],
    ['3 * 15%', '3 * 15%'],
    ['(3 * 15%', '(3 * 15%)'],
    ['15 per', '15'],
    ['15 percent plus', '15%'],
    ['[2 × {3', '(2 * (3))'],
    ['2 x 3', '2 * 3'],
    ['２ – 1', '2 - 1'],
    ['two squ', '2'],
    ['two squared', '2^2'],
    ['two plus the square root of nine', '2 + sqrt(9)'],
    ['two plus the square ro', '2'],
    ['the square root of two plus', 'sqrt(2)'],
    ['  2 + 3 \n', '2 + 3'],
    ['2. * 3', '2. * 3'],
    ['two point', '2.0'],
    ['two point five ti', '2.5'],
    ['two times open three plus', '2 * (3)'],
    ['one', '1'],
    ['m', 'm'],
    ['two + 3', '2 + 3'],
    ['12 ti', '12'],
    ['12.5 times -3 p', '12.5 * -3'],
    ['What is 12 plus (3 times', '12 + (3)'],
    ['what is one two?', '12'],
    ['2 × 3 ÷ 4 − 1 =', '2 * 3 / 4 - 1'],
    ['How much', null],
    ['What is', null],
    ['What is 2 + 3? 4', null],
  ])('makes %j to %j', (text, completed) => {
    expect(completePrefix(text)).toBe(completed);
  });

  it.each([
    '',
    '  ',
    '-',
    '(',
    '-(-',
    '.',
    '+',
    '2)',
    '2 + (3]',
    '[2 + 3)',
    '$5 + €3',
    '* 3',
    '2 3',
    '2!',
    'f(2',
    'sqrt(',
    '|',
    '2^x',
    '2^(1/0',
    '0x1',
    '1e999',
    'minus open',
  ])('gives null for %j', (text) => {
    expect(completePrefix(text)).toBeNull();
  });

  it('gives null where the text is longer or deeper than parse reads', () => {
    expect(completePrefix('1'.repeat(300) + '+1'.repeat(5000))).toBeNull();
    expect(completePrefix('('.repeat(300) + '1')).toBeNull();
    expect(completePrefix(`(${'1+'.repeat(4999)}1`)).toBeNull();
  });

  it('leaves an expression as it is', () => {
    fc.assert(
      fc.property(anyExpression(), (expr) => {
        const text = format(expr);
        expect(completePrefix(text)).toBe(text);
      }),
    );
  });

  it('gives null or an expression for every prefix of one, in symbols and words', () => {
    for (let index = 0; index < 40; index++) {
      const text = generateText({
        seed: 5,
        index,
        depth: 6,
        maxDigits: 3,
        maxDecimals: 3,
        style: 'mixed',
        negatedGroups: 0.3,
      });
      let began = false;
      for (let end = 0; end <= text.length; end++) {
        const completed = completePrefix(text.slice(0, end));
        if (completed !== null) parse(completed);
        // Once a number is there, something is left. (The 'm' of a leading 'minus' is a variable until the word is whole.)
        expect([text, end, began && completed === null]).toEqual([text, end, false]);
        began ||= completed !== null && /\d/.test(completed);
      }
      expect(began).toBe(true);
    }
  });

  it('gives null or an expression for every prefix of one with names, inverses and exponents', () => {
    fc.assert(
      fc.property(anyExpression(), fc.nat(), fc.boolean(), (expr, cut, inWords) => {
        const text = inWords ? toWords(expr) : format(expr);
        const completed = completePrefix(text.slice(0, cut % (text.length + 1)));
        if (completed !== null) parse(completed);
      }),
      { numRuns: 1000 },
    );
  });

  it('repairs what it has repaired to the same', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9.+\-*/() a^e]{0,12}$/), (text) => {
        const completed = completePrefix(text);
        fc.pre(completed !== null);
        parse(completed!);
        expect(completePrefix(completed!)).toBe(completed);
      }),
      { numRuns: 1500 },
    );
  });
});
