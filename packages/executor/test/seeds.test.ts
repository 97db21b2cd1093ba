/** A seed is two whole numbers of 32 bits; the same mask on every backend, whatever a tensor holds. */
import { describe, expect, it } from '@jest/globals';
import {
  causalAttention,
  dropout,
  linear,
  ones,
  randn,
  tensor,
  type Device,
  type Tensor,
} from '../src/index.js';
import type { SeedOption } from '../src/ops/scalar.js';
import { devices } from './devices.js';

const wrong = [-1, 0.5, NaN, Infinity, 2 ** 32, 2 ** 53, '1', null, undefined, 1n] as never[];

const uses: readonly (readonly [string, (seed: SeedOption, device: Device) => Tensor])[] = [
  ['dropout', (seed, device) => dropout(ones([64], { device }), 0.5, seed)],
  [
    'linear',
    (seed, device) =>
      linear(ones([8, 4], { device }), ones([8, 4], { device }), null, { dropout: 0.5, seed }),
  ],
  [
    'causalAttention',
    (seed, device) =>
      causalAttention(randn([2, 8, 12], { device, seed: [1, 2] }), { heads: 1, dropout: 0.5, seed }),
  ],
];

describe.each(uses)('the seed of %s', (op, use) => {
  it.each(devices)('is two whole numbers from 0 to 2^32 − 1, on %s', (device) => {
    for (const word of wrong)
      for (const seed of [
        [word, 0],
        [0, word],
      ] as SeedOption[])
        expect(() => use(seed, device)).toThrow(
          expect.objectContaining({
            code: 'value',
            message: expect.stringMatching(
              new RegExp(
                `^${op}: the (first|second) word of the seed is a whole number from 0 to 2\\^32 - 1`,
              ),
            ),
          }),
        );
    for (const word of [0, 2 ** 31, 2 ** 32 - 1]) expect(use([word, word], device).size).toBeGreaterThan(0);
  });

  it('may be a tensor, which counts modulo 2^32, on every device alike', () => {
    const table: [number, number][] = [
      [5, 5],
      [2 ** 32 + 5, 5],
      [-1, 2 ** 32 - 1],
      [7.9, 7],
      [-7.9, 2 ** 32 - 7],
      [2 ** 53 - 1, 2 ** 32 - 1],
      [2 ** 63, 0],
      [1e300, 0],
      [-1e300, 0],
      [NaN, 0],
      [Infinity, 0],
    ];
    for (const device of devices)
      for (const [held, word] of table) {
        const seed = tensor([held], [], { dtype: 'f64', device });
        expect(use([seed, 3], device).dataSync()).toEqual(use([word, 3], device).dataSync());
      }
  });
});

it('the seed of randn is two whole numbers from 0 to 2^32 − 1', () => {
  for (const word of wrong)
    for (const seed of [
      [word, 0],
      [0, word],
    ] as [number, number][])
      expect(() => randn([2], { seed })).toThrow(
        expect.objectContaining({
          code: 'value',
          message: expect.stringMatching(/^randn: the (first|second) word of the seed/),
        }),
      );
});

it.each(devices)('dropout of almost all keeps almost none, on %s', (device) => {
  const p = 1 - 2 ** -53;
  expect(
    dropout(ones([1000], { device }), p, [1, 2])
      .dataSync()
      .every((x) => x === 0),
  ).toBe(true);
});
