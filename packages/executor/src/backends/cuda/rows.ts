import type { Backend } from '../../backend.js';
import { floatOf, Kernels, PARALLEL, precisionOf, THREADS, WARP } from './kernels.js';
import { addressOf } from './memory.js';
import type { rowSums } from './sums.js';

/** A block computes each longer row, a warp each other one. */
const LONGEST_OF_WARP = 1024;
/** Numbers of a row that a thread of layerNorm holds, and rows that a block of warps has at once. */
const HELD = 8;
const WARPS = THREADS / WARP;

/** Softmax, cross entropy and layer normalisation. */
export function rows(
  kernels: Kernels,
  { addSlices, addRows }: ReturnType<typeof rowSums>,
): Pick<
  Backend,
  'softmax' | 'softmaxBackward' | 'crossEntropy' | 'crossEntropyBackward' | 'layerNorm' | 'layerNormBackward'
> {
  const softmax = kernels.precisions('rows', 'softmax', 'ppiiii');
  const softmaxBackward = kernels.precisions('rows', 'softmaxBackward', 'pppiiiii');
  const crossEntropy = kernels.precisions('rows', 'crossEntropy', 'ppppiii');
  const crossEntropyBackward = kernels.precisions('rows', 'crossEntropyBackward', 'pppppiiii');
  const layerNorm = kernels.storages('rows', 'layerNorm', 'pppppiidi');
  const layerNormLong = kernels.storages('rows', 'layerNormLong', 'pppppiid');
  const layerNormBackward = kernels.storages('rows', 'layerNormBackward', 'ppppppiiii');
  const layerNormLongBackward = kernels.storages('rows', 'layerNormLongBackward', 'pppppiii');
  const grid = (count: number, n: number) =>
    n > LONGEST_OF_WARP ? ([kernels.blocks(count)] as const) : kernels.gridForWarps(count);
  const wide = (n: number): number => Number(n > LONGEST_OF_WARP);
  return {
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
      const args = [
        ...[addressOf(x), addressOf(weight), addressOf(bias), addressOf(y), addressOf(stats)],
        ...[count, n, eps],
      ];
      const precision = floatOf(y);
      if (n > HELD * THREADS) layerNormLong[precision]([kernels.blocks(count)], THREADS, 0, ...args);
      else {
        const isWide = n > HELD * WARP;
        const on = isWide ? ([kernels.blocks(count)] as const) : kernels.gridForWarps(count);
        layerNorm[precision](on, THREADS, 0, ...args, Number(isWide));
      }
    },
    layerNormBackward: (x, weight, stats, gradY, gradX, gradWeight, gradBias, n) => {
      const count = x.length / n;
      const precision = floatOf(gradY);
      const from = [addressOf(x), addressOf(weight), addressOf(stats), addressOf(gradY)];
      const to = [addressOf(gradX?.storage ?? null)];
      const accumulate = Number(gradX?.accumulate ?? false);
      if (n > HELD * THREADS) {
        if (gradX && count > 0)
          layerNormLongBackward[precision](
            [kernels.blocks(count)],
            THREADS,
            0,
            ...[...from, ...to, count, n, accumulate],
          );
        if (gradWeight) addRows(gradY, { x, stats }, count, n, gradWeight);
        if (gradBias) addRows(gradY, null, count, n, gradBias);
        return;
      }
      const isWide = n > HELD * WARP;
      const blocks = Math.max(1, Math.min(Math.ceil(count / (isWide ? 1 : WARPS)), PARALLEL));
      const launch = (partial: number): void =>
        layerNormBackward[precision](
          [blocks],
          THREADS,
          0,
          ...[...from, ...to, partial, count, n, accumulate, Number(isWide)],
        );
      if (!gradWeight && !gradBias) return launch(0);
      kernels.withScratch('f64', 2 * blocks * n, ({ block: { address } }) => {
        launch(address);
        if (gradWeight) addSlices(precisionOf(x), address, blocks, n, gradWeight);
        if (gradBias) addSlices(precisionOf(x), address + 8 * blocks * n, blocks, n, gradBias);
      });
    },
  };
}
