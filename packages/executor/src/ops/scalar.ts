import type { Backend, Scalar, Seed, Storage } from '../backend.js';
import { ExecutorError } from '../error.js';
import { show } from '../shape.js';
import { Tensor } from '../tensor.js';

/** Key of a random stream. A tensor of one f64 in place of its first word is a number that a recorded step changes. */
export type SeedOption = readonly [low: number | Tensor, high: number];

/** A number, or the storage of a tensor of one f64 on the same device. */
export function scalarOf(op: string, name: string, x: number | Tensor, backend: Backend): Scalar {
  if (typeof x === 'number') return x;
  if (x.dtype !== 'f64' || x.size !== 1)
    throw new ExecutorError(
      'dtype',
      `${op}: ${name} is a number or a tensor of one f64, given ${x.dtype} ${show(x.shape)}`,
    );
  if (x.backend !== backend)
    throw new ExecutorError('device', `${op}: tensors on '${backend.device}', ${name} on '${x.device}'`);
  return x.storage;
}

export function seedFrom(op: string, [low, high]: SeedOption, backend: Backend): Seed {
  return [scalarOf(op, 'the seed', low, backend), high];
}

/** The tensor in a seed, which a backward pass that makes the same mask saves. */
export function seedTensor([low]: SeedOption): Tensor | null {
  return low instanceof Tensor ? low : null;
}

/** `seed` with the memory of its saved tensor. */
export function savedSeed([low, high]: SeedOption, saved: Storage | null): Seed {
  return [saved ?? Number(low), high];
}
