import { checkCount, checkOptions } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';

/**
 * `size` zero DAGs of depth D: V_mag 0, V_sign 1, O 0, G 1. Their value is 0; they stand where there is no
 * expression, and are the storage that `tensorizeInto` writes to.
 *
 * @throws TensorizeError `bad-option` unless both are whole numbers of at least 1
 */
export function zeroDag(options: { depth: number; size: number }): DagTensors {
  checkOptions(options, '{ depth: 4, size: 1 }');
  const { depth, size } = options;
  checkCount('depth', depth);
  checkCount('size', size);
  const width = 2 * depth;
  return {
    depth,
    size,
    V_mag: new Float64Array(size * width),
    V_sign: new Float64Array(size * width).fill(1),
    O: new Float64Array(size * depth * width),
    G: new Float64Array(size * depth).fill(1),
  };
}
