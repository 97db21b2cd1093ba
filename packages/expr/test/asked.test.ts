import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ExprError, asRead, asTyped, fromText, isQuestion } from '../src/index.js';

function outcome(text: string): unknown {
  try {
    return fromText(text);
  } catch (error) {
    if (error instanceof ExprError) return [error.code, error.position];
    throw error;
  }
}

describe('asRead', () => {
  it.each([
    ['Minus FIVE Times two', 'minus five times two'],
    ['WHAT IS 2 × Three?', 'What is 2 * three?'],
    ["  What's Two − 3", " What's two - 3"],
    ['2.5  *\t(3 +\n 4)', '2.5 * (3 + 4)'],
    ['Calculate 2 + 3.5. ', 'Calculate 2 + 3.5'],
    ['It is (2 + 3).', 'it is (2 + 3)'],
    ['what is 2 + 3?', 'What is 2 + 3?'],
    ['whatever IS', 'whatever is'],
    ['2.5 * (3 + 4)', '2.5 * (3 + 4)'],
  ])('reads %j', (text, read) => {
    expect(asRead(text)).toBe(read);
  });

  it('keeps what a text of words asks for', () => {
    const piece = fc.constantFrom(
      ...'What is|HOW MUCH IS|Two|POINT|Plus|−|×|(|)|7.5|Negative|over|?|=|İ|'.split('|'),
    );
    const blanks = fc.constantFrom(' ', '  ', '\t', '\n ');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), blanks, (pieces, blank) => {
        const text = pieces.join(' ').replace(/ +/g, ' ');
        const read = asRead(pieces.join(blank));
        expect(read).toBe(asRead(text));
        expect(asRead(read)).toBe(read);
        expect(read.toLowerCase()).toBe(asTyped(text).toLowerCase());
        expect(isQuestion(read)).toBe(isQuestion(text));
        expect(outcome(read)).toEqual(outcome(text));
      }),
      { numRuns: 500 },
    );
  });
});
