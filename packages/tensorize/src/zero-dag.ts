import { checkCount, checkOptions } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';

/**
 * Allocates a batch of N = `size` zero DAGs of depth D: V_mag 0, V_sign 1, O 0, G 1. The value of a zero DAG is 0; it stands for
 * a text that is no expression. `tensorizeInto` writes to such a batch.
 *
 * @throws TensorizeError `bad-option` unless both are whole numbers of at least 1, `too-large` where the batch does not fit
 *   into memory
 */
export function zeroDag(options: { depth: number; size: number }): DagTensors {
  checkOptions('{ depth: 4, size: 1 }', options, ['depth', 'size']);
  const { depth, size } = options;
  checkCount('depth', depth);
  checkCount('size', size);
  const width = 2 * depth;
  // The largest array first: where it does not fit into memory, no time was spent on filling the others.
  const O = zeros(size * depth * width);
  return {
    depth,
    size,
    V_mag: zeros(size * width),
    V_sign: zeros(size * width).fill(1),
    O,
    G: zeros(size * depth).fill(1),
  };
}

/** `length` zeros. @throws TensorizeError `too-large` where they do not fit into memory */
export function zeros(length: number): Float64Array {
  try {
    return new Float64Array(length);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TensorizeError('too-large', `there is no memory for an array of ${length} numbers`, {
      cause: error,
    });
  }
}
