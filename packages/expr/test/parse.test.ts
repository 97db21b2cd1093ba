import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parse as mathjsParse, simplify } from 'mathjs/number';
import { evaluate, fromMathNode, parse } from '../src/index.js';
import { abs, add, a, b, c, d, div, inverse, mul, neg, num, pow, sub, sym } from './expressions.js';
import { codeAndPosition, failure } from './failure.js';

describe('parse', () => {
  it.each([
    ['2', num(2)],
    ['.5', num(0.5)],
    ['2.', num(2)],
    ['1e-3', num(0.001)],
    ['1E+3', num(1000)],
    ['1e-999', num(0)],
    ['  2.50\t', num(2.5)],
    ['\n2\r\n', num(2)],
    ['2. * 3', mul(num(2), num(3))],
    ['x_1 + $y', add(sym('x_1'), sym('$y'))],
    ['π * 𝐀', mul(sym('π'), sym('𝐀'))],
    ['pi + e + i', add(sym('pi'), sym('e'), sym('i'))],
    ['constructor', sym('constructor')],
  ])('reads %j', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each([
    ['a + b + c', add(a, b, c)],
    ['(a + b) + c', add(add(a, b), c)],
    ['a + (b + c)', add(a, add(b, c))],
    ['a - b + c', add(sub(a, b), c)],
    ['a - b - c', sub(a, b, c)],
    ['a / b / c * d', mul(div(a, b, c), d)],
    ['a + b * c', add(a, mul(b, c))],
    ['((a))', a],
  ])('makes one chain of a run of one operator: %s', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each([
    ['-2', num(-2)],
    ['-0', num(-0)],
    ['- 2', num(-2)],
    ['-(2)', neg(num(2))],
    ['--2', neg(num(-2))],
    ['---2', neg(neg(num(-2)))],
    ['-+2', neg(num(2))],
    ['+-2', num(-2)],
    ['+(a)', a],
    ['a - -2', sub(a, num(-2))],
    ['-a * b', mul(neg(a), b)],
    ['-2^-1', neg(inverse(num(2)))],
    ['(-2) ^ -1', inverse(num(-2))],
  ])('takes a minus directly before a literal as part of the number: %s', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each(['a^-1', 'a ^ - 1', 'a^(-1)', 'a ^ ( - 1.0 )'])('reads the inverse %s', (text) => {
    expect(parse(text)).toEqual(inverse(a));
  });

  it.each([
    ['a^2', pow(a, 2)],
    ['2**10', pow(num(2), 10)],
    ['a ^ -0.5', pow(a, -0.5)],
    ['a^+2', pow(a, 2)],
    ['a^1e-7', pow(a, 1e-7)],
    ['2^3^2', pow(num(2), 9)],
    ['(2^3)^2', pow(pow(num(2), 3), 2)],
    ['-2^2', neg(pow(num(2), 2))],
    ['(-2)^2', pow(num(-2), 2)],
    ['2^-2^2', pow(num(2), -4)],
    ['a^(1 / 3)', pow(a, 1 / 3)],
    ['a^|2 - 5|', pow(a, 3)],
    ['2 * a^3 / b', div(mul(num(2), pow(a, 3)), b)],
    ['-a^2', neg(pow(a, 2))],
    ['sqrt(a)', pow(a, 0.5)],
    ['sqrt (a + b)^2', pow(pow(add(a, b), 0.5), 2)],
    ['cbrt(-8)', pow(num(-8), 1 / 3)],
    ['abs(a)', abs(a)],
    ['|a|', abs(a)],
    ['|a| * |-2|', mul(abs(a), abs(num(-2)))],
    ['||a| - b|', abs(sub(abs(a), b))],
    ['sqrt(a^2)', abs(a)],
    ['sqrt + abs', add(sym('sqrt'), sym('abs'))],
  ])('reads the power %s', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each([
    ['15%', num(0.15)],
    ['-7 %', num(-0.07)],
    ['12.5e1%', num(1.25)],
    ['2.%', num(0.02)],
    ['(2 + 3)%', div(add(num(2), num(3)), num(100))],
    ['a%', div(a, num(100))],
    ['5%^2', pow(num(0.05), 2)],
    ['4^50%', pow(num(4), 0.5)],
    ['a + 5%', add(a, num(0.05))],
    ['|2|% * 3', mul(div(abs(num(2)), num(100)), num(3))],
  ])('reads the percentage %s', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each<[string, string, number]>([
    ['2^a', 'unsupported', 2],
    ['2^(3 - a)', 'unsupported', 2],
    ['1 + 2 ^ -sqrt(a)', 'unsupported', 8],
    ['2^(1 / 0)', 'not-finite', 2],
    ['2^1e999', 'not-finite', 2],
    ['2^', 'syntax', 2],
    ['2 *** 3', 'syntax', 4],
    ['2^^3', 'syntax', 2],
    ['1 + sin(4)', 'unsupported', 4],
    ['sqrt 4', 'unsupported', 5],
    ['sqrt()', 'syntax', 5],
    ['sqrt(4', 'syntax', 6],
    ['|4', 'syntax', 2],
    ['4|', 'syntax', 1],
    ['(4|', 'syntax', 2],
    ['|4)', 'syntax', 2],
    ['||', 'syntax', 2],
    ['', 'syntax', 0],
    ['  ', 'syntax', 0],
    ['1 +', 'syntax', 3],
    ['2 * ', 'syntax', 3],
    ['* 2', 'syntax', 0],
    ['(1 + 2', 'syntax', 6],
    ['1 + 2)', 'syntax', 5],
    ['()', 'syntax', 1],
    ['2 3', 'syntax', 2],
    ['1.2.3', 'syntax', 3],
    ['1e', 'syntax', 2],
    ['.', 'syntax', 1],
    ['2^', 'syntax', 2],
    ['2 @ 3', 'syntax', 2],
    ['a.b', 'syntax', 1],
    ['2 + 3x', 'unsupported', 5],
    ['2(3)', 'unsupported', 1],
    ['(2)(3)', 'unsupported', 3],
    ['(2)3', 'unsupported', 3],
    ['a b', 'unsupported', 2],
    ['2 cm', 'unsupported', 2],
    ['5!', 'unsupported', 1],
    ['5%%', 'unsupported', 2],
    ['%', 'unsupported', 0],
    ['5 % (3)', 'unsupported', 2],
    ['5% a', 'unsupported', 3],
    ['5 % 3', 'unsupported', 2],
    ['7 mod 4', 'unsupported', 2],
    ['[1, 2]', 'unsupported', 0],
    ['1:3', 'unsupported', 1],
    ['a = 1', 'unsupported', 2],
    ['"a"', 'unsupported', 0],
    ["a'", 'unsupported', 1],
    ['true', 'unsupported', 0],
    ['1 + Infinity', 'unsupported', 4],
    ['NaN', 'unsupported', 0],
    ['null', 'unsupported', 0],
    ['undefined', 'unsupported', 0],
    ['0x10', 'unsupported', 0],
    ['1 + 0b1', 'unsupported', 4],
    ['2 * 0o17', 'unsupported', 4],
    ['2.*3', 'unsupported', 1],
    ['2 ./ 3', 'unsupported', 2],
    ['a ? 1 : 2', 'unsupported', 2],
    ['2 # two', 'unsupported', 2],
    ['1\n2', 'unsupported', 1],
    ['1; 2', 'unsupported', 1],
    ['1,5', 'unsupported', 1],
    ['2 × 3', 'unsupported', 2],
    ['1e309', 'not-finite', 0],
    ['2 - 1e999', 'not-finite', 4],
  ])('refuses %j: %s at %i', (text, code, position) => {
    expect(codeAndPosition(() => parse(text))).toEqual([code, position]);
  });

  it('says what is allowed', () => {
    const { message, name } = failure(() => parse('2!'));
    expect(name).toBe('ExprError');
    expect(message).toContain(
      'Allowed are decimal numbers, variables, + - * /, signs, parentheses, constant powers such as x^2, sqrt(), cbrt(), abs(), |x| and percentages.',
    );
  });

  it.each([
    ['2x', "An operator is missing before 'x'; a product is written with *."],
    ['2 (3)', "An operator is missing before '('; a product is written with *."],
    ['2 plus 3', "'plus' is a word: parse reads signs, fromText words that it knows."],
  ])('says what is missing in %s', (text, message) => {
    expect(failure(() => parse(text)).message).toContain(message);
  });

  it.each([
    [5, 'A text is a string, not 5.'],
    [{ type: 'Num', value: 5 }, 'A text is a string, not an object.'],
  ])('says what a text is, given %j', (input, message) => {
    expect(failure(() => parse(input as unknown as string)).message).toBe(message);
  });

  it.each([[null], [undefined], [2], [{}], [['2']]])('refuses %j, which is no string', (input) => {
    expect(codeAndPosition(() => parse(input as unknown as string))).toEqual(['bad-option', -1]);
  });
});

/** Texts of every rule of the grammar, with more parentheses and signs than needed. */
const anyText = fc.letrec<Record<'sum' | 'signed' | 'atom', string>>((tie) => ({
  sum: fc
    .tuple(
      tie('signed'),
      fc.array(fc.tuple(fc.constantFrom(' + ', '-', ' - ', ' * ', '/', ' / '), tie('signed')), {
        maxLength: 4,
      }),
    )
    .map(([first, rest]) => first + rest.flat().join('')),
  signed: fc
    .tuple(
      fc.constantFrom('', '', '', '-', '- ', '+', '--', '-+'),
      tie('atom'),
      fc.constantFrom('', '', '^-1', ' ^ (-1)', '^2', '^-0.5', ' ^ +3^-2', '^(1 / 4)^2'),
    )
    .map((parts) => parts.join('')),
  atom: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom('2', '0.5', '.25', '3. ', '0', '1e-3', 'a', 'x1', 'π'),
    tie('sum').map((text) => `(${text})`),
    fc.tuple(fc.constantFrom('sqrt(', 'cbrt (', 'abs('), tie('sum')).map(([name, text]) => `${name}${text})`),
  ),
})).sum;

describe('the tree of parse', () => {
  it("is that of mathjs's parser", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(parse(text)).toEqual(fromMathNode(mathjsParse(text)));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('the limits of parse', () => {
  it('are 10,000 characters', () => {
    const longest = `${'1+'.repeat(4999)}10`;
    expect(longest).toHaveLength(10_000);
    expect(evaluate(parse(longest))).toBe(5009);
    expect(codeAndPosition(() => parse(`${longest}0`))).toEqual(['too-long', 10_000]);
  });

  it('are 256 levels of parentheses', () => {
    const nested = (depth: number): string => `${'('.repeat(depth)}1${')'.repeat(depth)}`;
    expect(parse(nested(256))).toEqual(num(1));
    expect(codeAndPosition(() => parse(nested(257)))).toEqual(['too-deep', 256]);
  });

  it('count the signs of one operand alone', () => {
    expect(parse(`-1${' + -1'.repeat(300)}`)).toMatchObject({ type: 'Add' });
  });

  it('count signs as levels, and parentheses that are closed no more', () => {
    expect(codeAndPosition(() => parse(`1 ${'-'.repeat(5000)}1`))).toEqual(['too-deep', 259]);
    expect(codeAndPosition(() => parse('-(-(-(1)))', { maxDepth: 5 }))).toEqual(['too-deep', 5]);
    expect(parse('-(1) - -(2) - (-3)', { maxDepth: 2 })).toEqual(sub(neg(num(1)), neg(num(2)), num(-3)));
  });

  it('can be set', () => {
    expect(codeAndPosition(() => parse('1 + 1', { maxLength: 4 }))).toEqual(['too-long', 4]);
    expect(codeAndPosition(() => parse('((1))', { maxDepth: 1 }))).toEqual(['too-deep', 1]);
    expect(parse(`${'1+'.repeat(20_000)}1`, { maxLength: 100_000 })).toHaveProperty('args.length', 20_001);
  });

  it('give an ExprError where they are raised beyond what the stack holds', () => {
    const nested = `${'('.repeat(20_000)}1${')'.repeat(20_000)}`;
    expect(codeAndPosition(() => parse(nested, { maxLength: 1e6, maxDepth: 1e6 }))).toEqual(['too-deep', 0]);
  });

  it('count exponents as levels', () => {
    expect(parse(`2${'^1'.repeat(256)}`)).toEqual(pow(num(2), 1));
    expect(codeAndPosition(() => parse(`2${'^1'.repeat(257)}`))).toEqual(['too-deep', 513]);
    expect(codeAndPosition(() => parse(`${'(2)^'.repeat(300)}2`, { maxDepth: 4 }))).toEqual(['too-deep', 16]);
    expect(parse(`1${' + 2^2'.repeat(300)}`, { maxDepth: 1 })).toMatchObject({ type: 'Add' });
  });

  it.each([{ maxLength: 0 }, { maxLength: NaN }, { maxDepth: -1 }, { maxDepth: '9' as unknown as number }])(
    'refuse %j',
    (limits) => {
      expect(failure(() => parse('1', limits)).code).toBe('bad-option');
    },
  );
});

describe('fromMathNode', () => {
  const constant = (value: unknown): { type: string; value: unknown } => ({ type: 'ConstantNode', value });
  const operator = (fn: string, ...args: unknown[]): { type: string; fn: string; args: unknown[] } => ({
    type: 'OperatorNode',
    fn,
    args,
  });
  const x = { type: 'SymbolNode', name: 'x' };

  it("reads what mathjs's simplify gives", () => {
    expect(fromMathNode(simplify('x + x + y'))).toEqual(add(mul(num(2), sym('x')), sym('y')));
    expect(fromMathNode(simplify('3 * (x + y) - x'))).toEqual(
      sub(mul(num(3), add(sym('x'), sym('y'))), sym('x')),
    );
  });

  it('reads n-ary operators and negative constants, as simplify makes them', () => {
    expect(fromMathNode(operator('add', x, constant(-2), x))).toEqual(add(sym('x'), num(-2), sym('x')));
    expect(fromMathNode(operator('pow', x, constant(-1)))).toEqual(inverse(sym('x')));
  });

  it.each([
    ['a function', { type: 'FunctionNode', fn: x, args: [] }],
    ['an implicit product', { ...operator('multiply', constant(2), x), implicit: true }],
    ['a percentage', { ...operator('divide', constant(2), constant(100)), isPercentage: true }],
    ['another operator', operator('mod', x, x)],
    ['a power whose exponent has a variable', operator('pow', constant(2), x)],
    [
      'a root of two numbers',
      { type: 'FunctionNode', fn: { type: 'SymbolNode', name: 'sqrt' }, args: [x, x] },
    ],
    ['a method', { type: 'FunctionNode', fn: { type: 'AccessorNode', name: 'sqrt' }, args: [x] }],
    ['a sum of one term', operator('add', x)],
    ['an inherited name of an operator', operator('constructor', x, x)],
    ['a string', constant('2')],
    ['a reserved name', { type: 'SymbolNode', name: 'Infinity' }],
    ['a hole', operator('add', x, undefined)],
  ])('refuses %s', (_, node) => {
    expect(failure(() => fromMathNode(node)).code).toBe('unsupported');
  });

  it('refuses numbers that are not finite', () => {
    expect(failure(() => fromMathNode(constant(Infinity))).code).toBe('not-finite');
    const exponent = operator('divide', constant(1), constant(0));
    expect(failure(() => fromMathNode(operator('pow', x, exponent))).code).toBe('not-finite');
  });
});
