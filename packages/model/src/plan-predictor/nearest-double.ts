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
  { digit, present, length, percents }: Decimals<T>,
  digits: number,
  isExact: boolean,
): T {
  const { twoSum, twoProduct, distill } = exactArithmetic(ops);
  const [one, nine] = [ops.f64(1), ops.f64(9)];
  const at = (x: T, r: number): T => ops.select(x, 2, r);
  /** 10 to the power of x, for x of 0 or 1. */
  const tenTo = (x: T): T => ops.add(ops.mul(x, nine), one);
  const places = ops.f64(Array.from({ length: digits }, (_, r) => r + 1));
  const isDecimal = ops.mul(present, ops.clamp(ops.sub(places, ops.unsqueeze(length, 2)), 0, 1));
  const [ofDigits, ofDecimals] = [tenTo(present), tenTo(isDecimal)];
  /** Digits `from` … `to` − 1 as a whole number of at most 15 digits, and the powers of ten of their count and of their decimals. */
  const part = (from: number, to: number): { whole: T; power: T; divisor: T } => {
    let [whole, power, divisor] = [at(digit, from), at(ofDigits, from), at(ofDecimals, from)];
    for (let r = from + 1; r < to; r++) {
      whole = ops.add(ops.mul(whole, at(ofDigits, r)), at(digit, r));
      power = ops.mul(power, at(ofDigits, r));
      divisor = ops.mul(divisor, at(ofDecimals, r));
    }
    return { whole, power, divisor };
  };
  const half = Math.ceil(digits / 2);
  const first = part(0, half);
  let mantissa = [first.whole, ops.f64(0)] as const;
  let second = one;
  if (half < digits) {
    const last = part(half, digits);
    const [high, low] = twoProduct(first.whole, last.power);
    const [sum, error] = twoSum(high, last.whole);
    mantissa = [sum, ops.add(error, low)];
    second = last.divisor;
  }
  for (let n = 0; n < MOST_PERCENTS; n++) {
    const isThere = ops.clamp(ops.sub(percents, ops.f64(n)), 0, 1);
    second = ops.mul(second, ops.add(ops.mul(isThere, ops.f64(99)), one));
  }
  const divisor = twoProduct(first.divisor, second);
  const quotient = ops.div(mantissa[0], divisor[0]);
  if (!isExact) return quotient;

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
  const split = (x: T): [T, T] => {
    const scaled = mul(x, splitter);
    const high = sub(scaled, sub(scaled, x));
    return [high, sub(x, high)];
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
