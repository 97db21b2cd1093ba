import type { Backend } from '../../backend.js';
import { Kernels, PARALLEL, precisionOf, THREADS } from './kernels.js';
import { addressOf } from './memory.js';

/** Longer rows are a block's, others a warp's. */
const LONGEST_OF_WARP = 1024;
/** Columns of a block of sumRows, and the fewest rows of a slice. */
const COLUMNS = 32;
const ROWS_OF_SLICE = 64;

/** Softmax and what is made of it, and layer normalisation. */
export function rows(
  kernels: Kernels,
): Pick<
  Backend,
  'softmax' | 'softmaxBackward' | 'crossEntropy' | 'crossEntropyBackward' | 'layerNorm' | 'layerNormBackward'
> & { addRows: ReturnType<typeof rowSums> } {
  const softmax = kernels.precisions('rows', 'softmax', 'ppiiii');
  const softmaxBackward = kernels.precisions('rows', 'softmaxBackward', 'pppiiiii');
  const crossEntropy = kernels.precisions('rows', 'crossEntropy', 'ppppiii');
  const crossEntropyBackward = kernels.precisions('rows', 'crossEntropyBackward', 'pppppiiii');
  const layerNorm = kernels.precisions('rows', 'layerNorm', 'pppppiidi');
  const layerNormBackward = kernels.precisions('rows', 'layerNormBackward', 'pppppiiii');
  const addRows = rowSums(kernels);
  const grid = (count: number, n: number) =>
    n > LONGEST_OF_WARP ? ([kernels.blocks(count)] as const) : kernels.gridForWarps(count);
  const wide = (n: number): number => Number(n > LONGEST_OF_WARP);
  return {
    addRows,
    softmax: (x, y, n, log) => {
      const count = x.length / n;
      if (x.length === 0) return;
      softmax[precisionOf(x)](
        grid(count, n),
        THREADS,
        0,
        ...[addressOf(x), addressOf(y), count, n, Number(log), wide(n)],
      );
    },
    softmaxBackward: (y, gradY, gradX, n, log) => {
      const count = y.length / n;
      if (y.length === 0) return;
      softmaxBackward[precisionOf(y)](
        grid(count, n),
        THREADS,
        0,
        ...[addressOf(y), addressOf(gradY), addressOf(gradX.storage), count, n],
        ...[Number(log), Number(gradX.accumulate), wide(n)],
      );
    },
    crossEntropy: (x, targets, losses, logSums, n) => {
      if (targets.length === 0) return;
      crossEntropy[precisionOf(x)](
        grid(targets.length, n),
        THREADS,
        0,
        ...[
          addressOf(x),
          addressOf(targets),
          addressOf(losses),
          addressOf(logSums),
          targets.length,
          n,
          wide(n),
        ],
      );
    },
    crossEntropyBackward: (x, targets, logSums, gradLosses, gradX, n) => {
      if (targets.length === 0) return;
      crossEntropyBackward[precisionOf(x)](
        grid(targets.length, n),
        THREADS,
        0,
        ...[addressOf(x), addressOf(targets), addressOf(logSums), addressOf(gradLosses)],
        ...[addressOf(gradX.storage), targets.length, n, Number(gradX.accumulate), wide(n)],
      );
    },
    layerNorm: (x, weight, bias, y, stats, n, eps) => {
      const count = x.length / n;
      if (x.length === 0) return;
      layerNorm[precisionOf(x)](
        grid(count, n),
        THREADS,
        0,
        ...[
          addressOf(x),
          addressOf(weight),
          addressOf(bias),
          addressOf(y),
          addressOf(stats),
          count,
          n,
          eps,
          wide(n),
        ],
      );
    },
    layerNormBackward: (x, weight, stats, gradY, gradX, gradWeight, gradBias, n) => {
      const count = x.length / n;
      if (gradX && count > 0)
        layerNormBackward[precisionOf(x)](
          grid(count, n),
          THREADS,
          0,
          ...[addressOf(x), addressOf(weight), addressOf(stats), addressOf(gradY), addressOf(gradX.storage)],
          ...[count, n, Number(gradX.accumulate), wide(n)],
        );
      if (gradWeight) addRows(gradY, { x, stats }, count, n, gradWeight);
      if (gradBias) addRows(gradY, null, count, n, gradBias);
    },
  };
}

/** y (n) (+)= Σ over the rows of g, or of g times the normalised x. */
function rowSums(kernels: Kernels) {
  const sumRows = kernels.precisions('rows', 'sumRows', 'ppppii');
  const addSlices = kernels.precisions('rows', 'addSlices', 'pipii');
  return (
    g: Parameters<Backend['cast']>[0],
    normal: { x: Parameters<Backend['cast']>[0]; stats: Parameters<Backend['cast']>[0] } | null,
    count: number,
    n: number,
    { storage, accumulate }: Parameters<Backend['cast']>[1],
  ): void => {
    if (n === 0) return;
    const columns = Math.ceil(n / COLUMNS);
    const wanted = Math.min(PARALLEL / columns, count / ROWS_OF_SLICE);
    const slices = Math.max(1, Math.ceil(wanted));
    const precision = precisionOf(g);
    kernels.withScratch('f64', slices * n, ({ block: { address } }) => {
      const [x, stats] = [addressOf(normal?.x ?? null), addressOf(normal?.stats ?? null)];
      sumRows[precision]([columns, slices], THREADS, 0, addressOf(g), x, stats, address, count, n);
      const to = [address, slices, addressOf(storage), n, Number(accumulate)];
      addSlices[precision](kernels.gridFor(n), THREADS, 0, ...to);
    });
  };
}
