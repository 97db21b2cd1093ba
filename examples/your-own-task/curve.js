/** The stream, which worker threads run: micro-batch `index` is a pure function of the seed and the index. */
import { workerData } from 'node:worker_threads';

export default (index) => points(workerData.seed, index, workerData.size);

/** `size` points of the curve y = sin 3x, −1 ≤ x < 1. */
export function points(seed, index, size) {
  const x = Float32Array.from({ length: size }, (_, i) => 2 * random(seed, index * size + i) - 1);
  return { x, y: x.map((at) => Math.sin(3 * at)) };
}

/** A number in [0, 1) for each pair of whole numbers: the mixing of MurmurHash3. */
function random(seed, index) {
  let h = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca77);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}
