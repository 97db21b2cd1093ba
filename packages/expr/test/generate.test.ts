import { describe, expect, it } from '@jest/globals';
import { evaluate as mathjsEvaluate } from 'mathjs/number';
import {
  completePrefix,
  evaluate,
  format,
  fromText,
  fromWords,
  generateExpression,
  generateText,
  generateTexts,
  normalize,
  parse,
  toWords,
  type Expr,
  type GenerateOptions,
} from '../src/index.js';
import { failure } from './failure.js';

const SIX: GenerateOptions = { seed: 1, index: 0, depth: 6, maxDigits: 3, maxDecimals: 2 };
/** Written down once: streams must stay the same from release to release. */
const GOLDEN = '-3 / (3.1 - -924.3) + 763.33 * -132.3 / 435.98';

const indices = Array.from({ length: 2000 }, (_, index) => index);

const numbersOf = (text: string): string[] => text.match(/\d+(?:\.\d+)?/g) ?? [];
const operatorsOf = (text: string): string[] => text.match(/ [-+*/] /g) ?? [];

/** How often each value occurs, as a share. */
function shares(values: readonly (string | number)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1 / values.length;
  return counts;
}

function expectShares(values: readonly (string | number)[], expected: Record<string, number>): void {
  const seen = shares(values);
  expect(Object.keys(seen).sort()).toEqual(Object.keys(expected).sort());
  // Five standard deviations of a share; the streams are fixed, so this passes always or never.
  for (const [value, share] of Object.entries(expected)) {
    expect(Math.abs(seen[value]! - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / values.length));
  }
}

describe('generateExpression', () => {
  it('is a pure function of its options', () => {
    expect(indices.slice(0, 50).map((index) => generateText({ ...SIX, index }))).toEqual(
      indices.slice(0, 50).map((index) => generateText({ ...SIX, index })),
    );
    expect(generateText({ ...SIX, seed: 0, index: 0 })).toBe(GOLDEN);
  });

  it('gives other expressions for other seeds and indices, large ones too', () => {
    const large = [2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER];
    const options = { ...SIX, depth: 12, maxDigits: 9 };
    const pairs = [0, 1, 2, ...large].flatMap((seed) =>
      [0, 1, 2, ...large].map((index) => ({ seed, index })),
    );
    const texts = pairs.map((pair) => generateText({ ...options, ...pair }));
    // One pair in twelve is a single number; among 9-digit numbers none repeats here.
    expect(new Set(texts).size).toBe(texts.length);
  });

  it('is what parse gives for the text, in every style', () => {
    for (const index of indices.slice(0, 500)) {
      const options = { ...SIX, index, negatedGroups: 0.4 };
      const expr = generateExpression(options);
      expect(parse(generateText(options))).toEqual(expr);
      expect(parse(generateText({ ...options, style: 'compact' }))).toEqual(expr);
      expect(fromWords(generateText({ ...options, style: 'words' }))).toEqual(expr);
    }
  });

  it('has k operations with weight k + 1, and operators of each kind', () => {
    const texts = indices.map((index) => generateText({ ...SIX, depth: 4, index }));
    expectShares(
      texts.map((text) => operatorsOf(text).length),
      { 0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4 },
    );
    expectShares(texts.flatMap(operatorsOf), { ' + ': 0.25, ' - ': 0.25, ' * ': 0.25, ' / ': 0.25 });
  });

  it('has numbers with every count of digits and decimals, signs, and no zeros', () => {
    const texts = indices.map((index) => generateText({ ...SIX, depth: 1, index }));
    const parts = texts.map((text) => /^(-?)(\d+)(?:\.(\d+))?$/.exec(text)!);
    expectShares(
      parts.map((part) => part[1]!),
      { '-': 0.5, '': 0.5 },
    );
    expectShares(
      parts.map((part) => part[2]!.length),
      { 1: 1 / 3, 2: 1 / 3, 3: 1 / 3 },
    );
    expectShares(
      parts.map((part) => (part[3] ?? '').length),
      { 0: 1 / 3, 1: 1 / 3, 2: 1 / 3 },
    );
    expect(texts.map(Number)).not.toContain(0);
    expect(texts.some((text) => text.includes('.') && text.endsWith('0'))).toBe(true);
    expect(parts.some((part) => part[2]!.length > 1 && part[2]!.startsWith('0'))).toBe(false);
  });

  it('draws the root of the tree anywhere', () => {
    // Three operations: the root splits them 0+2, 1+1 or 2+0; "(a∘b)∘(c∘d)" with sums below a product shows 1+1.
    const texts = indices.map((index) => generateText({ ...SIX, depth: 4, index }));
    for (const shape of [/^\([^()]*\) \* \([^()]*\)$/, /^\([^()]*\) \* [^()]*$/, /^[^()]* \* \([^()]*\)$/]) {
      expect(texts.some((text) => shape.test(text))).toBe(true);
    }
  });

  it('needs at most `depth` numbers, and operations with minuses', () => {
    for (const index of indices) {
      const text = generateText({ ...SIX, index, negatedGroups: 1 });
      expect(numbersOf(text).length).toBeLessThanOrEqual(6);
      expect(operatorsOf(text).length + text.split('-(').length - 1).toBeLessThanOrEqual(6);
    }
  });

  it('puts the minus of a group at the begin of the expression or of a group, where asked to', () => {
    const plain = indices.map((index) => generateText({ ...SIX, index }));
    expect(plain.some((text) => text.includes('-('))).toBe(false);
    const negated = indices.map((index) => generateText({ ...SIX, index, negatedGroups: 0.5 }));
    const befores = negated.flatMap((text) => Array.from(text.matchAll(/(.?)-\(/g), ([, before]) => before!));
    expect(Object.keys(shares(befores)).sort()).toEqual(['', '(']);
    expect(negated.some((text) => /^-\(.*\) [-+*/] /.test(text))).toBe(true);
  });

  it('has no −1 as the left factor of a group', () => {
    const options = { ...SIX, depth: 4, maxDigits: 1, maxDecimals: 1 };
    const texts = Array.from({ length: 20_000 }, (_, index) => generateText({ ...options, index }));
    expect(texts.some((text) => /(^|\()1(\.0)? \* \(/.test(text))).toBe(true);
    expect(texts.filter((text) => /(^|\()-1(\.0)? \* \(/.test(text))).toEqual([]);
  });

  it('loses no number and no minus when it is normalised', () => {
    for (const index of indices) {
      const expr = generateExpression({ ...SIX, index, maxDigits: 1, maxDecimals: 0, negatedGroups: 0.3 });
      const normal = normalize(expr);
      expect(numbers(normal)).toEqual(numbers(expr));
      expect(evaluate(normal)).toBe(evaluate(expr));
      expect(format(normal).split('-(').length).toBe(format(expr).split('-(').length);
    }
  });
});

/** Everything that the language has. */
const ALL: GenerateOptions = {
  ...{ ...SIX, depth: 8, negatedGroups: 0.2 },
  ...{ percentages: 0.15, functions: 0.2, powers: 0.25 },
};

describe('powers, functions and percentages', () => {
  const options = Array.from({ length: 3000 }, (_, index) => ({ ...ALL, index }));

  it('are drawn of numbers and of groups, each as often as asked', () => {
    const texts = options.map(generateText);
    for (const shape of [
      ...[/\d\^2/, /\)\^3/, /\(-[\d.]+\)\^/, /\^-0\.5/, /\^10/, /\d%/, /\)%/, /%\^/],
      ...[/sqrt\(/, /cbrt\(/, /abs\(/, /\)\^-1/],
    ])
      expect(texts.filter((text) => shape.test(text)).length).toBeGreaterThan(5);
    const single = { ...SIX, depth: 2, maxDecimals: 0 };
    const share = (more: Partial<GenerateOptions>, shape: RegExp): number => {
      const drawn = indices.map((index) => generateText({ ...single, ...more, index }));
      const numbers = drawn.filter((text) => !/ [-+*/] /.test(text));
      return numbers.filter((text) => shape.test(text)).length / numbers.length;
    };
    expect(share({ percentages: 0.3 }, /%/)).toBeCloseTo(0.3, 1);
    expect(share({ functions: 0.3 }, /[a-z]/)).toBeCloseTo(0.3, 1);
    expect(share({ powers: 0.3 }, /\^/)).toBeCloseTo(0.3, 1);
  });

  it('leave the streams as they are where they are off', () => {
    for (const index of indices.slice(0, 300))
      expect(generateTexts({ ...SIX, index, percentages: 0, functions: 0, powers: 0 })).toEqual(
        generateTexts({ ...SIX, index }),
      );
  });

  it('are read back from every style', () => {
    for (const each of options.slice(0, 1000)) {
      const expr = generateExpression(each);
      expect(parse(generateText(each))).toEqual(expr);
      expect(parse(generateText({ ...each, style: 'compact' }))).toEqual(expr);
      expect(fromWords(generateText({ ...each, style: 'words', synonyms: 0.5 }))).toEqual(expr);
      expect(fromText(generateText({ ...each, style: 'question', synonyms: 0.5 }))).toEqual(expr);
      expect(evaluate(fromText(generateText({ ...each, style: 'loose' })))).toBe(evaluate(expr));
      expect(parse(format(expr))).toEqual(expr);
      expect(fromWords(toWords(expr))).toEqual(expr);
    }
  });

  it('have one normal form', () => {
    for (const each of options.slice(0, 1000)) {
      const normal = normalize(generateExpression(each));
      expect(normalize(normal)).toEqual(normal);
      expect(parse(format(normal))).toEqual(normal);
    }
  });

  it('have the values that mathjs gives, but for the last bits', () => {
    for (const each of options) {
      const expr = generateExpression(each);
      const text = format(expr);
      // mathjs makes complex numbers of roots of negative ones; here they are NaN.
      const expected: unknown = mathjsEvaluate(text);
      const value = evaluate(expr);
      if (typeof expected !== 'number' || !Number.isFinite(expected))
        expect([text, Number.isFinite(value)]).toEqual([text, false]);
      else if (!isClose(value, expected, expr)) expect([text, value]).toEqual([text, expected]);
    }
  });
});

/** Whether two values differ by roundings alone: as much as the value changes where each number changes in its last bits. */
function isClose(value: number, expected: number, expr: Expr): boolean {
  const spread = Math.abs(evaluate(nudged(expr)) - value);
  return Math.abs(value - expected) <= 1e-13 * Math.abs(value) + spread * 100;
}

function nudged(expr: Expr): Expr {
  switch (expr.type) {
    case 'Num':
      return { ...expr, value: expr.value * (1 + 2 ** -50) };
    case 'Sym':
      return expr;
    case 'Neg':
      return { ...expr, arg: nudged(expr.arg) };
    case 'Pow':
      return { ...expr, base: nudged(expr.base) };
    default:
      return { ...expr, args: expr.args.map((arg, i) => (i % 2 === 0 ? nudged(arg) : arg)) };
  }
}

function numbers(expr: Expr): number[] {
  switch (expr.type) {
    case 'Num':
      return [expr.value];
    case 'Sym':
      return [];
    case 'Neg':
      return numbers(expr.arg);
    case 'Pow':
      return numbers(expr.base);
    default:
      return expr.args.flatMap(numbers);
  }
}

describe('generateText', () => {
  it('writes the same expression in every style', () => {
    const options = { ...SIX, index: 11 };
    const spaced = generateText(options);
    expect(generateText({ ...options, style: 'spaced' })).toBe(spaced);
    expect(generateText({ ...options, style: 'compact' })).toBe(spaced.replaceAll(' ', ''));
    expect(completePrefix(generateText({ ...options, style: 'words' }))).toBe(spaced);
  });

  it('mixes the styles evenly', () => {
    const styles = indices.map((index) => {
      const text = generateText({ ...SIX, index, style: 'mixed' });
      if (/^(what|how|calculate|compute)/i.test(text)) return 'question';
      if (/[a-z]/.test(text)) return 'words';
      const exact = (['spaced', 'compact'] as const).filter(
        (style) => generateText({ ...SIX, index, style }) === text,
      );
      return exact.length > 1 ? 'one number' : (exact[0] ?? 'loose');
    });
    expectShares(
      styles.filter((style) => style === 'words' || style === 'question'),
      { words: 0.5, question: 0.5 },
    );
    expect(shares(styles)['words']).toBeGreaterThan(0.18);
    for (const style of ['spaced', 'compact', 'loose']) expect(shares(styles)[style]).toBeGreaterThan(0.1);
  });

  it.each(['loose', 'question', 'mixed'] as const)('is read back by fromText in the style %s', (style) => {
    for (const index of indices.slice(0, 1000)) {
      const options = { ...SIX, index, negatedGroups: 0.3, style };
      const text = generateText(options);
      // Parentheses that are not needed may split a chain; the value is that of the same operations.
      expect(evaluate(fromText(text))).toBe(evaluate(parse(generateText({ ...options, style: 'compact' }))));
    }
  });

  it('draws examples without decimals', () => {
    const texts = (wholeNumbers: number) =>
      indices.slice(0, 1000).map((index) => generateText({ ...SIX, index, wholeNumbers }));
    expect(texts(1).filter((text) => text.includes('.'))).toEqual([]);
    expect(texts(0)).toEqual(indices.slice(0, 1000).map((index) => generateText({ ...SIX, index })));
    const whole = texts(0.5).filter((text) => !text.includes('.')).length / 1000;
    expect(whole).toBeGreaterThan(0.45);
  });

  it('draws largest examples: as many numbers as there may be, and all digits in every other one', () => {
    const texts = (largest: number) =>
      indices.slice(0, 1000).map((index) => generateText({ ...SIX, index, largest, style: 'compact' }));
    const { depth, maxDigits, maxDecimals } = SIX;
    const numbersOf = (text: string) => text.match(/[\d.]+/g)!;
    const isLargest = (text: string) => numbersOf(text).length === depth;
    expect(texts(1).filter((text) => !isLargest(text))).toEqual([]);
    const numbers = texts(1)
      .flatMap(numbersOf)
      .map((n) => n.split('.'));
    const share = (part: number, length: number) =>
      numbers.filter((n) => (n[part] ?? '').length === length).length / numbers.length;
    // Every other one, and of the others one in maxDigits, or in maxDecimals + 1.
    expect(share(0, maxDigits)).toBeCloseTo(0.5 + 0.5 / maxDigits, 1);
    expect(share(1, maxDecimals)).toBeCloseTo(0.5 + 0.5 / (maxDecimals + 1), 1);
    const usual = texts(0).filter(isLargest).length / 1000;
    expect(texts(0.25).filter(isLargest).length / 1000).toBeCloseTo(0.25 + 0.75 * usual, 1);
  });

  it.each(['words', 'question'] as const)('draws from all ways to say the same in the style %s', (style) => {
    const texts = (synonyms: number) =>
      indices.slice(0, 1000).map((index) => {
        const options = { ...SIX, index, negatedGroups: 0.3, style, synonyms };
        const text = generateText(options);
        expect(fromText(text)).toEqual(generateExpression(options));
        return text;
      });
    const others = /multiplied|over|negative|parenthesis/;
    expect(texts(0).filter((text) => others.test(text))).toEqual([]);
    expect(texts(0)).toEqual(
      indices.slice(0, 1000).map((index) => generateText({ ...SIX, index, negatedGroups: 0.3, style })),
    );
    const all = texts(1);
    for (const [usual, other] of [
      ['times', 'multiplied by'],
      ['divided by', 'over'],
      ['minus', 'negative'],
      ['open', 'open parenthesis'],
      ['close', 'close parenthesis'],
    ] as const) {
      const count = (phrase: string) => all.join(' ').split(phrase).length - 1;
      expect(count(other)).toBeGreaterThan(100);
      expect(count(usual)).toBeGreaterThan(100);
    }
    // A minus between two numbers is an operator.
    expect(all.filter((text) => /(zero|one|two|close|\d\)?) negative/.test(text))).toEqual([]);
    const share = texts(0.5).filter((text) => others.test(text)).length;
    expect(share / all.filter((text) => others.test(text)).length).toBeCloseTo(0.5, 1);
  });

  it('needs no parentheses that it writes in vain', () => {
    for (const index of indices.slice(0, 500)) {
      const options = { ...SIX, index, negatedGroups: 0.3 };
      expect(generateText(options).split('(').length).toBe(
        format(generateExpression(options)).split('(').length,
      );
    }
  });

  it('stays within what parse reads at the greatest depth', () => {
    const options = { seed: 9, depth: 256, maxDigits: 15, maxDecimals: 15, negatedGroups: 1 };
    for (let index = 0; index < 20; index++) parse(generateText({ ...options, index }));
  });

  it.each<Partial<Record<keyof GenerateOptions, unknown>>>([
    { seed: -1 },
    { seed: 0.5 },
    { index: 2 ** 53 },
    { index: NaN },
    { depth: 0 },
    { depth: 257 },
    { maxDigits: 0 },
    { maxDigits: 16 },
    { maxDecimals: -1 },
    { maxDecimals: '2' },
    { negatedGroups: 1.5 },
    { negatedGroups: NaN },
    { synonyms: 2 },
    { percentages: -1 },
    { functions: '1' },
    { powers: 2 },
    { style: 'loud' },
  ])('refuses %j', (wrong) => {
    const options = { ...SIX, ...wrong } as GenerateOptions;
    const error = failure(() => generateText(options));
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain(Object.keys(wrong)[0]);
    expect(failure(() => generateExpression(options)).code).toBe('bad-option');
  });
});
