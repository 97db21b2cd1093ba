import { refuseMore } from '../arguments.js';
import { ExecutorError } from '../error.js';
import { sameShape, show } from '../shape.js';
import { record } from '../tape.js';
import { commonBackend, commonDType, empty, gradOf, type Tensor } from '../tensor.js';
import { checkAlways } from '../watch.js';
import { affine, cast, clamp, div } from './elementwise.js';
import { checkIndex } from './indexing.js';
import { sum } from './reduce.js';

/**
 * Cross entropy, the mean of −ln softmax(logits)[target]: logits (…, V), targets (…) of dtype i32 → one element. Rows with a target of
 * −1 are left out of the mean.
 *
 * @throws {ExecutorError} `value` where every target is −1 (NaN for targets that a kernel on `cuda` made) or one is outside −1 … V−1;
 *   `shape`, `dtype` or `device`.
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor;
export function crossEntropy(logits: Tensor, targets: Tensor, ...more: unknown[]): Tensor {
  refuseMore('crossEntropy', more);
  const backend = commonBackend('crossEntropy', [logits, targets]);
  const dtype = commonDType('crossEntropy', [logits]);
  if (targets.dtype !== 'i32')
    throw new ExecutorError(
      'dtype',
      `crossEntropy: targets are i32, given ${targets.dtype} ${show(targets.shape)}`,
    );
  const n = logits.shape[logits.shape.length - 1];
  if (n === undefined || !sameShape(logits.shape.slice(0, -1), targets.shape))
    throw new ExecutorError(
      'shape',
      `crossEntropy: targets ${show(targets.shape)} are not the shape of logits ${show(logits.shape)} without its last dimension`,
    );
  checkIndex('crossEntropy', targets, -1, n);
  checkCounted(targets);
  const losses = empty(targets.shape, dtype, backend);
  const logSums = empty(targets.shape, dtype, backend);
  backend.crossEntropy(logits.storage, targets.storage, losses.storage, logSums.storage, n);
  record('crossEntropy', losses, [logits], { logits, targets, logSums }, (gradLosses, saved) =>
    backend.crossEntropyBackward(saved.logits, saved.targets, saved.logSums, gradLosses, gradOf(logits), n),
  );
  // Counted on the device: reading the targets would wait for it.
  const counted = sum(clamp(affine(cast(targets, dtype), 1, 1), 0, 1));
  return div(sum(losses), counted);
}

function checkCounted(targets: Tensor): void {
  checkAlways(targets, (range) => {
    if (targets.size === 0 || (range && range[1] < 0))
      throw new ExecutorError('value', `crossEntropy: no target in ${show(targets.shape)} is counted`);
  });
}
