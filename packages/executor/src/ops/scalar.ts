import type { Backend, Scalar, Seed } from '../backend.js';
import { ExecutorError } from '../error.js';
import { checkedWord } from '../random.js';
import { show } from '../shape.js';
import { Tensor } from '../tensor.js';

/**
 * Key of a random stream: two whole numbers from 0 to 2³² − 1. A tensor of one f64 in place of the first is a number that a
 * recorded step changes; of what it holds the whole part modulo 2³² counts (0 of NaN, and from 2⁶³ on).
 */
export type SeedOption = readonly [low: number | Tensor, high: number];

/** A number, or the storage of a tensor of one f64 on the same device. */
export function scalarOf(op: string, name: string, x: number | Tensor, backend: Backend): Scalar {
  if (typeof x === 'number') return x;
  if (!(x instanceof Tensor))
    throw new ExecutorError('value', `${op}: ${name} is a number or a tensor of one f64, given ${String(x)}`);
  if (x.dtype !== 'f64' || x.size !== 1)
    throw new ExecutorError(
      'dtype',
      `${op}: ${name} is a number or a tensor of one f64, given ${x.dtype} ${show(x.shape)}`,
    );
  if (x.backend !== backend)
    throw new ExecutorError('device', `${op}: tensors on '${backend.device}', ${name} on '${x.device}'`);
  return x.storage;
}

/** @throws {ExecutorError} `value` unless its words are whole numbers from 0 to 2³² − 1, or the first one is a tensor. */
export function seedFrom(op: string, [low, high]: SeedOption, backend: Backend): Seed {
  const first = low instanceof Tensor ? scalarOf(op, 'the seed', low, backend) : checkedWord(op, low);
  return [first, checkedWord(op, high)];
}
