import type { Backend, Scalar, Seed, Storage } from '../backend.js';
import { checkNumber, named, SEED_WORD } from '../arguments.js';
import { ExecutorError } from '../error.js';
import { show } from '../shape.js';
import { checkTensor, Tensor } from '../tensor.js';

/**
 * Key of a random stream: two whole numbers from 0 to 2³² − 1. The first may be a tensor of one f64, for recorded steps; its whole part
 * modulo 2³² counts (0 for NaN and for sizes from 2⁶³).
 */
export type SeedOption = readonly [low: number | Tensor, high: number];

/** A number, or the storage of a tensor of one f64 on `backend`. @throws {ExecutorError} `value`, `dtype` or `device` for anything else. */
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
 * A copy of a seed, so that the backward pass makes the same mask even if the caller's array changes.
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
 * @throws {ExecutorError} `value` where p > 0 and there is no seed: every call would drop the same elements.
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

/** A seed in the form that kernels take. */
export function seedFrom(op: string, [low, high]: SeedOption, backend: Backend): Seed {
  return [scalarOf(op, 'the seed', low, backend), high];
}

/** The tensor in a seed, which the op saves for its backward pass. */
export function seedTensor([low]: SeedOption): Tensor | null {
  return Tensor.is(low) ? low : null;
}

/** `seed` with the memory of its saved tensor. */
export function savedSeed([low, high]: SeedOption, saved: Storage | null): Seed {
  return [saved ?? Number(low), high];
}
