import { z } from 'zod';
import { PROBLEM_LOSSES } from '../problems/problem-losses.js';
import { checkLosses, type LossWeights } from './losses.js';
import { checkHeads, layers } from './model.js';
import { notAllowed, type ConfigProblem, type ReadKeys } from './problems.js';
import { belowOne, completeRun, count, EVALUATION, LOADER, RUN, share } from './run.js';

const PROBLEM_MODEL = {
  members: count.default(1).describe('networks whose log probabilities are averaged'),
  depth: z.int().min(1).max(8).default(3).describe('most steps of a plan'),
  nLayer: layers.min(1).default(3).describe('transformer blocks'),
  nHead: count.default(4).describe('attention heads'),
  nEmbd: count.default(96).describe('width, a multiple of nHead'),
  nInner: count.default(192).describe('width of the MLP of a block'),
  convolution: z.int().min(1).max(64).default(4).describe('tokens that the convolution of a block reads'),
  dropout: belowOne.default(0.15).describe('probability of dropping an activation'),
};

const DATA = {
  problems: z
    .string()
    .default('')
    .describe('folder with train.csv and dev.csv; empty: synthetic problems alone'),
  synthetic: share.default(0.5).describe('share of synthetic problems among those that are trained'),
  hide: share
    .default(0.15)
    .describe('probability that a word, except for the most common ones, is hidden in training'),
  ...LOADER,
};

const problemsSchema = z.strictObject({
  kind: z.literal('problems'),
  ...RUN,
  model: z.strictObject(PROBLEM_MODEL).prefault({}),
  data: z.strictObject(DATA).prefault({}),
  evaluation: z.strictObject(EVALUATION).prefault({}),
});

/** The contents of a configuration file of kind `problems`. */
export type ProblemsTrainInput = z.input<typeof problemsSchema>;

const losses = (): LossWeights => PROBLEM_LOSSES;

function* check(read: ReadKeys, input: unknown): Iterable<ConfigProblem> {
  const { nEmbd, nHead } = PROBLEM_MODEL;
  yield* checkHeads(read('model', { nEmbd, nHead }));
  const data = read('data', { problems: DATA.problems, synthetic: DATA.synthetic });
  if (data?.problems === '' && data.synthetic < 1)
    yield notAllowed(
      'data.synthetic',
      data.synthetic,
      '1, as data.problems names no folder of problems',
      'data.problems',
    );
  yield* checkLosses(input, losses());
}

/** Fills in the keys whose defaults depend on other keys. */
function complete(parsed: z.output<typeof problemsSchema>, weights: LossWeights) {
  return { ...completeRun(parsed), losses: weights };
}

/** A configuration of word problems, every key filled in. */
export type ProblemsTrainConfig = ReturnType<typeof complete>;

export const PROBLEMS = { schema: problemsSchema, losses, check, complete };
