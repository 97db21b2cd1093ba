import { checkWhole, named } from './arguments.js';
import { ExprError } from './error.js';

/** Random numbers from one stream. */
export interface Random {
  /** A whole number from 0 to `count` − 1, each equally likely. */
  below(count: number): number;
  /** Whether an event of this probability happens. */
  chance(probability: number): boolean;
}

const TWO_32 = 2 ** 32;

/**
 * The stream of random numbers that belongs to (seed, index), both whole numbers from 0 to 2^53 − 1: a pure function
 * of them, so that any worker can make any example.
 *
 * sfc32 of Chris Doty-Humphrey's PractRand (public domain): 128 bits of state, of which seed and index fill all four
 * words, and 15 rounds that mix them, as PractRand does.
 *
 * @throws ExprError `bad-option`
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
