import type { Backend } from '../../backend.js';
import { Kernels, PARALLEL, precisionOf, THREADS } from './kernels.js';
import { addressOf, scalar } from './memory.js';

/** The passes of clipping and AdamW. */
export function optimizer(kernels: Kernels): Pick<Backend, 'sumOfSquares' | 'scaleToNorm' | 'adamW'> {
  const sumOfSquares = kernels.precisions('optimizer', 'sumOfSquares', 'pip');
  const addToTotal = kernels.device.kernel('optimizer', 'addToTotal_f64', 'pip');
  const scaleToNorm = kernels.precisions('optimizer', 'scaleToNorm', 'pipd');
  const adamW = kernels.precisions('optimizer', 'adamW', 'ppppiddddddpp');
  return {
    sumOfSquares: (x, total) => {
      const { length } = x;
      if (length === 0) return;
      const blocks = Math.min(Math.ceil(length / (8 * THREADS)), PARALLEL);
      kernels.withScratch('f64', blocks, ({ block: { address } }) => {
        sumOfSquares[precisionOf(x)]([blocks], THREADS, 0, addressOf(x), length, address);
        addToTotal([1], THREADS, 0, address, blocks, addressOf(total));
      });
    },
    scaleToNorm: (x, total, maxNorm) => {
      const { length } = x;
      if (length === 0) return;
      scaleToNorm[precisionOf(x)](
        kernels.gridFor(length),
        THREADS,
        0,
        ...[addressOf(x), length, addressOf(total), maxNorm],
      );
    },
    adamW: ({ lr, beta1, beta2, eps, weightDecay, step }, parameter, gradient, m, v) => {
      const { length } = parameter;
      if (length === 0) return;
      const [[rate, rateAt], [count, countAt]] = [scalar(lr), scalar(step)];
      adamW[precisionOf(parameter)](
        kernels.gridFor(length),
        THREADS,
        0,
        ...[addressOf(parameter), addressOf(gradient), addressOf(m), addressOf(v), length],
        ...[beta1, beta2, weightDecay, rate, count, eps, rateAt, countAt],
      );
    },
  };
}
