import { z } from 'zod';
import { EXPRESSIONS } from './expressions.js';
import { checkLosses, readoutLosses, type LossWeights } from './losses.js';
import { checkModel, type complete, layers, MODEL, readoutName } from './model.js';
import { notAllowed, type ConfigProblem, type ReadKeys } from './problems.js';
import { count, EVALUATION, LOADER, RUN, share } from './run.js';

/** Default weights of the losses of language models, besides those on plans. */
export const LANGUAGE_LOSSES = { next: 1, gate: 1, start: 1, form: 1 };

const LANGUAGE_MODEL = {
  ...MODEL,
  depth: z.int().min(0).default(3).describe('most numbers, and operations, in an expression; 0: a plain GPT'),
  branchLayers: layers.default(0).describe('transformer blocks that read only the expressions, for plans'),
  textLayers: layers.default(0).describe('further blocks that read the text, for gate, start and form'),
  vocabulary: z
    .enum(['all', 'text'])
    .default('all')
    .describe('tokens with embeddings of their own: all, or those of the text'),
};

const DATA = {
  text: z.string().default('').describe('folder of prepared text (dag prepare); empty: no text'),
  arithmetic: share.default(0.5).describe('share of rows with worked arithmetic, 12.5 * 4 = 50'),
  running: share
    .default(0)
    .describe('share of these lines that are written as in sentences: 20 pens + 1,160 pens = 1,180 pens'),
  ...EXPRESSIONS,
  ...LOADER,
};

const freezeBackbone = z.boolean().default(false).describe('train only the calculating branch, not the GPT');

const languageSchema = z.strictObject({
  kind: z.literal('language'),
  ...RUN,
  tokenizer: z.enum(['gpt2', 'char']).default('char').describe('gpt2 or char'),
  freezeBackbone,
  model: z.strictObject(LANGUAGE_MODEL).prefault({}),
  data: z.strictObject(DATA).prefault({}),
  evaluation: z
    .strictObject({ ...EVALUATION, batches: count.default(20).describe('held-out batches of text') })
    .prefault({}),
});

/** The contents of a configuration file of kind `language`. */
export type LanguageTrainInput = z.input<typeof languageSchema>;

const losses = (read: ReadKeys): LossWeights => ({
  ...LANGUAGE_LOSSES,
  ...readoutLosses(readoutName(read)),
  // Language models also train through the executor.
  execution: 0.1,
});

function* check(read: ReadKeys, input: unknown): Iterable<ConfigProblem> {
  const { depth, branchLayers, textLayers } = LANGUAGE_MODEL;
  const isPlain = read('model', { depth })?.depth === 0;
  const branch = { branchLayers: 0, textLayers: 0, ...read('model', { branchLayers, textLayers }) };
  for (const [key, blocks] of Object.entries(branch))
    if (isPlain && blocks > 0)
      yield notAllowed(`model.${key}`, blocks, '0, as model.depth 0 has no such branch', 'model.depth');
  if (isPlain && read('', { freezeBackbone })?.freezeBackbone)
    yield notAllowed(
      'freezeBackbone',
      true,
      'false, as a model of depth 0 has no calculating branch',
      'model.depth',
    );
  const data = read('data', { text: DATA.text, arithmetic: DATA.arithmetic });
  if (data?.text === '' && data.arithmetic < 1)
    yield notAllowed(
      'data.arithmetic',
      data.arithmetic,
      '1, as data.text names no folder that `dag prepare` made',
      'data.text',
    );
  yield* checkModel(read, depth);
  yield* checkLosses(input, losses(read));
}

/** A language model's configuration, every key filled in. */
export type LanguageTrainConfig = ReturnType<typeof complete<z.output<typeof languageSchema>>>;

export const LANGUAGE = { schema: languageSchema, losses, check };
