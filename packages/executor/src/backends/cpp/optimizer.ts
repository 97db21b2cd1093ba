import type { Backend } from '../../backend.js';
import { dataOf, numberOf } from '../host.js';
import { factorsToNorm, normOf } from '../reference/optimizer.js';
import type { KernelLibrary } from './kernels.js';
import { precisionOf, precisions } from './precisions.js';

/** Gradient clipping and AdamW. */
export function optimizer(library: KernelLibrary): Pick<Backend, 'norm' | 'scaleToNorm' | 'adamW'> {
  const sumOfSquares = precisions(library, 'sum_of_squares', 'pip', 'scratchKernel');
  const scale = precisions(library, 'scale', 'pidd');
  const adamW = precisions(library, 'adam_w', 'ppppip');
  /** Coefficients of AdamW in f64, in the order of kernels/cpu/optimizer.cpp. */
  const coefficients = new Float64Array(10);
  return {
    norm: (xs, total, norm) => {
      for (const x of xs) sumOfSquares[precisionOf(x)](dataOf(x), x.length, dataOf(total));
      dataOf(norm)[0] = normOf(dataOf(total));
    },
    scaleToNorm: (xs, total, maxNorm) => {
      const factors = factorsToNorm(dataOf(total), maxNorm);
      if (factors) for (const x of xs) scale[precisionOf(x)](dataOf(x), x.length, ...factors);
    },
    adamW: (spec, parameters) => {
      const { beta1, beta2, eps, weightDecay, clip } = spec;
      const [lr, step] = [numberOf(spec.lr), numberOf(spec.step)];
      coefficients[0] = beta1;
      coefficients[1] = 1 - beta1;
      coefficients[2] = beta2;
      coefficients[3] = 1 - beta2;
      coefficients[4] = 1 - lr * weightDecay;
      coefficients[5] = lr / (1 - beta1 ** step);
      coefficients[6] = 1 / Math.sqrt(1 - beta2 ** step);
      coefficients[7] = eps;
      coefficients.set((clip && factorsToNorm(dataOf(clip.total), clip.maxNorm)) ?? [1, 1], 8);
      for (const { parameter, gradient, m, v } of parameters)
        adamW[precisionOf(parameter)](
          dataOf(parameter),
          dataOf(gradient),
          dataOf(m),
          dataOf(v),
          parameter.length,
          coefficients,
        );
    },
  };
}
