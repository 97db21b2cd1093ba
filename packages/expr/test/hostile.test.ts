import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  completePrefix,
  evaluate,
  ExprError,
  format,
  fromText,
  fromWords,
  normalize,
  parse,
  readPrefixes,
  textToWords,
  wordsToText,
} from '../src/index.js';

/** Pieces of mathjs's grammar, of which arithmetic is a small part. */
const FRAGMENTS = [
  ...'0 1 2. .5 1e3 1e-400 1e999 0x1F 0b1 0o7 a x1 pi i e π 𝐀 \uD835 × ÷ − NaN Infinity true null undefined end'.split(
    ' ',
  ),
  ...'+ - * / ^ ^-1 ^(-1) ( ) [ ] { } , ; : . .. .* ./ .^ ! % \' " = == != < > <= >= << >> >>> & | ~ ^| ? ?? ?. # @ \\ ` $ _'.split(
    ' ',
  ),
  ...'mod to in and or xor not cm sqrt( f(x)= (1) -- ++ ** // constructor __proto__ toString'.split(' '),
  ...[' ', '\t', '\n', '\r', '\u00A0', '\u2028', '\0', '\uFEFF', '😀', 'é'],
];

const fragments = fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 12 }).map((parts) => parts.join(''));
const operandsAndOperators = fc
  .array(fc.constantFrom(...'0 1 2.5 a ( ( ) ) + - * / - ^-1 ^(-1) . e'.split(' ')), { maxLength: 14 })
  .map((parts) => parts.join(''));
const anything = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ maxLength: 30 }),
  fragments,
  operandsAndOperators,
  fc
    .array(
      fc.constantFrom(...'two point plus minus open close divided by to the power of a t x 2 +'.split(' ')),
    )
    .map((w) => w.join(' ')),
);

/** Lets ExprErrors pass; whatever else is thrown is a failure. */
function orExprError<T>(act: () => T): T | ExprError {
  try {
    return act();
  } catch (error) {
    if (error instanceof ExprError) return error;
    throw error;
  }
}

describe('hostile input', () => {
  it('is an expression that prints, normalises and evaluates, or an ExprError with a position in the text', () => {
    let parsed = 0;
    fc.assert(
      fc.property(anything, (text) => {
        const result = orExprError(() => parse(text));
        if (result instanceof ExprError) {
          expect(result.position).toBeGreaterThanOrEqual(0);
          expect(result.position).toBeLessThanOrEqual(text.length);
          return;
        }
        parsed++;
        expect(parse(format(result))).toEqual(result);
        expect(parse(format(normalize(result)))).toEqual(normalize(result));
        orExprError(() => evaluate(result));
      }),
      { numRuns: 4000 },
    );
    expect(parsed).toBeGreaterThan(200);
  });

  it('meets ExprErrors only in the functions of words and prefixes', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const read = orExprError(() => fromText(text));
        if (read instanceof ExprError) {
          expect(read.position).toBeGreaterThanOrEqual(0);
          expect(read.position).toBeLessThanOrEqual(text.length);
        }
        orExprError(() => fromWords(text));
        orExprError(() => wordsToText(text));
        orExprError(() => textToWords(text));
        const completed = completePrefix(text);
        if (completed !== null) parse(completed);
      }),
      { numRuns: 2500 },
    );
  });

  const n = 50_000;
  it.each([
    ['open parentheses', '('.repeat(n)],
    ['parentheses', '('.repeat(n) + '1' + ')'.repeat(n)],
    ['signs', '-'.repeat(n) + '1'],
    ['powers', '2' + '^-1'.repeat(n)],
    ['towers of powers', '2' + '^2'.repeat(n)],
    ['roots', 'sqrt('.repeat(n)],
    ['bars', '|'.repeat(n)],
    ['powers of signs', '2' + '^-'.repeat(n)],
    ['signs and parentheses', '-('.repeat(n)],
    ['exponents in parentheses', '2^' + '('.repeat(n) + '-1' + ')'.repeat(n)],
    ['blanks in an exponent', '2^' + ' '.repeat(8 * n) + 'x'],
    ['digits', '9'.repeat(8 * n)],
    ['decimals', '0.' + '9'.repeat(8 * n)],
    ['terms', '1+'.repeat(n) + '1'],
    ['a name', 'a'.repeat(n)],
    ['spaces', ' '.repeat(n)],
    ['dots', '.'.repeat(n)],
    ['brackets', '['.repeat(n)],
    ['percent signs', '5' + '%'.repeat(n)],
    ['words', 'to the '.repeat(n)],
  ])('is answered however much of it there is: %s', (_, huge) => {
    for (const text of [huge, huge.slice(0, 10_000), huge.slice(0, 9_000)]) {
      for (const limits of [{}, { maxLength: Infinity }]) {
        const result = orExprError(() => parse(text, limits));
        if (!(result instanceof ExprError)) orExprError(() => [format(normalize(result)), evaluate(result)]);
      }
      orExprError(() => fromWords(text));
      orExprError(() => textToWords(text));
      orExprError(() => fromText(text));
      readPrefixes(text);
      const completed = completePrefix(text);
      if (completed !== null) parse(completed);
    }
  });
});
