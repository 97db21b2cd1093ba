import { checkWhole, named } from './arguments.js';
import { ExprError } from './error.js';

/** A stream of random numbers. Each call draws the next one. */
export interface Random {
  /**
   * A uniform whole number from 0 to `count` − 1.
   *
   * @throws ExprError `bad-option` for a count below 1.
   */
  below(count: number): number;
  /** true with this probability, from 0 to 1. */
  chance(probability: number): boolean;
}

const TWO_32 = 2 ** 32;

/**
 * The random stream of (seed, index), both whole numbers from 0 to 2^53 − 1. It is a pure function of both, so that any
 * worker can make any example.
 *
 * sfc32 of Chris Doty-Humphrey's PractRand (public domain). Seed and index fill the four words of its state, which 15 rounds
 * mix, as in PractRand.
 *
 * @throws ExprError `bad-option` where seed or index is out of range.
 */
export function randomStream(seed: number, index: number): Random {
  checkWhole('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('index', index, 0, Number.MAX_SAFE_INTEGER);
  let a = seed | 0;
  let b = (seed / TWO_32) | 0;
  let c = index | 0;
  let counter = (index / TWO_32 + 1) | 0;

  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 15; round++) next();

  return {
    below(count) {
      // Not checkWhole: this is called for every digit of every example.
      if (typeof count !== 'number' || !(count >= 1))
        throw new ExprError('bad-option', `A count is at least 1, not ${named(count)}.`);
      return Math.floor((next() / TWO_32) * count);
    },
    chance: (probability) => next() / TWO_32 < probability,
  };
}
