import type { Backend, Scalar, Seed, Storage } from '../backend.js';
import { checkNumber, named, SEED_WORD } from '../arguments.js';
import { ExecutorError } from '../error.js';
import { show } from '../shape.js';
import { checkTensor, Tensor } from '../tensor.js';

/**
 * Key of a random stream: two whole numbers from 0 to 2³² − 1. A tensor of one f64 in place of the first is a number that a
 * recorded step changes; of what it holds the whole part modulo 2³² counts (0 of NaN, and from 2⁶³ on).
 */
export type SeedOption = readonly [low: number | Tensor, high: number];

/** A number, or the storage of a tensor of one f64 on the same device. */
export function scalarOf(op: string, name: string, x: number | Tensor, backend: Backend): Scalar {
  if (typeof x === 'number') return x;
  checkTensor(op, x);
  if (x.dtype !== 'f64' || x.size !== 1)
    throw new ExecutorError(
      'dtype',
      `${op}: ${name} is a number or a tensor of one f64, given ${x.dtype} ${show(x.shape)}`,
    );
  if (x.backend !== backend)
    throw new ExecutorError('device', `${op}: tensors on '${backend.device}', ${name} on '${x.device}'`);
  return x.storage;
}

/**
 * A copy of a seed: the backward pass makes the same mask, whatever the caller's array holds by then.
 *
 * @throws {ExecutorError} `value` unless its words are whole numbers from 0 to 2³² − 1, or the first one is a tensor.
 */
export function checkedSeed(op: string, seed: SeedOption): SeedOption {
  const [low, high, ...more] = Array.isArray(seed) ? (seed as readonly unknown[]) : [];
  if (!Array.isArray(seed) || more.length > 0)
    throw new ExecutorError('value', `${op}: a seed is a pair of whole numbers, given ${named(seed)}`);
  if (!Tensor.is(low)) checkNumber(op, 'the first word of the seed', low, SEED_WORD);
  checkNumber(op, 'the second word of the seed', high, SEED_WORD);
  return [low, high];
}

/**
 * The seed of an op that drops elements with probability `p`.
 *
 * @throws {ExecutorError} `value` where it drops some and has no seed: every call would drop the same.
 */
export function seedOfDropout(op: string, p: number, seed: SeedOption | undefined): SeedOption {
  if (seed !== undefined) return checkedSeed(op, seed);
  if (p > 0)
    throw new ExecutorError(
      'value',
      `${op}: dropout needs a seed, another one for each step and place: { dropout: 0.1, seed: [step, place] }`,
    );
  return [0, 0];
}

/** A seed as kernels take it. */
export function seedFrom(op: string, [low, high]: SeedOption, backend: Backend): Seed {
  return [scalarOf(op, 'the seed', low, backend), high];
}

/** The tensor in a seed, which a backward pass that makes the same mask saves. */
export function seedTensor([low]: SeedOption): Tensor | null {
  return Tensor.is(low) ? low : null;
}

/** `seed` with the memory of its saved tensor. */
export function savedSeed([low, high]: SeedOption, saved: Storage | null): Seed {
  return [saved ?? Number(low), high];
}
