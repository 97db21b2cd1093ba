import { isGpt2Name } from '@dag/model';
import { z } from 'zod';
import { EXPRESSIONS } from './expressions.js';
import { checkLosses, readoutLosses, type LossWeights } from './losses.js';
import { checkModel, type complete, MODEL, readoutName } from './model.js';
import { notAllowed, type ConfigProblem, type ReadKeys } from './problems.js';
import { EVALUATION, LOADER, RUN, share } from './run.js';

const DATA = {
  ...EXPRESSIONS,
  largest: share.default(0).describe('share of training texts with the most numbers, many of full length'),
  foreign: share.default(0).describe('share of training texts that are to be refused (tokenizer words)'),
  shiftEvery: z
    .int()
    .min(0)
    .default(0)
    .describe('texts start at a random position, whose maximum grows by 1 every this many steps; 0: at 0'),
  ...LOADER,
};

const predictorSchema = z.strictObject({
  kind: z.literal('predictor').default('predictor'),
  ...RUN,
  tokenizer: z
    .enum(['gpt2', 'char', 'words'])
    .default('char')
    .describe('gpt2, char, or words: texts as people ask, by GPT-2 tokens of words'),
  model: z.strictObject(MODEL).prefault({}),
  data: z.strictObject(DATA).prefault({}),
  evaluation: z.strictObject(EVALUATION).prefault({}),
});

/** The contents of a configuration file of kind `predictor`, the default. */
export type PredictorTrainInput = z.input<typeof predictorSchema>;

const losses = (read: ReadKeys): LossWeights => readoutLosses(readoutName(read));

function* check(read: ReadKeys, input: unknown): Iterable<ConfigProblem> {
  const from = read('', { weights: RUN.weights, init_from: RUN.init_from });
  for (const key of ['weights', 'init_from'] as const)
    if (isGpt2Name(from?.[key] ?? ''))
      yield notAllowed(key, from?.[key], "only where kind is 'language'", 'kind');
  yield* checkModel(read, MODEL.depth);
  yield* checkLosses(input, losses(read));
}

/** A plan predictor's configuration, every key filled in. */
export type PredictorTrainConfig = ReturnType<typeof complete<z.output<typeof predictorSchema>>>;

export const PREDICTOR = { schema: predictorSchema, losses, check };
