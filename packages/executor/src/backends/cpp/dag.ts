import type { Backend, Target } from '../../backend.js';
import { dataOf } from '../host.js';
import { accumulatedFields } from '../kinds.js';
import { noScratch, type KernelLibrary } from './kernels.js';
import { precisionOf, precisions } from './precisions.js';

/** Execution of graphs, by kernels/cpu/dag.cpp. */
export function dagKernels(library: KernelLibrary): Pick<Backend, 'dag' | 'dagBackward'> {
  const forward = precisions(library, 'dag', 'pppppiiiid', 'scratchKernel');
  const backward = precisions(library, 'dag_backward', 'ppppppppppiiiiid', 'scratchKernel');
  const fixed = library.fixed?.memory;
  const smallForward = library.fixed?.kernel('dag_f64', 'aaaaaiiiid');
  const smallBackward = library.fixed?.kernel('dag_backward_f64', 'aaaaaaaaaaiiiiid');
  return {
    dag: ({ depth, size, shared, inference, maxLog }, { V_mag, V_sign, O, G }, values) => {
      if (size === 0) return;
      const count = V_mag.length + V_sign.length + O.length + G.length + values.length;
      if (fixed?.holds(count) && V_mag.dtype === 'f64') {
        fixed.begin();
        const lacksMemory = smallForward!(
          fixed.put(V_mag),
          fixed.put(V_sign),
          fixed.put(O),
          fixed.put(G),
          fixed.reserve(values),
          depth,
          size,
          Number(shared),
          Number(inference),
          Math.exp(maxLog),
        );
        if (lacksMemory) throw noScratch('cpu', 'dag');
        fixed.take(values);
        return;
      }
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
      const accumulated = accumulatedFields(gradients);
      const fields = V_mag.length + V_sign.length + O.length + G.length;
      if (fixed?.holds(2 * fields + 2 * size) && V_mag.dtype === 'f64' && accumulated === 0) {
        fixed.begin();
        const lacksMemory = smallBackward!(
          fixed.put(V_mag),
          fixed.put(V_sign),
          fixed.put(O),
          fixed.put(G),
          fixed.put(upstream),
          fixed.reserve(values),
          fixed.reserve(storageOf(gradients.V_mag)),
          fixed.reserve(storageOf(gradients.V_sign)),
          fixed.reserve(storageOf(gradients.O)),
          fixed.reserve(storageOf(gradients.G)),
          accumulated,
          depth,
          size,
          Number(shared),
          Number(inference),
          Math.exp(maxLog),
        );
        if (lacksMemory) throw noScratch('cpu', 'dag_backward');
        fixed.take(values);
        fixed.take(storageOf(gradients.V_mag));
        fixed.take(storageOf(gradients.V_sign));
        fixed.take(storageOf(gradients.O));
        fixed.take(storageOf(gradients.G));
        return;
      }
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
        accumulated,
        depth,
        size,
        Number(shared),
        Number(inference),
        Math.exp(maxLog),
      );
    },
  };
}

const storageOf = (target: Target | null) => target && target.storage;

function written(target: Target | null) {
  return target && dataOf(target.storage);
}
