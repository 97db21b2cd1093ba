import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatValue } from '../src/index.js';

describe('formatValue', () => {
  it.each([
    [50, '50'],
    [-12.5, '-12.5'],
    [0.1 + 0.2, '0.30000000000000004'],
    [1e21, '1000000000000000000000'],
    [-1.25e22, '-12500000000000000000000'],
    [1e-7, '0.0000001'],
    [-1.5e-10, '-0.00000000015'],
    [0, '0'],
    [-0, '-0'],
    [NaN, 'NaN'],
    [-Infinity, '-Infinity'],
  ])('of %d is %s', (value, text) => expect(formatValue(value)).toBe(text));

  it('has no exponent, reads back as the same double, and no decimal of fewer digits does', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = formatValue(value);
        expect(text).toMatch(/^-?(?:0|[1-9]\d*)(?:\.\d*[1-9])?$/);
        expect(Number(text)).toBe(value);
        const digits = text.replace(/[-.]/g, '').replace(/^0+|0+$/g, '').length;
        // What C's %.{n}e prints is the nearest decimal of n + 1 digits.
        if (digits > 1) expect(Number(value.toExponential(digits - 2))).not.toBe(value);
      }),
      { numRuns: 500 },
    );
  });
});
