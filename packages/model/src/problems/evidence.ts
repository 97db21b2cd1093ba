import { randomStream } from '@dag/expr';
import type { PlanLibrary } from './plan-library.js';

/**
 * Number evidence: what the numbers of a problem say of its plan, a prior on executed values. Answers are rarely negative or 0, and rarely broken
 * where all numbers are whole; a plan that seldom gives such a value for whatever numbers has more of a reason where it does.
 */
export interface NumberEvidence {
  /** The log probabilities of plans are divided by this. */
  readonly temperature: number;
  /** Weight of −log of the share of other numbers for which the plan has a valid value. */
  readonly rarity: number;
}
export const NO_FIT: NumberEvidence = { temperature: 1, rarity: 0.5 };

/** Taken off the log probability of a plan whose value is not above 0, or broken from whole numbers, or not finite. */
const NOT_POSITIVE = 6;
const BROKEN = 8;
const NOT_FINITE = 50;
/** Numbers drawn for the share of valid values: whole, from 2 to 120, evenly in their logarithm. */
const DRAWS = 200;
const [FEWEST, MOST] = [2, 120];

/** The share of drawn numbers for which each plan over n numbers has a whole value above 0, never 0. */
export function validShares(library: PlanLibrary, n: number): Float64Array {
  const valid = new Float64Array(library.plans(n).size);
  const random = randomStream(0, n);
  for (let draw = 0; draw < DRAWS; draw++) {
    const numbers = Array.from({ length: n }, () =>
      Math.round(FEWEST * (MOST / FEWEST) ** (random.below(2 ** 30) / 2 ** 30)),
    );
    library.values(numbers).forEach((value, k) => {
      if (value > 0 && isWhole(value)) valid[k]!++;
    });
  }
  return valid.map((count) => (count + 1) / (DRAWS + 2));
}

const isWhole = (value: number): boolean =>
  Number.isFinite(value) && Math.abs(value - Math.round(value)) < 1e-6;

/** A value with the probability of all plans that have it, and the most probable one of these. */
export interface ProbableValue {
  readonly value: number;
  readonly probability: number;
  readonly plan: number;
}

/**
 * The values of K plans with number evidence, the most probable first: the probabilities of plans of the same value are summed.
 *
 * @param logProbabilities (K) of the plans.
 * @param values (K) of the plans.
 * @param shares (K) see `validShares`.
 */
export function weighed(
  logProbabilities: ArrayLike<number>,
  { values, shares, numbers }: { values: Float64Array; shares: Float64Array; numbers: readonly number[] },
  { temperature, rarity }: NumberEvidence,
): ProbableValue[] {
  const areWhole = numbers.every(Number.isInteger);
  const scores = values.map((value, k) => {
    let score = logProbabilities[k]! / temperature;
    if (!Number.isFinite(value)) return score - NOT_FINITE;
    if (value <= 1e-9) score -= NOT_POSITIVE;
    if (areWhole) score -= rarity * Math.log(shares[k]!) + (isWhole(value) ? 0 : BROKEN);
    return score;
  });
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const byValue = new Map<number, { probability: number; plan: number }>();
  weights.forEach((weight, k) => {
    const key = Math.round(values[k]! * 1e6) / 1e6;
    const known = byValue.get(key);
    if (!known) byValue.set(key, { probability: weight / total, plan: k });
    else {
      known.probability += weight / total;
      if (weight > weights[known.plan]!) known.plan = k;
    }
  });
  return [...byValue.values()]
    .map(({ probability, plan }) => ({ value: values[plan]!, probability, plan }))
    .sort((a, b) => b.probability - a.probability);
}
