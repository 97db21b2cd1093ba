import type { Backend, Storage } from '../../backend.js';
import { Kernels, precisionOf, THREADS } from './kernels.js';
import { addressOf, scalar } from './memory.js';

/** Most tensors of a launch, and elements of a block; as in kernels/cuda/optimizer.cu. */
const TABLE = 64;
const CHUNK = 16_384;
/** Members of Table there. */
const tableOf = (pointers: number): string => `(i${`ii${'p'.repeat(pointers)}`.repeat(TABLE)})`;

/** Gradient clipping and AdamW, each over many tensors at once. */
export function optimizer(kernels: Kernels): Pick<Backend, 'norm' | 'scaleToNorm' | 'adamW'> {
  const sumOfSquares = kernels.precisions('optimizer', 'sumOfSquares', `${tableOf(1)}p`);
  const addToTotal = kernels.device.kernel('optimizer', 'addToTotal_f64', 'pipp');
  const scaleToNorm = kernels.precisions('optimizer', 'scaleToNorm', `${tableOf(1)}pd`);
  const adamW = kernels.precisions('optimizer', 'adamW', `${tableOf(5)}ddddddpppd`);
  return {
    norm: (xs, total, norm) => {
      eachTable(
        xs.map((x) => [x]),
        (precision, blocks, table) =>
          kernels.withScratch('f64', 2 * blocks, ({ block: { address } }) => {
            sumOfSquares[precision]([blocks], THREADS, 0, ...table, address);
            addToTotal([1], THREADS, 0, address, blocks, addressOf(total), addressOf(norm));
          }),
      );
    },
    scaleToNorm: (xs, total, maxNorm) =>
      eachTable(
        xs.map((x) => [x]),
        (precision, blocks, table) =>
          scaleToNorm[precision]([blocks], THREADS, 0, ...table, addressOf(total), maxNorm),
      ),
    adamW: ({ lr, beta1, beta2, eps, weightDecay, step, clip }, parameters) => {
      const [[rate, rateAt], [count, countAt]] = [scalar(lr), scalar(step)];
      eachTable(
        parameters.map(({ parameter, gradient, m, v, copy = null }) => [parameter, gradient, m, v, copy]),
        (precision, blocks, table) =>
          adamW[precision](
            [blocks],
            THREADS,
            0,
            ...table,
            ...[beta1, beta2, weightDecay, rate, count, eps, rateAt, countAt],
            ...[addressOf(clip?.total ?? null), clip?.maxNorm ?? 0],
          ),
      );
    },
  };
}

/** Calls `launch` with as many tables, and the blocks of each, as hold `tensors`, whose storages are of one length each. */
function eachTable(
  tensors: readonly (readonly [Storage, ...(Storage | null)[]])[],
  launch: (precision: 'f32' | 'f64', blocks: number, table: readonly number[]) => void,
): void {
  for (const precision of ['f32', 'f64'] as const) {
    const all = tensors
      .filter(([{ length }]) => length > 0)
      .filter(([first]) => precisionOf(first) === precision);
    for (let from = 0; from < all.length; from += TABLE) {
      const part = all.slice(from, from + TABLE);
      const table = new Array<number>(1 + TABLE * (2 + part[0]!.length)).fill(0);
      table[0] = part.length;
      let blocks = 0;
      part.forEach((storages, i) => {
        const { length } = storages[0];
        [blocks, length, ...storages.map(addressOf)].forEach((word, w, { length: words }) => {
          table[1 + i * words + w] = word;
        });
        blocks += Math.ceil(length / CHUNK);
      });
      launch(precision, blocks, table);
    }
  }
}
