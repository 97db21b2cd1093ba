import type { Backend } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { Kernels, precisionOf, THREADS, WARP, written } from './kernels.js';
import { addressOf, seedArguments } from './memory.js';

/** Bits of a digit of rows by which positions are sorted, and sorted positions of a slice: see kernels/cuda/indexing.cu. */
const DIGIT_BITS = 8;
const SLICE = 64;

/** The kernels of an embedding's gradient have positions and rows in 32 bits. */
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
  | 'embeddingSum'
  | 'embeddingBackward'
  | 'cumsum'
  | 'cumprod'
  | 'cumprodBackward'
  | 'argmax'
> {
  const { device } = kernels;
  const gather = kernels.precisions('indexing', 'gather', 'pppii');
  const gatherBackward = kernels.precisions('indexing', 'gatherBackward', 'pppiii');
  const embedding = kernels.precisions('indexing', 'embedding', 'ppppiiiidddp');
  const embeddingSum: NonNullable<Backend['embeddingSum']> = (table, index, positions, p, seed, y, n) => {
    if (y.length === 0) return;
    embedding[precisionOf(y)](
      kernels.gridForWarps(index.length),
      THREADS,
      0,
      ...[addressOf(table), addressOf(index), addressOf(positions), addressOf(y)],
      ...[index.length, n, table.length / n, (positions?.length ?? n) / n, p, ...seedArguments(seed)],
    );
  };
  const countDigits = device.kernel('indexing', 'countDigits_i32', '(ppiii)p');
  const scanDigits = device.kernel('indexing', 'scanDigits_i32', 'ppi');
  const placeDigits = device.kernel('indexing', 'placeDigits_i32', '(ppiii)ppp');
  const embeddingSlices = kernels.precisions('indexing', 'embeddingSlices', '(ppii)pppi');
  const embeddingParts = kernels.precisions('indexing', 'embeddingParts', '(ppii)ppi');
  const fill = kernels.precisions('elementwise', 'fill', 'pid');
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
    embeddingSum,
    embedding: (table, index, y, n) => embeddingSum(table, index, null, 0, [0, 0], y, n),
    embeddingBackward: (index, gradY, { storage, accumulate }, n) => {
      const positions = index.length;
      const tableRows = n === 0 ? 0 : storage.length / n;
      if (tableRows === 0) return;
      checkPositions(positions, tableRows);
      const precision = precisionOf(gradY);
      const [at, table] = [addressOf(index), addressOf(storage)];
      if (!accumulate) fill[precision](kernels.gridFor(storage.length), THREADS, 0, table, storage.length, 0);
      if (positions === 0) return;
      const [blocks, slices] = [Math.ceil(positions / THREADS), Math.ceil(positions / SLICE)];
      const digits = 2 ** DIGIT_BITS;
      kernels.withScratch('i32', digits * (blocks + 1) + 2 * positions, ({ block }) =>
        kernels.withScratch(precision, 2 * slices * n, ({ block: parts }) => {
          const totals = block.address;
          const counts = totals + 4 * digits;
          // Two buffers in turn, one with the order so far and one for the next.
          let order = 0;
          let next = counts + 4 * digits * blocks;
          let free = next + 4 * positions;
          // Row tableRows is that of indices outside of the table.
          for (let shift = 0; tableRows >= 2 ** shift; shift += DIGIT_BITS) {
            const pass = [at, order, positions, tableRows, shift];
            countDigits([blocks], THREADS, 0, ...pass, counts);
            scanDigits([(digits * WARP) / THREADS], THREADS, 0, counts, totals, blocks);
            placeDigits([blocks], THREADS, 0, ...pass, counts, totals, next);
            [order, next, free] = [next, free, next];
          }
          const sorted = [at, order, positions, tableRows];
          const from = [addressOf(gradY), table, parts.address, n];
          const groups = Math.ceil(n / (4 * WARP));
          embeddingSlices[precision](kernels.gridForWarps(slices * groups), THREADS, 0, ...sorted, ...from);
          embeddingParts[precision]([slices], THREADS, 0, ...sorted, parts.address, table, n);
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
