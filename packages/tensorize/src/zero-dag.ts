import { checkCount, checkObject } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';

/**
 * `size` zero DAGs of depth D: V_mag 0, V_sign 1, O 0, G 1. Their value is 0; they stand where there is no
 * expression, and are the storage that `tensorizeInto` writes to.
 *
 * @throws TensorizeError `bad-option` unless both are whole numbers of at least 1, `too-large` where memory has no room for it
 */
export function zeroDag(options: { depth: number; size: number }): DagTensors {
  checkObject('options such as { depth: 4, size: 1 }', options);
  const { depth, size } = options;
  checkCount('depth', depth);
  checkCount('size', size);
  const width = 2 * depth;
  // The largest first: where memory has no room for it, none of the others has been filled.
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

/** @throws TensorizeError `too-large` where memory has no room for that many numbers */
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
