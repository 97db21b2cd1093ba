import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { dropout, ones, randn, sum, tensor } from '../src/index.js';
import { philox } from '../src/random.js';
import { devices } from './devices.js';

/** Philox4x32-10 with the whole counter, in unbounded integers, as the paper writes it. */
function philoxOfThePaper(counter: readonly bigint[], key: readonly bigint[]): bigint[] {
  const word = (x: bigint) => x & 0xffffffffn;
  let [c0, c1, c2, c3] = counter as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const p0 = 0xd2511f53n * c0;
    const p1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, word(p1), (p0 >> 32n) ^ c3 ^ k1, word(p0)];
    k0 = word(k0 + 0x9e3779b9n);
    k1 = word(k1 + 0xbb67ae85n);
  }
  return [c0, c1, c2, c3];
}

function philoxOf(seed: readonly [number, number], counter: number): number[] {
  const out = new Uint32Array(4);
  philox(seed, counter, out);
  return Array.from(out);
}

describe('Philox4x32-10', () => {
  const ffff = 0xffffffffn;
  // kat_vectors of Random123 1.14
  it.each([
    [
      [0n, 0n, 0n, 0n],
      [0n, 0n],
      [0x6627e8d5n, 0xe169c58dn, 0xbc57ac4cn, 0x9b00dbd8n],
    ],
    [
      [ffff, ffff, ffff, ffff],
      [ffff, ffff],
      [0x408f276dn, 0x41c83b0en, 0xa20bc7c6n, 0x6d5451fdn],
    ],
    [
      [0x243f6a88n, 0x85a308d3n, 0x13198a2en, 0x03707344n],
      [0xa4093822n, 0x299f31d0n],
      [0xd16cfe09n, 0x94fdccebn, 0x5001e420n, 0x24126ea1n],
    ],
  ])('of the paper gives the known answers of Random123', (counter, key, expected) => {
    expect(philoxOfThePaper(counter, key)).toEqual(expected);
  });

  it('gives the known answer for counter 0 and key 0', () => {
    expect(philoxOf([0, 0], 0)).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  });

  it('agrees with that of the paper for every key and every counter below 2⁵³', () => {
    const key = fc.oneof(fc.constantFrom(0xffffffff, 0x80000000), fc.nat(0xffffffff));
    const counter = fc.oneof(
      fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1),
      fc.nat(Number.MAX_SAFE_INTEGER),
    );
    fc.assert(
      fc.property(key, key, counter, (low, high, i) => {
        const words = [BigInt(i) & ffff, BigInt(i) >> 32n, 0n, 0n];
        const expected = philoxOfThePaper(words, [BigInt(low), BigInt(high)]).map(Number);
        expect(philoxOf([low, high], i)).toEqual(expected);
      }),
    );
  });
});

describe.each(devices)('on %s', (device) => {
  const n = 40_000;

  it.each([0.1, 0.5, 0.9])(
    'dropout keeps about 1 − p of the elements, scaled by 1/(1 − p), at p = %d',
    (p) => {
      const y = dropout(ones([n], { device, dtype: 'f64' }), p, [1, 2]).dataSync();
      const kept = y.filter((v) => v !== 0);
      expect(new Set(kept)).toEqual(new Set([1 / (1 - p)]));
      // Six standard deviations of the binomial distribution.
      expect(Math.abs(kept.length - n * (1 - p))).toBeLessThan(6 * Math.sqrt(n * p * (1 - p)));
    },
  );

  it('the mask of dropout is a pure function of the seed and the place', () => {
    const mask = (seed: readonly [number, number], length: number) =>
      Array.from(dropout(ones([length], { device }), 0.5, seed).dataSync());
    expect(mask([7, 8], 1001)).toEqual(mask([7, 8], 1001));
    expect(mask([7, 8], 1001)).toEqual(mask([7, 8], 2000).slice(0, 1001));
    expect(mask([7, 8], 1001)).not.toEqual(mask([8, 8], 1001));
    expect(mask([7, 8], 1001)).not.toEqual(mask([7, 9], 1001));
  });

  it('an element is dropped where its word of the stream is below p·2³²', () => {
    const words = [0, 1, 2].flatMap((block) => philoxOf([3, 4], block));
    const y = dropout(ones([12], { device, dtype: 'f64' }), 0.25, [3, 4]).dataSync();
    expect(Array.from(y)).toEqual(words.map((w) => (w >= 0.25 * 2 ** 32 ? 1 / 0.75 : 0)));
  });

  it('the gradient of dropout goes through the mask of the forward pass', () => {
    const x = tensor(new Float64Array(100).fill(3), [100], { device, requiresGrad: true });
    const y = dropout(x, 0.3, [5, 6]);
    sum(y).backward();
    expect(Array.from(x.grad!.dataSync())).toEqual(Array.from(y.dataSync(), (v) => (v === 0 ? 0 : 1 / 0.7)));
  });

  it('dropout with p = 0 is the tensor itself', () => {
    const x = ones([3], { device });
    expect(dropout(x, 0, [1, 1])).toBe(x);
  });

  it('normal numbers have mean 0, variance 1, no skew and the fourth moment 3', () => {
    const x = Array.from(randn([n], { device, dtype: 'f64', seed: [9, 10] }).dataSync());
    const moment = (k: number) => x.reduce((total, v) => total + v ** k, 0) / n;
    // Six standard errors: those of the k-th moment are √((E x²ᵏ − (E xᵏ)²)/n).
    expect(Math.abs(moment(1))).toBeLessThan(6 * Math.sqrt(1 / n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(6 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(6 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(6 * Math.sqrt(96 / n));
  });

  it('normal numbers are a pure function of the seed, scaled by std', () => {
    const draw = (seed: readonly [number, number], length: number, std = 1) =>
      Array.from(randn([length], { device, dtype: 'f64', seed, std }).dataSync());
    expect(draw([1, 2], 7)).toEqual(draw([1, 2], 7));
    expect(draw([1, 2], 7)).toEqual(draw([1, 2], 10).slice(0, 7));
    expect(draw([1, 2], 7)).not.toEqual(draw([1, 3], 7));
    expect(draw([1, 2], 7, 0.5)).toEqual(draw([1, 2], 7).map((x) => 0.5 * x));
  });
});
