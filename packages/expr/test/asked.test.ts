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
    ["  What's Two − 3", "  What's two - 3"],
    ['whatever IS', 'whatever is'],
    ['2.5 * (3 + 4)', '2.5 * (3 + 4)'],
  ])('reads %j', (text, read) => {
    expect(asRead(text)).toBe(read);
  });

  it('keeps the length, and what a text of words asks for', () => {
    const piece = fc.constantFrom(
      ...'What is|HOW MUCH IS|Two|POINT|Plus|−|×|(|)|7.5|Negative|over|?|=|İ|'.split('|'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join(' ');
        expect(asRead(text)).toHaveLength(text.length);
        expect(asRead(asRead(text))).toBe(asRead(text));
        expect(asRead(text).toLowerCase()).toBe(asTyped(text).toLowerCase());
        expect(isQuestion(asRead(text))).toBe(isQuestion(text));
        expect(outcome(asRead(text))).toEqual(outcome(text));
      }),
      { numRuns: 500 },
    );
  });
});
