/** x·2^exponent in two doubles, high in [1, 2]. */
interface Scaled {
  readonly high: number;
  readonly low: number;
  readonly exponent: number;
}

/** Smallest normal double: below it a product has lost digits. */
export const MIN_NORMAL = 2 ** -1022;

/** m^x for m ≥ 0: the nearest double for a whole x ≥ 0 and a square root, else within 1 ulp. */
export function power(m: number, x: number): number {
  if (x === 0.5) return Math.sqrt(m);
  return x >= 0 && Number.isInteger(x) ? powWhole(m, x) : Math.pow(m, x);
}

/**
 * By repeated squaring in twice the precision: what `powWhole` of kernels/dag_step.h gives, bit for bit. `Math.pow` may be off
 * in the last place, each engine in its own way.
 */
function powWhole(m: number, n: number): number {
  if (n === 0) return 1;
  if (!(m > 0 && m < Infinity)) return m;
  if (n >= 2 ** 63) return m > 1 ? Infinity : m < 1 ? 0 : 1;
  let product: Scaled = { high: 1, low: 0, exponent: 0 };
  let base = normalized(m);
  for (let rest = n; ;) {
    if (rest % 2 === 1) product = times(product, base);
    rest = Math.floor(rest / 2);
    if (rest === 0) return scaled(product.high, product.exponent);
    base = times(base, base);
  }
}

const word = new DataView(new ArrayBuffer(8));

function normalized(size: number): Scaled {
  const shift = size < MIN_NORMAL ? 54 : 0;
  word.setFloat64(0, size * 2 ** shift);
  const upper = word.getUint32(0);
  word.setUint32(0, (upper & 0x000fffff) | 0x3ff00000);
  return { high: word.getFloat64(0), low: 0, exponent: (upper >>> 20) - 1023 - shift };
}

const SPLIT = 2 ** 27 + 1;

/** The product, by Dekker (Numerische Mathematik 18, 1971). */
function times(a: Scaled, b: Scaled): Scaled {
  const a1 = a.high * SPLIT - (a.high * SPLIT - a.high);
  const a2 = a.high - a1;
  const b1 = b.high * SPLIT - (b.high * SPLIT - b.high);
  const b2 = b.high - b1;
  const product = a.high * b.high;
  const error = a1 * b1 - product + a1 * b2 + a2 * b1 + a2 * b2 + (a.high * b.low + a.low * b.high);
  const high = product + error;
  const low = error - (high - product);
  const exponent = a.exponent + b.exponent;
  return high < 2 ? { high, low, exponent } : { high: high / 2, low: low / 2, exponent: exponent + 1 };
}

/** x·2^exponent, where x is in [1, 2], in two factors: 2^exponent alone may be out of range. */
function scaled(x: number, exponent: number): number {
  if (exponent > 1024) return Infinity;
  if (exponent < -1100) return 0;
  const half = Math.trunc(exponent / 2);
  return x * 2 ** half * 2 ** (exponent - half);
}
