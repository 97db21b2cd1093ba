/**
 * Working copies of weights. A product on `cuda` that reads bf16 reads an f32 weight from a copy in bf16 beside it, which is made at first
 * use, written by `adamW` together with the weight, and made again where the weight was changed in any other way.
 */
import type { Storage } from './backend.js';
import { allocateFitting, type Buffer } from './memory.js';
import { empty, overwrite, type Tensor } from './tensor.js';
import { watching } from './watch.js';

/** `weight`, whose values are in `values`, in bf16: its working copy, or a copy for now where it has none. */
export function inBf16(weight: Tensor, values: Storage): Storage {
  const { buffer, backend, shape } = weight;
  if (hasWorkingCopy(weight)) {
    watching?.copies.add(buffer);
    // Not while kernels are recorded: every replay would do it again.
    if (!watching?.recorder) refreshCopy(buffer);
    if (buffer.hasFreshCopy) return buffer.copy!.storage!;
  }
  const rounded = empty(shape, 'bf16', backend);
  backend.cast(values, overwrite(rounded));
  return rounded.storage;
}

/**
 * Whether a copy of `weight` is kept: of parameters. In a recorded step only of one from outside as it was before, which the step refreshes
 * before each replay; the kernels of a replay must not depend on whether a copy was fresh.
 */
function hasWorkingCopy(weight: Tensor): boolean {
  if (!weight.requiresGrad || weight.node) return false;
  return !watching || (watching.isOutside(weight) && !watching.changes.has(weight.buffer));
}

/** Makes the working copy of a buffer where there is none of its present values. */
export function refreshCopy(buffer: Buffer): void {
  const { backend, storage } = buffer;
  if (!storage || buffer.hasFreshCopy) return;
  buffer.copy ??= allocateFitting(backend, 'bf16', storage.length);
  backend.refreshCopy!(storage, buffer.copy.storage!);
  buffer.noteCopied();
}
