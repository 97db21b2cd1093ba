import type { ArrayOps } from './array-ops.js';

/**
 * Arithmetic in which no bit is lost: a value is a sum of doubles. Dekker, "A floating-point technique for extending the available
 * precision" (1971); Ogita, Rump and Oishi, "Accurate sum and dot product" (2005).
 */

/** More percent signs than this behind one number are refused. */
export const MOST_PERCENTS = 3;

/** 2²⁷ + 1 splits a double into two halves of 26 bits. */
const SPLITTER = 2 ** 27 + 1;

export interface Decimals<T> {
  /** (N, S, R) the digits of each number, the first one first; 0 where there is none. */
  readonly digit: T;
  /** (N, S, R) 1 where there is a digit. */
  readonly present: T;
  /** (N, S) digits before the decimal point. */
  readonly length: T;
  /** (N, S) percent signs, each of which moves the point by two places. */
  readonly percents: T;
}

/**
 * Decimal numbers (N, S) as doubles, as `Number` reads them: the nearest one, of two equally near ones the even one. Numbers of up to 30
 * digits have whole mantissas below 2¹⁰⁰ and divisors below 2¹²⁰, which pairs of doubles hold exactly.
 *
 * @param isExact Whether the last bit counts. Otherwise it may be another one, for a fraction of the operations.
 */
export function nearestDouble<T>(
  ops: ArrayOps<T>,
  decimals: Decimals<T>,
  digits: number,
  isExact: boolean,
): T {
  const isDecimal = ops.mul(
    decimals.present,
    ops.clamp(
      ops.sub(ops.f64(Array.from({ length: digits }, (_, r) => r + 1)), ops.unsqueeze(decimals.length, 2)),
      0,
      1,
    ),
  );
  return (isExact ? exactly : nearly)(ops, decimals, isDecimal, digits);
}

/** … where `present` and `isDecimal` may be between 0 and 1. */
function nearly<T>(
  ops: ArrayOps<T>,
  { digit, present, percents }: Decimals<T>,
  isDecimal: T,
  digits: number,
): T {
  const one = ops.f64(1);
  /** factor to the power of x, for x of 0 or 1. */
  const times = (factor: number, x: T): T => ops.add(ops.mul(x, ops.f64(factor - 1)), one);
  const at = (x: T, r: number): T => ops.select(x, 2, r);
  const [ofDigits, ofDecimals] = [times(10, present), times(10, isDecimal)];
  let [whole, divisor] = [at(digit, 0), at(ofDecimals, 0)];
  for (let r = 1; r < digits; r++) {
    whole = ops.add(ops.mul(whole, at(ofDigits, r)), at(digit, r));
    divisor = ops.mul(divisor, at(ofDecimals, r));
  }
  for (let n = 0; n < MOST_PERCENTS; n++)
    divisor = ops.mul(divisor, times(100, ops.clamp(ops.sub(percents, ops.f64(n)), 0, 1)));
  return ops.div(whole, divisor);
}

/** The largest power of ten of which all smaller ones are doubles. */
const MOST_TENS = 22;

function exactly<T>(
  ops: ArrayOps<T>,
  { digit, present, percents }: Decimals<T>,
  isDecimal: T,
  digits: number,
): T {
  const { twoSum, twoProduct, distill } = exactArithmetic(ops);
  const one = ops.f64(1);
  // The first and the last half of the digits, each a whole number of at most 15.
  const half = Math.ceil(digits / 2);
  const ofHalves = (value: (r: number, h: number) => number): T =>
    ops.f64(
      Array.from({ length: 2 * digits }, (_, i) => {
        const [r, h] = [i >> 1, i & 1];
        return Number(r >= half) === h ? value(r - h * half, h) : 0;
      }),
      [digits, 2],
    );
  const sizes = [half, digits - half] as const;
  const count = ofHalves(() => 1);
  const counts = ops.matmul(present, count);
  const exponents = ops.concat(
    [
      ops.sub(ops.f64(sizes), counts),
      ops.slice(counts, 2, 1, 2),
      ops.add(ops.matmul(isDecimal, count), ops.mul(ops.unsqueeze(percents, 2), ops.f64([0, 2]))),
    ],
    2,
  );
  const tens = Array.from({ length: MOST_TENS + 1 }, (_, n) => n);
  const powers = ops.sum(
    ops.mul(
      ops.equal(ops.unsqueeze(exponents, 3), ops.f64(tens)),
      ops.f64(tens.map((n) => Number(`1e${n}`))),
    ),
    3,
  );
  // Digits as if there were zeros behind them, which a division takes off again.
  const shifted = ops.matmul(
    digit,
    ofHalves((r, h) => Number(`1e${sizes[h]! - 1 - r}`)),
  );
  const wholes = ops.div(shifted, ops.slice(powers, 2, 0, 2));
  const at = (x: T, i: number): T => ops.select(x, 2, i);
  const [high, low] = twoProduct(at(wholes, 0), at(powers, 2));
  const [most, little] = twoSum(high, at(wholes, 1));
  const mantissa = [most, ops.add(little, low)] as const;
  const divisor = twoProduct(at(powers, 3), at(powers, 4));
  const quotient = ops.div(mantissa[0], divisor[0]);

  // The quotient of mantissa and divisor as a sum, quotient + correction + rest.
  const minusTimesDivisor = (x: T): T[] => {
    const negative = ops.sub(ops.f64(0), x);
    return [...twoProduct(negative, divisor[0]), ...twoProduct(negative, divisor[1])];
  };
  const [product, ...products] = minusTimesDivisor(quotient);
  // Exact, since the two are within a few units in the last place of each other.
  const difference = ops.add(mantissa[0], product!);
  const remainder = distill([...products, mantissa[1], difference]);
  const correction = ops.div(remainder.reduce(ops.add), divisor[0]);
  const rest = distill(distill([...minusTimesDivisor(correction), ...remainder])).reduce(ops.add);

  // Rounded to nearest; where that is a tie, the rest decides.
  const [rounded, error] = twoSum(quotient, correction);
  const step = ops.add(error, error);
  const isTie = ops.equal(ops.sub(ops.add(rounded, step), rounded), step);
  const isBeyond = ops.sub(one, ops.atLeast(ops.f64(0), ops.mul(sign(ops, error), sign(ops, rest))));
  return ops.add(rounded, ops.mul(step, ops.mul(isTie, isBeyond)));
}

/** −1, 0 or 1: a product of signs does not underflow. */
function sign<T>(ops: ArrayOps<T>, x: T): T {
  const zero = ops.f64(0);
  return ops.sub(ops.atLeast(x, zero), ops.atLeast(zero, x));
}

function exactArithmetic<T>(ops: ArrayOps<T>) {
  const { add, sub, mul } = ops;
  const splitter = ops.f64(SPLITTER);
  /** a + b as the rounded sum and its error. */
  const twoSum = (a: T, b: T): [T, T] => {
    const sum = add(a, b);
    const ofB = sub(sum, a);
    return [sum, add(sub(a, sub(sum, ofB)), sub(b, ofB))];
  };
  const halves = new Map<T, readonly [T, T]>();
  const split = (x: T): readonly [T, T] => {
    const known = halves.get(x);
    if (known) return known;
    const scaled = mul(x, splitter);
    const high = sub(scaled, sub(scaled, x));
    const both = [high, sub(x, high)] as const;
    halves.set(x, both);
    return both;
  };
  /** a · b as the rounded product and its error. */
  const twoProduct = (a: T, b: T): [T, T] => {
    const product = mul(a, b);
    const [[aHigh, aLow], [bHigh, bLow]] = [split(a), split(b)];
    const crossed = add(add(sub(mul(aHigh, bHigh), product), mul(aHigh, bLow)), mul(aLow, bHigh));
    return [product, add(crossed, mul(aLow, bLow))];
  };
  /** The same sum as terms of which the last one is nearly all of it. */
  const distill = (terms: readonly T[]): T[] => {
    const distilled = [...terms];
    for (let i = 1; i < terms.length; i++) {
      const [sum, error] = twoSum(distilled[i]!, distilled[i - 1]!);
      [distilled[i - 1], distilled[i]] = [error, sum];
    }
    return distilled;
  };
  return { twoSum, twoProduct, distill };
}
