import { expect, it } from '@jest/globals';
import { erf } from '../src/erf.js';

/** math.erf of Python 3.11. */
const values: readonly (readonly [x: number, erf: number])[] = [
  [1e-300, 1.1283791670955126e-300],
  [1e-10, 1.1283791670955126e-10],
  [0.1, 0.1124629160182849],
  [0.25, 0.2763263901682369],
  [0.46875, 0.49261347321793797],
  [0.47, 0.4937450508860821],
  [0.5, 0.5204998778130465],
  [0.75, 0.7111556336535151],
  [1, 0.8427007929497149],
  [1.25, 0.9229001282564582],
  [1.5, 0.9661051464753108],
  [2, 0.9953222650189527],
  [2.5, 0.999593047982555],
  [3, 0.9999779095030014],
  [3.5, 0.9999992569016276],
  [4, 0.9999999845827421],
  [4.0000001, 0.9999999845827549],
  [4.5, 0.9999999998033839],
  [5, 0.9999999999984626],
  [5.5, 0.9999999999999927],
  [5.9, 0.9999999999999999],
  [6, 1],
  [40, 1],
];

it.each(values)(
  'erf(%d) and erf of its negative are those of the C library to 4e-16 relative',
  (x, expected) => {
    expect(Math.abs(erf(x) / expected - 1)).toBeLessThan(4e-16);
    expect(erf(-x)).toBe(-erf(x));
  },
);

it('erf of 0, −0, the infinities and NaN are 0, −0, ±1 and NaN', () => {
  expect([0, -0, Infinity, -Infinity, NaN].map(erf)).toEqual([0, -0, 1, -1, NaN]);
});
