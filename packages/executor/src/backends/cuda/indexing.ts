import type { Backend } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { Kernels, precisionOf, THREADS, written } from './kernels.js';
import { addressOf } from './memory.js';

/** Positions of a block of embeddingChunks. */
const CHUNK = 64;

/** The kernels of an embedding's gradient count positions and rows in 32 bits. */
function checkPositions(positions: number, tableRows: number): void {
  const most = 2 ** 31 - 1;
  if (Math.max(positions, tableRows) > most)
    throw new ExecutorError(
      'shape',
      `cuda: the gradient of an embedding has up to ${most} positions and rows of its table, given ${positions} and ${tableRows}`,
    );
}

/** Gather, embedding, running sums and products, and argmax. */
export function indexing(
  kernels: Kernels,
): Pick<
  Backend,
  | 'gather'
  | 'gatherBackward'
  | 'embedding'
  | 'embeddingBackward'
  | 'cumsum'
  | 'cumprod'
  | 'cumprodBackward'
  | 'argmax'
> {
  const { device } = kernels;
  const gather = kernels.precisions('indexing', 'gather', 'pppii');
  const gatherBackward = kernels.precisions('indexing', 'gatherBackward', 'pppiii');
  const embedding = kernels.precisions('indexing', 'embedding', 'pppiii');
  const chunks = kernels.precisions('indexing', 'embeddingChunks', 'pppppiii');
  const placeLists = device.kernel('indexing', 'placeLists_i32', 'ppppi');
  const placeLeaders = device.kernel('indexing', 'placeLeaders_i32', 'pppppii');
  const embeddingRows = kernels.precisions('indexing', 'embeddingRows', 'ppppppiii');
  const fill = device.kernel('elementwise', 'fill_i32', 'pid');
  const cumsum = kernels.precisions('indexing', 'cumsum', 'ppiiiii');
  const cumsumRows = kernels.precisions('indexing', 'cumsumRows', 'ppiiii');
  const cumprod = kernels.precisions('indexing', 'cumprod', 'ppiii');
  const cumprodBackward = kernels.precisions('indexing', 'cumprodBackward', 'ppppiiii');
  const argmax = kernels.precisions('indexing', 'argmax', 'ppiii');
  const argmaxRows = kernels.precisions('indexing', 'argmaxRows', 'ppii');
  return {
    gather: (x, index, y, n) => {
      if (y.length === 0) return;
      const args = [addressOf(x), addressOf(index), addressOf(y), y.length, n];
      gather[precisionOf(y)](kernels.gridFor(y.length), THREADS, 0, ...args);
    },
    gatherBackward: (index, gradY, { storage, accumulate }, n) => {
      const count = gradY.length;
      if (count === 0) return;
      gatherBackward[precisionOf(gradY)](
        kernels.gridFor(accumulate ? count : count * n),
        THREADS,
        0,
        ...[addressOf(index), addressOf(gradY), addressOf(storage), count, n, Number(accumulate)],
      );
    },
    embedding: (table, index, y, n) => {
      if (y.length === 0) return;
      embedding[precisionOf(y)](
        kernels.gridForWarps(index.length),
        THREADS,
        0,
        ...[addressOf(table), addressOf(index), addressOf(y), index.length, n, table.length / n],
      );
    },
    embeddingBackward: (index, gradY, { storage, accumulate }, n) => {
      const positions = index.length;
      const tableRows = n === 0 ? 0 : storage.length / n;
      if (tableRows === 0) return;
      checkPositions(positions, tableRows);
      const precision = precisionOf(gradY);
      // Counts of each row, how much of the lists is taken; begins and ends; leaders, lists and sorted lists of the positions.
      const words = 3 * tableRows + 1 + 3 * positions;
      kernels.withScratch('i32', words, ({ block }) =>
        kernels.withScratch(precision, positions * n, ({ block: sums }) => {
          const part = (from: number): number => block.address + 4 * from;
          const [counts, taken] = [part(0), part(tableRows)];
          const [begins, ends] = [part(tableRows + 1), part(2 * tableRows + 1)];
          const [leaders, lists, sorted] = [0, 1, 2].map((i) => part(3 * tableRows + 1 + i * positions));
          fill(kernels.gridFor(tableRows + 1), THREADS, 0, counts, tableRows + 1, 0);
          if (positions > 0)
            chunks[precision](
              [Math.ceil(positions / CHUNK)],
              THREADS,
              0,
              ...[
                addressOf(index),
                addressOf(gradY),
                sums.address,
                leaders!,
                counts,
                positions,
                n,
                tableRows,
              ],
            );
          placeLists([Math.ceil(tableRows / THREADS)], THREADS, 0, counts, begins, ends, taken, tableRows);
          if (positions > 0)
            placeLeaders(
              kernels.gridFor(positions),
              THREADS,
              0,
              ...[addressOf(index), leaders!, counts, begins, lists!, positions, tableRows],
            );
          embeddingRows[precision](
            kernels.gridForWarps(tableRows),
            THREADS,
            0,
            ...[sums.address, begins, ends, lists!, sorted!, addressOf(storage)],
            ...[tableRows, n, Number(accumulate)],
          );
        }),
      );
    },
    cumsum: (x, { storage, accumulate }, outer, n, inner, reverse) => {
      if (x.length === 0) return;
      const [from, to] = [addressOf(x), addressOf(storage)];
      const flags = [Number(reverse), Number(accumulate)];
      if (inner === 1)
        cumsumRows[precisionOf(x)](kernels.gridForWarps(outer), THREADS, 0, from, to, outer, n, ...flags);
      else
        cumsum[precisionOf(x)](
          kernels.gridFor(outer * inner),
          THREADS,
          0,
          from,
          to,
          outer,
          n,
          inner,
          ...flags,
        );
    },
    cumprod: (x, y, outer, n, inner) => {
      if (x.length === 0) return;
      const args = [addressOf(x), addressOf(y), outer, n, inner];
      cumprod[precisionOf(x)](kernels.gridFor(outer * inner), THREADS, 0, ...args);
    },
    cumprodBackward: (x, y, gradY, { storage, accumulate }, outer, n, inner) => {
      if (x.length === 0) return;
      const from = [x, y, gradY].map(addressOf);
      cumprodBackward[precisionOf(x)](
        kernels.gridFor(outer * inner),
        THREADS,
        0,
        ...[...from, addressOf(storage), outer, n, inner, Number(accumulate)],
      );
    },
    argmax: (x, index, outer, n, inner) => {
      if (x.length === 0) return;
      const [from, to] = [addressOf(x), addressOf(written(index))];
      if (inner === 1) argmaxRows[precisionOf(x)]([kernels.blocks(outer)], THREADS, 0, from, to, outer, n);
      else argmax[precisionOf(x)](kernels.gridFor(outer * inner), THREADS, 0, from, to, outer, n, inner);
    },
  };
}
