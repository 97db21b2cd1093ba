import { randomStream, type Random } from '@dag/expr';
import { keyOf, PlanLibrary, ProblemVocabulary, UNKNOWN, type EncodedProblem } from '@dag/model/problems';
import { TrainError } from '../error.js';
import { distracted, firstFacts } from './distract.js';
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
  /** Probability that one of the words that may be hidden is. */
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

/** A problem with its right plans. */
interface Drawn {
  readonly problem: KnownProblem;
  readonly right: readonly number[];
}

/** Batches that are made together: problems of as many numbers are sorted by length among them. */
const ROUND = 16;
/** Share of the given problems that are trained with a fact of another one. */
const DISTRACTED = 0.3;
const UNKNOWN_THINGS = Array.from({ length: UNKNOWN }, (_, i) => i);
/** Synthetic problems that are looked at for one of as many numbers as the batch has. */
const MOST_DRAWS = 2000;

/** Makes batch `index`, a pure function of the configuration and the index. */
export function problemBatches(config: ProblemStreamConfig): (index: number) => ProblemBatch {
  const { setup, depth, batchSize, problems, synthetic, hide } = config;
  const library = new PlanLibrary(setup.templates, setup.constants, depth);
  const vocabulary = new ProblemVocabulary(setup.words);
  const hidden = new Set(setup.hidden);
  const found = new Map<string, readonly number[]>();
  /** The right plans, which are the same for equal terms over as many numbers of which the same ones are equal. */
  const plansOf = (problem: KnownProblem): readonly number[] => {
    const { numbers, term } = problem;
    const key = `${numbers.map((value) => numbers.indexOf(value)).join()} ${keyOf(term)}`;
    const known = found.get(key) ?? rightPlans(problem, library);
    found.set(key, known);
    return known;
  };
  const byNumbers = new Map<number, Drawn[]>();
  for (const problem of problems) {
    const right = plansOf(problem);
    if (right.length === 0 || isHeldOut(problem.text)) continue;
    const n = problem.numbers.length;
    byNumbers.set(n, [...(byNumbers.get(n) ?? []), { problem, right }]);
  }
  const known = [...byNumbers.values()].flat();
  const facts = firstFacts(known.map(({ problem }) => problem));
  if (known.length === 0 && synthetic < 1)
    throw new TrainError(
      'bad-input',
      'no problem to train on has a plan; see data.problems and data.synthetic',
    );
  /** The batches of a round, which are of similar length each: little padding. */
  const makeRound = (round: number): ProblemBatch[] => {
    const random = randomStream(config.seed, round);
    /** Synthetic problems that were drawn for batches of other numbers of numbers. */
    const synthesized = new Map<number, Drawn[]>();
    /** One of the given problems, of n numbers if n is not null; null where none has as many. */
    const drawGiven = (n: number | null): Drawn | null => {
      const own = n === null ? known : (byNumbers.get(n) ?? []);
      const fewer = n === null ? known : (byNumbers.get(n - 1) ?? []);
      const [plain, more] = [(1 - DISTRACTED) * own.length, DISTRACTED * fewer.length];
      if (own.length === 0) return null;
      if (random.chance(more / (plain + more))) {
        const problem = distracted(random, fewer[random.below(fewer.length)]!.problem, facts);
        const right = problem && byNumbers.has(problem.numbers.length) ? plansOf(problem) : [];
        if (problem && right.length > 0) return { problem, right };
      }
      return own[random.below(own.length)]!;
    };
    const draw = (n: number | null): Drawn => {
      const given = random.chance(synthetic) ? null : drawGiven(n);
      if (given) return given;
      const waiting = n === null ? undefined : synthesized.get(n)?.pop();
      if (waiting) return waiting;
      for (let i = 0; i < MOST_DRAWS; i++) {
        const problem = syntheticProblem(config.seed, random.below(2 ** 31));
        const right = isHeldOut(problem.text) ? [] : plansOf(problem);
        if (right.length === 0) continue;
        const { length } = problem.numbers;
        if (n === null || length === n) return { problem, right };
        synthesized.set(length, [...(synthesized.get(length) ?? []), { problem, right }]);
      }
      const other = drawGiven(n);
      if (other) return other;
      throw new TrainError('bad-input', `no synthetic problem of ${n} numbers was found`);
    };
    const firsts = new Map<number, Drawn[]>();
    for (let i = 0; i < ROUND; i++) {
      const first = draw(null);
      const n = first.problem.numbers.length;
      firsts.set(n, [...(firsts.get(n) ?? []), first]);
    }
    const batches = [...firsts].flatMap(([numbers, drawn]) => {
      const count = drawn.length;
      while (drawn.length < count * batchSize) drawn.push(draw(numbers));
      const sorted = drawn.sort((a, b) => a.problem.words.length - b.problem.words.length);
      return Array.from({ length: count }, (_, i) => ({
        numbers,
        problems: sorted.slice(i * batchSize, (i + 1) * batchSize),
      }));
    });
    return shuffled(batches, random).map(({ numbers, problems }) => ({
      numbers,
      right: problems.map(({ right }) => right),
      encoded: problems.map(({ problem }) =>
        vocabulary.encode(problem.words, numbers, {
          order: shuffled(UNKNOWN_THINGS, random),
          hides: (stem) => hidden.has(stem) && random.chance(hide),
        }),
      ),
    }));
  };
  let made: { readonly round: number; readonly batches: readonly ProblemBatch[] } | null = null;
  return (index) => {
    const round = Math.floor(index / ROUND);
    if (made?.round !== round) made = { round, batches: makeRound(round) };
    return made.batches[index % ROUND]!;
  };
}

function shuffled<T>(from: readonly T[], random: Random): T[] {
  const list = [...from];
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}
