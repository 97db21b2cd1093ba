import { describe, expect, it } from '@jest/globals';
import { completePrefix, format, generateText, parse, readPrefixes, type Expr } from '../src/index.js';
import { num } from './expressions.js';

/** The expression with another magnitude of its last number. */
function withLast(expr: Expr, magnitude: number): Expr {
  switch (expr.type) {
    case 'Num':
      return num(expr.value < 0 || Object.is(expr.value, -0) ? -magnitude : magnitude);
    case 'Neg':
      return { ...expr, arg: withLast(expr.arg, magnitude) };
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
      return { ...expr, args: expr.args.with(-1, withLast(expr.args.at(-1)!, magnitude)) };
    default:
      throw new Error(`no number ends ${format(expr)}`);
  }
}

describe('readPrefixes', () => {
  it.each(['spaced', 'compact', 'words'] as const)(
    'reads every prefix as completePrefix and parse do: %s',
    (style) => {
      let read = 0;
      for (let index = 0; index < 150; index++) {
        const shape = { depth: 6, maxDigits: 3, maxDecimals: 3, negatedGroups: 0.3 };
        const text = generateText({ seed: 8, index, ...shape, style });
        const { at, complete } = readPrefixes(text);
        for (let end = 0; end <= text.length; end++) {
          // A word cut off may be the name of a variable to completePrefix, which knows no more of the text.
          if (/[a-z]$/.test(text.slice(0, end)) && /^[a-z]/.test(text.slice(end))) continue;
          const prefix = at(end);
          const completed = completePrefix(text.slice(0, end));
          expect([text, end, prefix === null]).toEqual([text, end, completed === null]);
          if (prefix === null) continue;
          const { last, literal } = prefix;
          expect(withLast(complete(last), Number(literal))).toEqual(parse(completed!));
          read++;
        }
      }
      expect(read).toBeGreaterThan(1000);
    },
  );

  it('has the numbers with their digits as they are written, and what they complete to', () => {
    const { literals, complete } = readPrefixes('-(2.50 + 3.) * -07');
    expect(literals.map((literal, i) => [literal, format(complete(i))])).toEqual([
      ['2.50', '-(2.5)'],
      ['3.', '-(2.5 + 3)'],
      ['07', '-(2.5 + 3) * -7'],
    ]);
  });

  it.each([
    [
      '-2.50*(+3',
      [
        '- sign -',
        '2.50 number -2.50',
        '* operator -2.50*',
        '( open -2.50*(',
        '+ sign -2.50*(+',
        '3 number -2.50*(+3',
      ],
    ],
    [
      'What is two point five divided by open three close?',
      [
        '2.5 number What is two point five',
        // "divided" says it already.
        '/ operator What is two point five divided',
        '( open What is two point five divided by open',
        '3 number What is two point five divided by open three',
        ') close What is two point five divided by open three close',
      ],
    ],
    ['2 + x * 3', ['2 number 2', '+ operator 2 +']],
  ])('of %j has the marks in their order', (text, expected) => {
    const marks = readPrefixes(text).marks.map((mark) =>
      [mark.text, mark.kind, text.slice(0, mark.end)].join(' '),
    );
    expect(marks).toEqual(expected);
  });

  it.each<[text: string, end: number, prefix: { last: number; literal: string; open: boolean } | null]>([
    ['12.5 * 3', 0, null],
    ['12.5 * 3', 1, { last: 0, literal: '1', open: false }],
    ['12.5 * 3', 3, { last: 0, literal: '12.', open: false }],
    ['12.5 * 3', 5, { last: 0, literal: '12.5', open: false }],
    ['12.5 * 3', 6, { last: 0, literal: '12.5', open: true }],
    ['12.5 * -(3', 9, { last: 0, literal: '12.5', open: true }],
    ['(2) ', 3, { last: 0, literal: '2', open: false }],
    ['2 + 3', 99, { last: 1, literal: '3', open: false }],
    ['two point five times three', 3, { last: 0, literal: '2', open: false }],
    ['two point five times three', 8, { last: 0, literal: '2', open: false }],
    ['two point five times three', 9, { last: 0, literal: '2.', open: false }],
    ['two divided by', 11, { last: 0, literal: '2', open: false }],
    ['two divided by', 14, { last: 0, literal: '2', open: true }],
  ])('of %j says what the first %i characters hold', (text, end, prefix) => {
    expect(readPrefixes(text).at(end)).toEqual(prefix);
  });

  it.each([
    ['2 + x * 3', 4],
    ['2 ^ -1 + 3', 2],
    ['2 * 1e3', 4],
    ['2 + 3! * 4', 5],
    ['2 3', 2],
    ['1.2.3', 3],
    ['two plus to five', 9],
    ['two close', 8],
    ['', 0],
    ['x', 0],
    [`1${'+1'.repeat(5000)}`, 10_000],
  ])('reads %j as far as the numbers go', (text, readable) => {
    const { at } = readPrefixes(text);
    if (readable > 0) expect(at(readable)).not.toBeNull();
    for (let end = readable + 1; end <= text.length + 1; end++) expect(at(end)).toBeNull();
  });
});
