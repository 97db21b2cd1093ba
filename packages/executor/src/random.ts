import type { HostArray } from './backend.js';
import { hostArray } from './backends/host.js';

/**
 * Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3"
 * (SC'11): writes four 32-bit words to `out`, a pure function of a 64-bit key and a counter. Any element of a stream can be computed
 * alone, so a dropout mask does not depend on threads, blocks or the order of evaluation.
 */
export function philox(seed: readonly [number, number], counter: number, out: Uint32Array): void {
  let c0 = counter >>> 0;
  let c1 = Math.floor(counter / 0x1_0000_0000) >>> 0;
  let c2 = 0;
  let c3 = 0;
  let k0 = seed[0] >>> 0;
  let k1 = seed[1] >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Upper 32 bits of the product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** Calls `use` with element i = 0 … n−1 of the stream: a uniform 32-bit word each. */
export function forEachWord(
  seed: readonly [number, number],
  n: number,
  use: (i: number, word: number) => void,
): void {
  const block = new Uint32Array(4);
  for (let i = 0; i < n; i++) {
    if ((i & 3) === 0) philox(seed, i >>> 2, block);
    use(i, block[i & 3]!);
  }
}

/**
 * n standard normal numbers as f64, by the Box–Muller transform.
 *
 * @throws {ExecutorError} `memory` where there is no room for so many.
 */
export function normals(seed: readonly [number, number], n: number): HostArray {
  const out = hostArray('f64', n);
  let radius = 0;
  forEachWord(seed, n + (n & 1), (i, word) => {
    const uniform = (word + 0.5) / 0x1_0000_0000;
    if ((i & 1) === 0) {
      radius = Math.sqrt(-2 * Math.log(uniform));
      return;
    }
    out[i - 1] = radius * Math.cos(2 * Math.PI * uniform);
    if (i < n) out[i] = radius * Math.sin(2 * Math.PI * uniform);
  });
  return out;
}
