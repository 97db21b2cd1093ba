import { describe, expect, it } from '@jest/globals';
import { noGrad, scope } from '@dag/executor';
import fc from 'fast-check';
import { TensorOps } from '../src/plan-predictor/array-ops.js';
import { MOST_PERCENTS, nearestDouble } from '../src/plan-predictor/nearest-double.js';

const R = 30;

/** What registers of up to R digits read, of texts such as `12.5%`. */
function read(texts: readonly string[], digits = R): number[] {
  const ops = new TensorOps();
  const size = texts.length;
  const literals = texts.map((text) => text.replace(/%/g, ''));
  const each = (of: (digit: string | undefined) => number) =>
    literals.flatMap((literal) => Array.from({ length: digits }, (_, r) => of(literal.replace('.', '')[r])));
  const values = scope(() =>
    noGrad(() => {
      const decimals = {
        digit: ops.f64(
          each((digit) => Number(digit ?? 0)),
          [size, 1, digits],
        ),
        present: ops.f64(
          each((digit) => Number(digit !== undefined)),
          [size, 1, digits],
        ),
        length: ops.f64(
          literals.map((literal) => literal.split('.')[0]!.length),
          [size, 1],
        ),
        percents: ops.f64(
          texts.map((text) => text.split('%').length - 1),
          [size, 1],
        ),
      };
      return nearestDouble(ops, decimals, digits, true).dataSync();
    }),
  );
  return Array.from(values);
}

const meant = (text: string): number =>
  Number(`${text.replace(/%/g, '')}e-${2 * (text.split('%').length - 1)}`);

function expectNearest(texts: readonly string[], digits = R): void {
  const values = read(texts, digits);
  texts.forEach((text, i) => {
    if (values[i] !== meant(text)) throw new Error(`${text} is ${meant(text)}, read as ${values[i]}`);
  });
}

const percent = fc.integer({ min: 0, max: MOST_PERCENTS }).map((n) => '%'.repeat(n));

/** Digits with a point anywhere in them. */
const literal = (digits: string, place: number): string => {
  const at = 1 + (place % digits.length);
  return at < digits.length ? `${digits.slice(0, at)}.${digits.slice(at)}` : digits;
};

/** The decimal expansion of the number half-way between two doubles, exact. */
function halfway(mantissa: bigint, exponent: number): string {
  const odd = 2n * mantissa + 1n;
  if (exponent >= 0) return String(odd << BigInt(exponent));
  const decimals = -exponent;
  const digits = String(odd * 5n ** BigInt(decimals)).padStart(decimals + 1, '0');
  return `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

describe('a number is the nearest double', () => {
  it('of up to 30 digits with a point anywhere, also in percent', () => {
    const text = fc
      .tuple(fc.stringMatching(/^\d{1,30}$/), fc.nat(), percent)
      .map(([digits, place, signs]) => literal(digits, place) + signs);
    fc.assert(
      fc.property(fc.array(text, { minLength: 200, maxLength: 200 }), (texts) => expectNearest(texts)),
      {
        numRuns: 50,
      },
    );
  });

  it('half-way between two doubles: the even one', () => {
    const cases = fc.tuple(fc.bigInt(2n ** 52n, 2n ** 53n - 1n), fc.integer({ min: -13, max: 40 }), percent);
    const texts = fc.array(
      cases.map(([mantissa, exponent, signs]) => halfway(mantissa, exponent) + signs),
      { minLength: 200, maxLength: 200 },
    );
    fc.assert(
      fc.property(texts, (all) => expectNearest(all.filter((text) => text.replace(/\D/g, '').length <= R))),
      { numRuns: 50 },
    );
    expect(
      read(['9007199254740993', '9007199254740995', '4503599627370496.5', '4503599627370497.5']),
    ).toEqual([9007199254740992, 9007199254740996, 4503599627370496, 4503599627370498]);
  });

  it('next to the middle of two doubles: cut after 30 digits, and one more in the last of them', () => {
    const cases = fc.tuple(fc.bigInt(2n ** 52n, 2n ** 53n - 1n), fc.integer({ min: -53, max: 46 }), percent);
    const near = cases.map(([mantissa, exponent, signs]) => {
      const cut = halfway(mantissa, exponent).slice(0, R + 1);
      const digits = cut.replace('.', '').slice(0, R);
      const point = Math.min(cut.includes('.') ? cut.indexOf('.') : digits.length, digits.length);
      const placed = (all: string): string =>
        point < all.length ? `${all.slice(0, point)}.${all.slice(point)}` : all;
      const next = String(BigInt(digits) + 1n).padStart(digits.length, '0');
      return [placed(digits) + signs, placed(next) + signs];
    });
    fc.assert(
      fc.property(fc.array(near, { minLength: 100, maxLength: 100 }), (all) =>
        expectNearest(all.flat().filter((text) => text.replace(/\D/g, '').length <= R)),
      ),
      { numRuns: 50 },
    );
  });

  it('with room for fewer digits', () => {
    for (const digits of [1, 2, 15, 17])
      expectNearest(['7', '0', '9%', ...(digits > 1 ? ['1.5', '0.3', '29'] : [])], digits);
    expectNearest(['12345678901234567', '0.1234567890123456', '9007199254740993'], 17);
  });
});
