import { randomStream, type Random } from '@dag/expr';
import { PlanLibrary, ProblemVocabulary, UNKNOWN, type EncodedProblem } from '@dag/model/problems';
import { TrainError } from '../error.js';
import type { KnownProblem } from './problem-data.js';
import { isHeldOut, rightPlans, syntheticProblem, type ProblemSetup } from './problem-set.js';

/** What determines the batches of a run. */
export interface ProblemStreamConfig {
  readonly seed: number;
  readonly batchSize: number;
  readonly depth: number;
  /** Problems to train on; empty for synthetic ones alone. */
  readonly problems: readonly KnownProblem[];
  /** Share of synthetic problems in a batch. */
  readonly synthetic: number;
  /** Probability that a word that is counted is hidden. */
  readonly hide: number;
  readonly setup: ProblemSetup;
}

/** Problems of the same number of numbers, encoded, with their plans. */
export interface ProblemBatch {
  readonly numbers: number;
  readonly encoded: readonly EncodedProblem[];
  /** Of each problem the indices of its right plans, at least one. */
  readonly right: readonly (readonly number[])[];
}

/** Synthetic problems that are looked at for one of as many numbers as the batch has. */
const MOST_DRAWS = 2000;

/** Makes batch `index`, a pure function of the configuration and the index. */
export function problemBatches(config: ProblemStreamConfig): (index: number) => ProblemBatch {
  const { setup, depth, batchSize, problems, synthetic, hide } = config;
  const library = new PlanLibrary(setup.templates, setup.constants, depth);
  const vocabulary = new ProblemVocabulary(setup.words);
  const hidden = new Set(setup.hidden);
  const byNumbers = new Map<number, { problem: KnownProblem; right: readonly number[] }[]>();
  for (const problem of problems) {
    const right = rightPlans(problem, library);
    if (right.length === 0 || isHeldOut(problem.text)) continue;
    const n = problem.numbers.length;
    byNumbers.set(n, [...(byNumbers.get(n) ?? []), { problem, right }]);
  }
  const known = [...byNumbers.values()].flat();
  if (known.length === 0 && synthetic < 1)
    throw new TrainError(
      'bad-input',
      'no problem to train on has a plan; see data.problems and data.synthetic',
    );
  return (index) => {
    const random = randomStream(config.seed, index);
    const draw = (n: number | null): { problem: KnownProblem; right: readonly number[] } => {
      const pool = n === null ? known : byNumbers.get(n);
      if (pool && !random.chance(synthetic)) return pool[random.below(pool.length)]!;
      for (let i = 0; i < MOST_DRAWS; i++) {
        const problem = syntheticProblem(config.seed, random.below(2 ** 31));
        if (n !== null && problem.numbers.length !== n) continue;
        const right = isHeldOut(problem.text) ? [] : rightPlans(problem, library);
        if (right.length > 0) return { problem, right };
      }
      if (pool) return pool[random.below(pool.length)]!;
      throw new TrainError('bad-input', `no synthetic problem of ${n} numbers was found`);
    };
    const first = draw(null);
    const numbers = first.problem.numbers.length;
    const drawn = [first, ...Array.from({ length: batchSize - 1 }, () => draw(numbers))];
    return {
      numbers,
      right: drawn.map(({ right }) => right),
      encoded: drawn.map(({ problem }) =>
        vocabulary.encode(problem.words, numbers, {
          order: shuffled(UNKNOWN, random),
          hides: (stem) => hidden.has(stem) && random.chance(hide),
        }),
      ),
    };
  };
}

function shuffled(n: number, random: Random): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
