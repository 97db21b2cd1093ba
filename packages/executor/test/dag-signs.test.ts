/** cos(πx), the sign of a negative number's power, and its derivative, against sums of 200 bits. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { executeDag, tensor, type Device } from '../src/index.js';
import { devices, runsOn } from './devices.js';
import { graph, log } from './graphs.js';

const BITS = 200n;
const ONE = 1n << BITS;
const times = (a: bigint, b: bigint) => (a * b) >> BITS;

/** arctan(1/n), in units of 2^-200. */
function arctanOfInverse(n: bigint): bigint {
  let [sum, term] = [0n, ONE / n];
  for (let k = 1n; term !== 0n; k += 2n, term /= -n * n) sum += term / k;
  return sum;
}
/** Machin's formula. */
const PI = 4n * (4n * arctanOfInverse(5n) - arctanOfInverse(239n));

function toBig(x: number): bigint {
  let [scaled, shift] = [x, 0n];
  for (; !Number.isInteger(scaled); shift++) scaled *= 2;
  return shift <= BITS ? BigInt(scaled) << (BITS - shift) : BigInt(scaled) >> (shift - BITS);
}
const toNumber = (x: bigint): number => Number(x) / 2 ** Number(BITS);

/** sin(π·x) and cos(π·x) by their series around 0, of x modulo 2. */
function exact(x: number): { sin: number; cos: number } {
  let r = toBig(x) % (2n * ONE);
  if (r > ONE) r -= 2n * ONE;
  if (r < -ONE) r += 2n * ONE;
  const angle = times(r, PI);
  const sums = [0n, 0n];
  let term = ONE;
  for (let k = 0; term !== 0n && term !== -1n; k++) {
    sums[k % 2]! += k % 4 < 2 ? term : -term;
    term = times(term, angle) / BigInt(k + 1);
  }
  return { sin: toNumber(sums[1]!), cos: toNumber(sums[0]!) };
}

/** (−1)^c and its derivative by c, in training: at inference it is NaN where c is no whole number. */
function powerOfMinus1(c: number, device: Device): { value: number; slope: number } {
  const { V_mag, V_sign, O, G } = graph(1, [-1], [log({ 0: c })]);
  const leaf = (data: Float64Array, shape: number[]) => tensor(data, shape, { device, requiresGrad: true });
  const plan = leaf(O, [1, 2]);
  const value = executeDag({ V_mag: leaf(V_mag, [2]), V_sign: leaf(V_sign, [2]), O: plan, G: leaf(G, [1]) });
  value.backward();
  return { value: value.item(), slope: plan.grad!.dataSync()[0]! };
}

const near = fc
  .tuple(fc.integer({ min: -40, max: 40 }), fc.integer({ min: 1, max: 50 }), fc.constantFrom(-1, 1))
  .map(([halves, exponent, sign]) => halves / 2 + sign * 2 ** -exponent);
const coefficient = fc.oneof(
  near,
  fc.double({ min: -16, max: 16, noNaN: true }),
  fc.integer({ min: -(2 ** 50), max: 2 ** 50 }).map((n) => n / 8),
);

describe.each(devices)('on %s', (backend) => {
  it('the power of −1 and its derivative are right to the last digits, near whole numbers too', () => {
    fc.assert(
      fc.property(coefficient, (c) => {
        fc.pre(c !== 0);
        const { value, slope } = powerOfMinus1(c, backend);
        const { sin, cos } = exact(c);
        const within = (actual: number, expected: number) =>
          Math.abs(actual - expected) <= 2 ** -50 * Math.abs(expected) + 2 ** -190;
        if (!within(value, cos)) throw new Error(`cos(π·${c}) is ${value}, expected ${cos}`);
        if (!within(slope, -Math.PI * sin))
          throw new Error(`−π·sin(π·${c}) is ${slope}, expected ${-Math.PI * sin}`);
      }),
      { numRuns: runsOn(backend, 1000) },
    );
  });

  it('it is exact at multiples of ½', () => {
    for (const [c, power] of [
      [0.5, 0],
      [1, -1],
      [1.5, 0],
      [2, 1],
      [-2.5, 0],
      [1e6 + 0.5, 0],
      [2 ** 53, 1],
    ] as const)
      expect(powerOfMinus1(c, backend).value).toBe(power);
  });
});
