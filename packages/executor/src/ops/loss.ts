import { ExecutorError } from '../error.js';
import { sameShape, show } from '../shape.js';
import { commonBackend, commonDType, type Tensor } from '../tensor.js';
import { affine } from './elementwise.js';
import { gather } from './indexing.js';
import { logSoftmax } from './normalization.js';
import { sum } from './reduce.js';

/**
 * Mean over the rows of −ln softmax(logits)[target]: logits (…, V), targets (…) of dtype i32. A target of −1 is
 * left out of the mean.
 *
 * @throws {ExecutorError} `value` where every target is −1 or one is outside 0 … V−1.
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  commonBackend('crossEntropy', logits, targets);
  commonDType('crossEntropy', logits);
  if (targets.dtype !== 'i32')
    throw new ExecutorError(
      'dtype',
      `crossEntropy: targets are i32, given ${targets.dtype} ${show(targets.shape)}`,
    );
  if (logits.shape.length === 0 || !sameShape(logits.shape.slice(0, -1), targets.shape))
    throw new ExecutorError(
      'shape',
      `crossEntropy: targets ${show(targets.shape)} are not the shape of logits ${show(logits.shape)} without its last dimension`,
    );
  let counted = 0;
  for (const t of targets.dataSync()) if (t >= 0) counted++;
  if (counted === 0)
    throw new ExecutorError('value', `crossEntropy: no target in ${show(targets.shape)} is counted`);
  return affine(sum(gather(logSoftmax(logits), targets)), -1 / counted);
}
