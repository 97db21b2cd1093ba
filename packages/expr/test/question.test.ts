import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  ExprError,
  asRead,
  evaluate,
  format,
  formatValue,
  fromText,
  generateText,
  isQuestion,
  parse,
  type Expr,
} from '../src/index.js';
import { anyExpression } from './expressions.js';

const outcome = (text: string): unknown => outcomeOf(() => fromText(text));

function outcomeOf(read: () => Expr): unknown {
  try {
    return read();
  } catch (error) {
    if (error instanceof ExprError) return [error.code, error.position];
    throw error;
  }
}

const piece = fc.constantFrom(
  ...'What is|HOW MUCH IS|Two|POINT|Plus|−|×|(|)|7.5|Negative|over|?|=|İ|'.split('|'),
);

/** A text with the keys of the signs of print in generated texts. */
const withKeys = (text: string): string =>
  text.replaceAll('×', '*').replaceAll('÷', '/').replaceAll('−', '-');

describe('asRead', () => {
  it.each([
    ['2 × 3 · 4 ⋅ 5 ÷ 6 − 7 – 8’', "2 * 3 * 4 * 5 / 6 - 7 - 8'"],
    ['Minus FIVE Times two', 'minus five times two'],
    ['WHAT IS 2 × Three?', 'What is 2 * three?'],
    ['  What’s Two – 3', "What's two - 3"],
    ['whatever IS', 'whatever is'],
    ['2.5 * (3 + 4)', '2.5 * (3 + 4)'],
    [' 2.5  *\t(3 +\n 4)', '2.5  * (3 + 4)'],
    ['two  plus   3', 'two plus 3'],
    ['Calculate 2 + 3.5. ', 'Calculate 2 + 3.5'],
    ['It is (2 + 3).', 'it is (2 + 3)'],
    ['how much IS  2 + 3?', 'How much is 2 + 3?'],
    ['what is 2 + 3?', 'what is 2 + 3?'],
    ['twenty-three plus two point five', '23 plus 2.5'],
    ['What is 1,234,567 times one hundred and five?', 'What is 1234567 times 105?'],
    ['two point five times open three plus four close', 'two point five times open three plus four close'],
  ])('makes %j %j', (text, read) => {
    expect(asRead(text)).toBe(read);
  });

  it('says the same, whatever the blanks and letters', () => {
    const blanks = fc.constantFrom(' ', '  ', '\t', '\n ');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), blanks, (pieces, blank) => {
        const text = pieces.join(' ').trim().replace(/ +/g, ' ');
        const given = pieces.join(blank);
        const read = asRead(given);
        expect(asRead(read)).toBe(read);
        expect(read.replaceAll('  ', ' ').toLowerCase()).toBe(withKeys(text).toLowerCase());
        expect(isQuestion(read)).toBe(isQuestion(given));
        expect(outcome(read.replaceAll('  ', ' '))).toEqual(outcome(text));
      }),
      { numRuns: 500 },
    );
  });

  it('changes nothing in generated texts but signs of print, so that training sees them as they are', () => {
    const spaces = new Set<string>();
    for (const style of ['spaced', 'compact', 'loose', 'words', 'question'] as const)
      for (let index = 0; index < 400; index++) {
        const text = generateText({
          ...{ seed: 5, index, depth: 6, maxDigits: 4, maxDecimals: 3 },
          ...{ style, synonyms: 0.5, negatedGroups: 0.3 },
        });
        expect(asRead(text)).toBe(withKeys(text));
        for (const [blanks] of text.matchAll(/ +|^what is/g)) spaces.add(blanks);
      }
    expect(spaces).toEqual(new Set([' ', '  ', 'what is']));
  });
});

describe('fromText', () => {
  it.each([
    ['Twenty three.', 23],
    ['(2+3).', 5],
    ['What’s 2+3?', 5],
    ['What is\n2 +\r\n3', 5],
    ['one hundred and five. ', 105],
    ['1,000.', 1000],
    ['15% * 200', 30],
    ['fifteen percent times 200.', 30],
    ['What is (2 + 3)%?', 0.05],
    ['[2 + 3] * {4 - 1}', 15],
    ['1e-7 * 3', 3e-7],
    ['1e-7 times three', 3e-7],
    ['１２＋３．５＝', 15.5],
    ['What is 2 x 3？', 6],
    ['2x3', 6],
    ['(1 + 1)X(3)', 6],
    ['2.5 x -2', -5],
    ['1e3 x 2', 2000],
    ['10 – 3 — 2 ➖ 1', 4],
    ['6 ⁄ 3 ✕ 2 ∙ 2', 8],
    ['2\u00A0+\u202F3\u2009*\u20094', 14],
    ['$5 + $1,000.50', 1005.5],
    ['-€ 5 – €3', -8],
    ['1\u202F234\u00A0567 + 1', 1234568],
    ["1'234 + 2", 1236],
    ['1 000 000 / 250', 4000],
    ['What is 12 005.5 plus 3?', 12008.5],
    ['5 € - 2€ + € 3', 6],
    ['Give the answer in decimals. 3 / 4 =', 0.75],
    ['Please work out the value of 2 + 3.', 5],
    ['twelve hundred plus thirty-two hundred', 4400],
    ['minus one point five million', -1.5e6],
    ['1.5 million + 2 billion', 2_001_500_000],
    ['a billion', 1e9],
    ['twenty-two point five thousand', 22_500],
    ["1\u202F234.5 + 1'000.", 2234.5],
    ['“2 + 3”', 5],
    ['two squared plus the square root of sixteen', 8],
    ['What is the absolute value of minus twelve?', 12],
    ['2 to the power of ten', 1024],
    ['the cube root of 27 times 2', 6],
    ['sqrt(207.28) + 6.3411**3.2906', Math.sqrt(207.28) + 6.3411 ** 3.2906],
  ])('reads %j', (text, value) => {
    expect(evaluate(fromText(text))).toBe(value);
  });

  it.each([
    ['2x', ['unsupported', 1]],
    ['2x - 3', ['unsupported', 1]],
    ['0x10', ['unsupported', 0]],
    ['[2 + 3', ['syntax', 6]],
    ['1\u202F23 + 1', ['syntax', 2]],
    ['[1, 2]', ['unsupported', 2]],
    ['5 % 3', ['unsupported', 2]],
    ['$1,000 + $5 % 3', ['unsupported', 12]],
    ['$5 + €3', ['unsupported', 5]],
    ['5 £ × 3 ¥', ['unsupported', 8]],
    ['twenty € + 5 $', ['unsupported', 13]],
    ['2 + (3]', ['syntax', 6]],
    ['[2 + 3)', ['syntax', 6]],
    ['{2 + 3]', ['syntax', 6]],
    ['（2 + [3)]', ['syntax', 7]],
    ['2 + 3}', ['syntax', 5]],
  ])('refuses %j: %j', (text, error) => {
    expect(outcome(text)).toEqual(error);
  });

  it('says which bracket and currency do not fit', () => {
    expect(() => fromText('[2 + 3)')).toThrow("A ']' is expected before this ')'.");
    expect(() => fromText('2 + 3]')).toThrow("This ']' has no '[' before it.");
    expect(() => fromText('$5 + €3')).toThrow("'€' follows '$'");
  });

  it('takes x and $ for variables where they are', () => {
    for (const text of ['x + 2', '2 * x', 'a2x3', '$y + 2', 'x x'])
      expect(outcome(text)).toEqual(outcomeOf(() => parse(text)));
  });

  it('reads what format and formatValue print', () => {
    fc.assert(
      fc.property(anyExpression(), fc.double({ noNaN: true, noDefaultInfinity: true }), (expr, value) => {
        expect(fromText(format(expr))).toEqual(expr);
        expect(fromText(`What is ${format(expr)}?`)).toEqual(expr);
        expect(fromText(formatValue(value))).toEqual({ type: 'Num', value });
      }),
    );
  });

  it('answers in time linear in the text', () => {
    for (const text of [
      'a' + '9'.repeat(90_000) + 'x3',
      '9x'.repeat(45_000),
      '$ '.repeat(45_000),
      ' x'.repeat(45_000),
      '["{'.repeat(30_000),
      '\n'.repeat(90_000),
    ])
      outcome(text);
  });

  it('reads in a text what it reads in the form that predictors are given', () => {
    const words =
      "What is|What’s|what's|CALCULATE|Two|POINT|Plus|−|×|(|)|7.5|7|.|,|1,000|Negative|over|?|=|twenty|three|hundred|and|a|x|İ|million|e|–|%|$|[|}|３|€|squared|percent|2\u202F000|the sum of|and|half|third|of|,|to|add|²";
    const text = fc
      .array(
        fc.tuple(
          fc.constantFrom(...words.split('|')),
          fc.constantFrom(...['', ' ', '  ', '\n', '\t', '\u00A0', '-', '.']),
        ),
        { maxLength: 9 },
      )
      .map((pieces) => pieces.flat().join(''));
    // Names of variables come back in lower case, and errors where the text is shorter.
    const kindOf = (given: unknown): string =>
      Array.isArray(given) ? 'an error' : JSON.stringify(given).toLowerCase();
    fc.assert(
      fc.property(text, (given) => {
        expect(kindOf(outcome(asRead(given)))).toEqual(kindOf(outcome(given)));
      }),
      {
        numRuns: 2000,
        examples: [
          ['Plus1,000three'],
          ['1,000x'],
          ['1,000.twenty'],
          ['twenty.7'],
          ['twenty.Plus e'],
          ['2\u202F000.–x'],
        ],
      },
    );
  });

  it('refuses a text that is longer than it reads before it looks for numbers in it', () => {
    expect(outcome('twenty '.repeat(3_000_000))).toEqual(['too-long', 10_000]);
  });
});

describe('numbers that are words of their own', () => {
  const UNITS =
    'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
      ' ',
    );
  const TENS = '- - twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
  /** The ways to say a number below 10¹². */
  function cardinal(n: number, and: string, dash: string): string {
    const larger = [
      [1e9, 'billion'],
      [1e6, 'million'],
      [1e3, 'thousand'],
      [100, 'hundred'],
    ] as const;
    for (const [scale, word] of larger) {
      if (n < scale) continue;
      const rest = n % scale;
      const head = `${cardinal(Math.floor(n / scale), and, dash)} ${word}`;
      if (rest === 0) return head;
      return `${head} ${scale === 100 || rest < 100 ? and : ''}${cardinal(rest, and, dash)}`;
    }
    if (n < 20) return UNITS[n]!;
    return n % 10 === 0 ? TENS[n / 10]! : `${TENS[Math.floor(n / 10)]!}${dash}${UNITS[n % 10]!}`;
  }

  it('are understood, with decimals and operators around them', () => {
    const number = fc.oneof(fc.nat(30), fc.nat(2000), fc.nat(999_999_999_999));
    fc.assert(
      fc.property(
        number,
        number,
        fc.constantFrom('', 'and '),
        fc.constantFrom('-', ' '),
        fc.stringMatching(/^\d{1,6}$/),
        (a, b, and, dash, decimals) => {
          const point = Array.from(decimals, (digit) => UNITS[Number(digit)]!).join(' ');
          // One of them is always a word of its own.
          const text = `What is ${cardinal(a, and, dash)} point ${point} times (${cardinal(b, and, dash)} plus twelve)?`;
          expect(evaluate(fromText(text))).toBe(Number(`${a}.${decimals}`) * (b + 12));
          expect(evaluate(fromText(asRead(text)))).toBe(Number(`${a}.${decimals}`) * (b + 12));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['a hundred over twenty', 5],
    ['TWELVE plus five', 17],
    ['nineteen minus negative one two', 31],
    ['1,000 - 1', 999],
    ['1,234.5 + 1,000,000', 1_001_234.5],
    ['two thousand', 2000],
    ['five hundred-two', 502],
    ['one-hundred-and-two', 102],
    ['twenty-five-hundred plus two-thousand-and-one', 4501],
    ['five hundred–twenty‑one', 521],
    ['1.5-million', 1_500_000],
    ['five hundred - two', 498],
    ['five hundred -two', 498],
  ])('%s is %d', (text, value) => {
    expect(evaluate(fromText(text))).toBe(value);
    expect(evaluate(fromText(asRead(text)))).toBe(value);
  });

  it.each([
    ['nineteen ninety', ['syntax', 9]],
    ['twelve five', ['syntax', 7]],
    ['two thousand three million', ['unsupported', 4]],
    ['1,23 + 5', ['unsupported', 1]],
    ['12 + 1,000,00', ['unsupported', 6]],
  ])('%j is an error: %j', (text, error) => {
    expect(outcome(text)).toEqual(error);
  });

  it('leave everything else where it was', () => {
    const word = fc.constantFrom(
      ...'twelve|twenty|hundred|a|and|million|five|point|plus|-|1,000|x|(|)|?'.split('|'),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 10 }), (words) => {
        const result = outcome(words.join(' '));
        if (Array.isArray(result)) expect(result[1]).toBeLessThanOrEqual(words.join(' ').length);
      }),
    );
  });
});
