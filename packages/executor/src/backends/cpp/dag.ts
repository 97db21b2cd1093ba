import type { Backend, Target } from '../../backend.js';
import { dataOf } from '../host.js';
import { accumulatedFields } from '../kinds.js';
import { fewGraphs } from './few.js';
import type { KernelLibrary } from './kernels.js';
import { precisionOf, precisions } from './precisions.js';

/** Execution of graphs, by kernels/cpu/dag.cpp. */
export function dagKernels(library: KernelLibrary): Pick<Backend, 'dag' | 'dagBackward' | 'few'> {
  const forward = precisions(library, 'dag', 'pppppiiiid', 'scratchKernel');
  const backward = precisions(library, 'dag_backward', 'ppppppppppiiiiid', 'scratchKernel');
  return {
    dag: ({ depth, size, shared, inference, maxLog }, { V_mag, V_sign, O, G }, values) => {
      if (size === 0) return;
      forward[precisionOf(V_mag)](
        dataOf(V_mag),
        dataOf(V_sign),
        dataOf(O),
        dataOf(G),
        dataOf(values),
        depth,
        size,
        Number(shared),
        Number(inference),
        Math.exp(maxLog),
      );
    },
    dagBackward: (
      { depth, size, shared, inference, maxLog },
      { V_mag, V_sign, O, G },
      upstream,
      values,
      gradients,
    ) => {
      // Nothing is to be written then, but for the gradients of a shared plan: a depth without memory may be any number.
      if (size === 0 && !shared) return;
      backward[precisionOf(V_mag)](
        dataOf(V_mag),
        dataOf(V_sign),
        dataOf(O),
        dataOf(G),
        upstream && dataOf(upstream),
        values && dataOf(values),
        written(gradients.V_mag),
        written(gradients.V_sign),
        written(gradients.O),
        written(gradients.G),
        accumulatedFields(gradients),
        depth,
        size,
        Number(shared),
        Number(inference),
        Math.exp(maxLog),
      );
    },
    few: library.fixed && fewGraphs(library.fixed),
  };
}

function written(target: Target | null) {
  return target && dataOf(target.storage);
}
