/**
 * x^n in IEEE double arithmetic, with the bits that executing a plan of this power has: ½ is the square root, 1/3 the cube root
 * (real for negative x), a whole n up to 16 that many factors or divisors, a larger whole n the nearest double. Other
 * fractions are those of `Math.pow`, NaN for negative x.
 */
export function power(x: number, n: number): number {
  const size = Math.abs(n);
  if (size === 0.5) return n > 0 ? Math.sqrt(x) : 1 / Math.sqrt(x);
  if (size === 1 / 3) return n > 0 ? Math.cbrt(x) : 1 / Math.cbrt(x);
  if (!Number.isInteger(n)) return Math.pow(x, n);
  if (size > MAX_REPEATED) return n > 0 ? largePower(x, n) : 1 / largePower(x, size);
  let product = 1;
  for (let i = 0; i < size; i++) product = n < 0 ? product / x : product * x;
  return product;
}

const MAX_REPEATED = 16;

/** x^n for a whole n ≥ 1, nearest double: by repeated squaring in pairs of doubles. `Math.pow` may be off in the last place. */
function largePower(x: number, n: number): number {
  const m = Math.abs(x);
  const isNegative = n % 2 === 1 && (x < 0 || Object.is(x, -0));
  const sign = isNegative ? -1 : 1;
  if (!(m > 0 && m < Infinity)) return sign * m;
  // Beyond this only powers of 1 are neither 0 nor infinite.
  if (n >= 2 ** 63) return sign * (m > 1 ? Infinity : m < 1 ? 0 : 1);
  let product: Pair = { high: 1, low: 0, exponent: 0 };
  for (let rest = n, square = normalized(m); rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) product = times(product, square);
    if (rest > 1) square = times(square, square);
  }
  const { high, exponent } = product;
  if (exponent > 1024 || exponent < -1100) return sign * (exponent > 0 ? Infinity : 0);
  // In two factors, because 2^exponent alone may be out of range.
  const half = Math.trunc(exponent / 2);
  return sign * (high * 2 ** half * 2 ** (exponent - half));
}

/** (high + low) · 2^exponent, high in [1, 2]. */
interface Pair {
  readonly high: number;
  readonly low: number;
  readonly exponent: number;
}

/** A positive double with its exponent apart. */
function normalized(m: number): Pair {
  let [high, exponent] = [m, 0];
  // Multiplying by powers of two is exact, also for subnormal numbers.
  for (let step = 1024; step >= 1; step /= 2) {
    while (high >= 2 ** Math.min(step, 1023)) {
      high /= 2 ** Math.min(step, 1023);
      exponent += Math.min(step, 1023);
    }
    while (high < 2 ** (1 - step)) {
      high *= 2 ** Math.min(step, 1023);
      exponent -= Math.min(step, 1023);
    }
  }
  return { high, low: 0, exponent };
}

const SPLIT = 2 ** 27 + 1;

/** The product of two pairs, by Dekker (Numerische Mathematik 18, 1971). */
function times(a: Pair, b: Pair): Pair {
  const split = (x: number): number => x * SPLIT - (x * SPLIT - x);
  const [a1, b1] = [split(a.high), split(b.high)];
  const [a2, b2] = [a.high - a1, b.high - b1];
  const product = a.high * b.high;
  const error = a1 * b1 - product + a1 * b2 + a2 * b1 + a2 * b2 + (a.high * b.low + a.low * b.high);
  const high = product + error;
  const low = error - (high - product);
  const exponent = a.exponent + b.exponent;
  return high < 2 ? { high, low, exponent } : { high: high / 2, low: low / 2, exponent: exponent + 1 };
}
