import type { Backend } from '../../backend.js';
import { dataOf } from '../host.js';
import type { KernelLibrary } from './kernels.js';
import { precisionOf, precisions } from './precisions.js';

/** Softmax, cross entropy and layer normalisation. */
export function rows(
  library: KernelLibrary,
): Pick<
  Backend,
  'softmax' | 'softmaxBackward' | 'crossEntropy' | 'crossEntropyBackward' | 'layerNorm' | 'layerNormBackward'
> {
  const softmax = precisions(library, 'softmax', 'ppiii');
  const softmaxBackward = precisions(library, 'softmax_backward', 'pppiiii');
  const crossEntropy = precisions(library, 'cross_entropy', 'ppppii');
  const crossEntropyBackward = precisions(library, 'cross_entropy_backward', 'pppppiii');
  const layerNorm = precisions(library, 'layer_norm', 'pppppiid');
  const layerNormBackward = precisions(library, 'layer_norm_backward', 'pppppppiiiii', 'scratchKernel');
  return {
    softmax: (x, y, n, log) => softmax[precisionOf(x)](dataOf(x), dataOf(y), x.length / n, n, Number(log)),
    softmaxBackward: (y, gradY, gradX, n, log) =>
      softmaxBackward[precisionOf(y)](
        dataOf(y),
        dataOf(gradY),
        dataOf(gradX.storage),
        y.length / n,
        n,
        Number(log),
        Number(gradX.accumulate),
      ),
    crossEntropy: (x, targets, losses, logSums, n) =>
      crossEntropy[precisionOf(x)](
        dataOf(x),
        dataOf(targets),
        dataOf(losses),
        dataOf(logSums),
        targets.length,
        n,
      ),
    crossEntropyBackward: (x, targets, logSums, gradLosses, gradX, n) =>
      crossEntropyBackward[precisionOf(x)](
        dataOf(x),
        dataOf(targets),
        dataOf(logSums),
        dataOf(gradLosses),
        dataOf(gradX.storage),
        targets.length,
        n,
        Number(gradX.accumulate),
      ),
    layerNorm: (x, weight, bias, y, stats, n, eps) =>
      layerNorm[precisionOf(x)](
        dataOf(x),
        dataOf(weight),
        bias && dataOf(bias),
        dataOf(y),
        dataOf(stats),
        x.length / n,
        n,
        eps,
      ),
    layerNormBackward: (x, weight, stats, gradY, gradX, gradWeight, gradBias, n) =>
      layerNormBackward[precisionOf(x)](
        dataOf(x),
        dataOf(weight),
        dataOf(stats),
        dataOf(gradY),
        gradX && dataOf(gradX.storage),
        gradWeight && dataOf(gradWeight.storage),
        gradBias && dataOf(gradBias.storage),
        x.length / n,
        n,
        Number(gradX?.accumulate ?? false),
        Number(gradWeight?.accumulate ?? false),
        Number(gradBias?.accumulate ?? false),
      ),
  };
}
