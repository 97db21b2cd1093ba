import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  format,
  fromWords,
  generateText,
  parse,
  symbolOf,
  textToWords,
  toWords,
  wordsToText,
} from '../src/index.js';
import { a, add, anyExpression, inverse, mul, num, sym } from './expressions.js';
import { codeAndPosition, failure } from './failure.js';

describe('toWords', () => {
  it.each([
    ['2.5 * 3 + 1', 'two point five times three plus one'],
    ['12.5 / -40', 'one two point five divided by minus four zero'],
    ['(x - 1) * 9', 'open x minus one close times nine'],
    ['-(6 + 7)', 'minus open six plus seven close'],
    ['8 * a^-1', 'eight times a to the power of minus one'],
    ['a^2 + (b + 1)^3', 'a squared plus open b plus one close cubed'],
    ['a^23', 'a to the power of two three'],
    ['sqrt(9) - |a|', 'the square root of open nine close minus the absolute value of open a close'],
    ['cbrt(27)', 'the cube root of open two seven close'],
    ['1e-3', 'zero point zero zero one'],
    [
      '1.5e21',
      'one five zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero',
    ],
  ])('says %s', (text, words) => {
    expect(toWords(parse(text))).toBe(words);
  });

  it('is undone by fromWords', () => {
    fc.assert(
      fc.property(anyExpression(), (expr) => {
        expect(fromWords(toWords(expr), { maxLength: Infinity })).toEqual(expr);
      }),
      { numRuns: 500 },
    );
  });

  it.each(['two', 'Point', 'by', 'open', 'parenthesis', 'power'])('refuses a variable named %s', (name) => {
    expect(failure(() => toWords(add(a, sym(name)))).code).toBe('unsupported');
  });
});

describe('fromWords', () => {
  it('understands capitals and the long words for parentheses', () => {
    expect(fromWords('Two times open parenthesis a plus point five close parenthesis')).toEqual(
      mul(num(2), add(a, num(0.5))),
    );
  });

  it.each([
    ['negative two multiplied by 3', '-2 * 3'],
    ['1 over negative 4', '1 / -4'],
    ['fifteen percent', 'fifteen%'],
    ['15 percent times open 2 plus 3 close per cent', '15% * (2 + 3)%'],
    ['one five percent squared', '15%^2'],
    ['|minus 3| plus |2|%', '|-3| + |2|%'],
    ['1.5e-7 times two', '1.5e-7 * 2'],
    ['the square root of sixteen', 'sqrt(sixteen)'],
    ['square root of one six plus 9', 'sqrt(16) + 9'],
    ['three times the cube root of open 2 plus 6 close squared', '3 * cbrt(2 + 6)^2'],
    ['the square root of two squared plus one', 'sqrt(2^2) + 1'],
    ['(1 plus the square root of 9) times 2', '(1 + sqrt(9)) * 2'],
    ['the absolute value of minus three', 'abs(-3)'],
    ['the square root of the square root of 16 minus 1', 'sqrt(sqrt(16)) - 1'],
    ['sqrt(16) plus abs (2)', 'sqrt(16) + abs(2)'],
    ['one plus two to the power of three', '1 + 2^3'],
    ['negative open 1 plus 2 close', '-(1 + 2)'],
  ])('understands %j', (words, text) => {
    expect(fromWords(words)).toEqual(parse(text));
  });

  it('takes other words for variables', () => {
    expect(fromWords('t plus apples')).toEqual(add(sym('t'), sym('apples')));
    expect(fromWords('a to the power of minus one')).toEqual(inverse(a));
  });

  it.each<[string, string, number]>([
    ['', 'syntax', 0],
    ['two plus', 'syntax', 8],
    ['two  divided', 'syntax', 12],
    ['two divided three', 'syntax', 4],
    ['two plus 3 4', 'syntax', 11],
    ['two plus 3four', 'syntax', 10],
    ['two & 3', 'syntax', 4],
    ['two plus times three', 'syntax', 9],
    ['two point five point', 'syntax', 15],
    ['two point five point one', 'syntax', 15],
    ['two close', 'syntax', 4],
    ['open two', 'syntax', 8],
    ['two apples', 'unsupported', 4],
    ['two e three', 'unsupported', 4],
    ['one plus sin open one close', 'unsupported', 9],
    ['one plus two to the power of a', 'unsupported', 29],
    ['the square root of', 'syntax', 18],
    ['the square of two', 'syntax', 0],
    ['one plus Infinity', 'unsupported', 9],
    ['two plus five squared percent', 'unsupported', 22],
    ['two cubed squared', 'unsupported', 10],
  ])('refuses %j: %s at %i', (words, code, position) => {
    expect(codeAndPosition(() => fromWords(words))).toEqual([code, position]);
  });

  it('keeps limits', () => {
    expect(codeAndPosition(() => fromWords('one plus one', { maxLength: 8 }))).toEqual(['too-long', 8]);
    expect(codeAndPosition(() => fromWords('open open one', { maxDepth: 1 }))).toEqual(['too-deep', 5]);
    expect(codeAndPosition(() => fromWords('one '.repeat(25_001)))).toEqual(['too-long', 100_000]);
    expect(failure(() => fromWords(1 as unknown as string)).code).toBe('bad-option');
    expect(failure(() => fromWords('one', { maxLength: NaN })).code).toBe('bad-option');
  });
});

describe('textToWords', () => {
  it('keeps the digits as they are written', () => {
    expect(textToWords('(2.50+3)*-4')).toBe('open two point five zero plus three close times minus four');
    expect(textToWords('1.5e1% * (2)%')).toBe('one five percent times open two close percent');
    expect(textToWords('5^2%')).toBe('five to the power of two percent');
    expect(textToWords('007 - .5')).toBe('zero zero seven minus point five');
  });

  it('says the begin of an expression', () => {
    expect(textToWords('2.')).toBe('two point');
    expect(textToWords('2 * (')).toBe('two times open');
    expect(textToWords('2 ^ -')).toBe('two to the power of minus');
    expect(textToWords('')).toBe('');
  });

  it('refuses what is no expression, and numbers without end', () => {
    expect(codeAndPosition(() => textToWords('2 + 3!'))).toEqual(['unsupported', 5]);
    expect(codeAndPosition(() => textToWords('1e-99999999'))).toEqual(['too-long', 0]);
    expect(codeAndPosition(() => textToWords('2 + two'))).toEqual(['unsupported', 4]);
  });

  it('is undone by wordsToText, but for spaces', () => {
    for (let index = 0; index < 1000; index++) {
      const text = generateText({
        seed: 3,
        index,
        depth: 8,
        maxDigits: 4,
        maxDecimals: 4,
        negatedGroups: 0.3,
      });
      expect(wordsToText(textToWords(text))).toBe(text);
    }
  });
});

describe('wordsToText', () => {
  it.each([
    ['two point', '2.'],
    ['two point five times', '2.5 *'],
    ['two poi', '2'],
    ['two divided', '2'],
    ['two divided b', '2'],
    ['two divided by', '2 /'],
    ['a to the pow', 'a'],
    ['two times open par', '2 * ('],
    ['minus open minus', '-(-'],
    ['two plus t', '2 +'],
    ['two plus t ', '2 + t'],
    ['two plus x', '2 + x'],
    ['two three a four', '23 a 4'],
    ['', ''],
  ])('writes %j as %j', (words, text) => {
    expect(wordsToText(words)).toBe(text);
  });

  it('writes every prefix of words as a prefix of the text, spaces aside', () => {
    const bare = (text: string): string => text.replaceAll(' ', '');
    fc.assert(
      fc.property(anyExpression({ names: false }), fc.nat(), (expr, cut) => {
        const words = toWords(expr);
        // Exponents are written out in words, so the whole is compared as words give it.
        const whole = bare(wordsToText(words));
        expect(whole.startsWith(bare(wordsToText(words.slice(0, cut % (words.length + 1)))))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('refuses what are no words', () => {
    expect(codeAndPosition(() => wordsToText('two & three'))).toEqual(['syntax', 4]);
    expect(codeAndPosition(() => wordsToText('two divided three'))).toEqual(['syntax', 4]);
  });

  it('agrees with format', () => {
    const expr = parse('-(2 + a) * 3 - -4 / (b^-1 - 0.5)');
    expect(wordsToText(toWords(expr))).toBe(format(expr));
  });
});

describe('symbolOf', () => {
  it.each([
    ['five', '5'],
    ['POINT', '.'],
    ['minus', '-'],
    ['negative', '-'],
    ['over', '/'],
    ['open', '('],
    ['divided', undefined],
    ['parenthesis', undefined],
    ['x', undefined],
    ['constructor', undefined],
  ])('of %s is %s', (word, symbol) => {
    expect(symbolOf(word)).toBe(symbol);
  });
});
