import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { noGrad, scope } from '@dag/executor';
import { DagGpt, isGpt2Name, loadGpt2, readoutOf, type DagGptConfig } from '@dag/model';
import { CONFIG, LANGUAGE_MODEL, requireArguments } from '../arguments.js';
import { fileOf, type Checkpoint } from '../checkpoints/checkpoint.js';
import { checkpointOfWeights } from '../checkpoints/pretrained.js';
import { checkpointConfig, configOfKind, requireSameModel } from '../checkpoints/state.js';
import { requireParsed, type TrainConfig } from '../config/config.js';
import type { LanguageTrainConfig } from '../config/language.js';
import { reportedSeed } from '../config/run.js';
import { TrainError } from '../error.js';
import { collect, summarize, type Summary } from '../evaluation/evaluate.js';
import type { Subject } from '../evaluation/subject.js';
import { percent } from '../evaluation/table.js';
import { nextTurn } from '../next-turn.js';
import { readsPlans } from '../predictor/losses.js';
import { runTask, type TrainOptions, type TrainResult } from '../run/loop.js';
import { requireMemory } from '../run/memory.js';
import { downloadBar } from '../run/progress.js';
import { recordedLearning } from '../run/recorded-learning.js';
import { chooseDevice } from '../run/steps.js';
import type { Task } from '../run/task.js';
import { workerUrl } from '../workers/worker-url.js';
import { answerPrompts } from './answer-prompts.js';
import {
  languageInputs,
  languageLosses,
  languageTokens,
  type LanguageInputs,
  type LanguageTokens,
} from './language-losses.js';
import {
  languageBatch,
  trainedLines,
  type LanguageBatch,
  type LanguageStreamConfig,
} from './language-stream.js';
import { calculationScores, type CalculationScores } from './calculation-scores.js';
import { annotatedTexts } from './calculations-file.js';
import { knownTokens } from './known-tokens.js';
import { verifyTokens } from './text-folder.js';
import { workedPrompts } from './worked-line.js';

/** The configuration of the model in a training configuration. */
export function languageModelConfig(config: LanguageTrainConfig): DagGptConfig {
  requireArguments('languageModelConfig', { config: [config, CONFIG] });
  const { model, tokenizer } = config;
  const known = model.vocabulary === 'text' ? { known: knownTokens(languageStreamConfig(config)) } : {};
  return { ...model, tokenizer, ...known };
}

/** The configuration of the stream in a training configuration. */
export function languageStreamConfig(config: LanguageTrainConfig): LanguageStreamConfig {
  requireArguments('languageStreamConfig', { config: [config, CONFIG] });
  const { seed, batchSize, tokenizer, model, data } = config;
  const { depth, blockSize, readout } = model;
  const isPlain = depth === 0;
  const holdsDigits = !isPlain && readoutOf(readout).holdsDigits;
  return {
    seed,
    batchSize,
    tokenizer,
    blockSize,
    data,
    plain: isPlain,
    depth: isPlain ? data.numbers : depth,
    // A readout without digit registers has no limit on the length of numbers.
    digits: holdsDigits ? model.digits : data.maxDigits + data.maxDecimals,
  };
}

/** The evaluation of a language model: its answers to worked prompts, its loss on text, and what it computes in that. */
export interface LanguageSummary extends Summary {
  /** Mean −ln p of the next token of held-out text, results of calculations left out; null without text. */
  readonly textLoss: number | null;
  /** In held-out texts with marked results; null without them. */
  readonly calculations: CalculationScores | null;
}

/**
 * The task of training a language model on text and worked arithmetic.
 * @param initial A model to begin with, such as one with GPT-2's weights; null for a new one or that of a checkpoint.
 */
export function languageTask(
  config: LanguageTrainConfig,
  initial: DagGpt | null = null,
): Task<DagGpt, LanguageBatch, LanguageTokens, LanguageSummary> {
  requireArguments('languageTask', { config: [config, CONFIG] });
  // Here the execution loss is on the written values only, so it does not need the plans of all prefixes.
  const plans = readsPlans(config.model.readout, { ...config.losses, execution: 0 });
  // A step is recorded for each shape, which pays where kernels wait for JavaScript.
  const fewShapes = config.device === 'cuda';
  return {
    kind: 'language',
    losses: config.losses,
    stream: {
      worker: workerUrl('language/worker.js'),
      data: { stream: { ...languageStreamConfig(config), fewShapes }, plans },
    },
    readsWeights: initial !== null,
    model(checkpoint) {
      const model = checkpoint
        ? loadLanguageModel(checkpoint)
        : (initial ?? new DagGpt(languageModelConfig(config), { seed: config.seed }));
      if (config.freezeBackbone) model.freezeBackbone();
      return model;
    },
    counts: languageTokens,
    ...recordedLearning<DagGpt, LanguageBatch, LanguageTokens, LanguageInputs>(
      fewShapes,
      (model, batch, { counts, weights }) => languageInputs(model, batch, weights, counts),
      languageLosses,
    ),
    async evaluate(model, seed) {
      const summary = await evaluateLanguageModel(model, config, seed);
      const { textLoss, count, exact, plan, byOperations, calculations } = summary;
      const inText = calculations
        ? { computed: calculations.computed.share, exactInText: calculations.exact.share }
        : {};
      const lines = [
        ...(calculations
          ? [
              `${percent(calculations.computed.share)} of ${calculations.computed.of} results in texts computed, ` +
                `${percent(calculations.exact.share)} of these as they are`,
            ]
          : []),
        ...(textLoss === null ? [] : [`loss on held-out text ${textLoss.toFixed(4)}`]),
        ...(count === 0 ? [] : [`${percent(exact)} of ${count} held-out values written exactly`]),
      ];
      return {
        summary,
        score:
          (count === 0 ? 0 : exact - 1) -
          (textLoss ?? 0) +
          (calculations
            ? (calculations.exact.count - calculations.overwritten.count) / calculations.computed.of
            : 0),
        line: lines.join(', '),
        metrics: {
          ...(textLoss === null ? {} : { textLoss }),
          ...inText,
          ...(count === 0 ? {} : { exact, plan, byOperations }),
        },
      };
    },
  };
}

/**
 * Trains a language model that calculates: `train` for configurations of kind 'language'. The best checkpoint has the least
 * sum of loss on text and share of wrong values.
 *
 * @throws {TrainError} as `train`; `io` and `bad-input` if the text cannot be read.
 */
export async function trainLanguageModel(
  config: TrainConfig,
  options: TrainOptions = {},
): Promise<TrainResult<DagGpt, LanguageSummary>> {
  requireParsed(config, 'language');
  requireMemory(config);
  const { text } = config.data;
  if (text !== '') verifyTokens(text, config.tokenizer);
  // Throws, before anything is written, if the stream cannot make batches; a few rows suffice to find out.
  const rows = { ...languageStreamConfig(config), batchSize: Math.min(config.batchSize, 16) };
  for (const split of ['train', 'held-out'] as const) languageBatch(rows, split, 0);
  // The initial model is made on the device.
  chooseDevice(config);
  const initial =
    config.resume || config.weights === 'scratch'
      ? null
      : isGpt2(config.weights)
        ? await modelOfGpt2(config, options.signal)
        : await modelOfBackbone(config);
  return runTask(languageTask(config, initial), config, options);
}

/** Whether `source` is a published GPT-2 name, or a folder in the layout of its repository. */
const isGpt2 = (source: string): boolean => isGpt2Name(source) || existsSync(join(source, 'config.json'));

/** A new model of the configuration with GPT-2's weights in its backbone. */
async function modelOfGpt2(config: LanguageTrainConfig, signal: AbortSignal | undefined): Promise<DagGpt> {
  const bar = downloadBar();
  const gpt2 = await loadGpt2(config.weights, {
    onProgress: bar.update,
    ...(signal ? { signal } : {}),
  }).finally(bar.stop);
  const { nLayer, nHead, nEmbd, bias, activation = 'gelu' } = gpt2.config;
  // The configuration itself must have GPT-2's sizes: a resumed run reads its weights by the configuration alone.
  const wanted = { nLayer, nHead, nEmbd, bias, activation };
  for (const [key, value] of Object.entries(wanted) as [keyof typeof wanted, unknown][])
    if (config.model[key] !== value)
      throw new TrainError(
        'bad-config',
        `model.${key} is ${String(config.model[key])}; allowed: ${String(value)}, as weights is ${config.weights}`,
      );
  if (config.tokenizer !== 'gpt2')
    throw new TrainError(
      'bad-config',
      `tokenizer is ${config.tokenizer}; allowed: gpt2, as weights is ${config.weights}`,
    );
  const model = new DagGpt(languageModelConfig(config), { seed: config.seed });
  await gpt2.copyTo(model.parameters);
  return model;
}

/** The keys of `model` that a backbone has. */
const OF_BACKBONE = ['blockSize', 'nLayer', 'nHead', 'nEmbd', 'convolution', 'bias', 'activation'] as const;

/**
 * A new model with the backbone of the language model that `weights` names, and with all weights of its branch that the new branch has, too, if that is
 * another one, such as none; null where the models are the same, or have other backbones.
 */
async function modelOfBackbone(config: LanguageTrainConfig): Promise<DagGpt | null> {
  const checkpoint = await checkpointOfWeights(config.weights, () => undefined);
  const before = checkpointConfig(checkpoint);
  if (before.kind !== 'language' || before.tokenizer !== config.tokenizer) return null;
  const [old, now] = [before.model, config.model];
  const isSame = JSON.stringify(old) === JSON.stringify(now);
  if (isSame || old.vocabulary !== now.vocabulary || OF_BACKBONE.some((key) => old[key] !== now[key]))
    return null;
  const { config: trained, parameters } = loadLanguageModel(checkpoint);
  const known = trained.known ? { known: trained.known } : {};
  const model = new DagGpt({ ...languageModelConfig(config), ...known }, { seed: config.seed });
  for (const [name, to] of model.parameters) {
    const from = parameters.get(name);
    if (from?.shape.join() === to.shape.join()) to.set(from.dataSync());
  }
  return model;
}

/** Loads the language model in a checkpoint. @throws {TrainError} `bad-checkpoint` */
export function loadLanguageModel(checkpoint: Checkpoint): DagGpt {
  configOfKind(checkpoint, 'language');
  const model = DagGpt.load(fileOf(checkpoint, 'model.safetensors'));
  requireSameModel(checkpoint, model.config);
  return model;
}

/** Measures a model on held-out text and expressions; by default on those of a seed that selected no checkpoint. */
export async function evaluateLanguageModel(
  model: DagGpt,
  config: LanguageTrainConfig,
  seed?: number,
): Promise<LanguageSummary> {
  requireArguments('evaluateLanguageModel', { model: [model, LANGUAGE_MODEL], config: [config, CONFIG] });
  const { questions, answers } = languageSubject(model, config);
  const answered = await collect(
    answers(questions(config.evaluation.examples, seed ?? reportedSeed(config.evaluation))),
  );
  return {
    ...summarize(answered),
    textLoss: await heldOutTextLoss(model, config, seed),
    calculations: await heldOutCalculations(model, config),
  };
}

/** What a model computes in the first texts with marked results that are held out; null where there are none. */
async function heldOutCalculations(
  model: DagGpt,
  config: LanguageTrainConfig,
): Promise<CalculationScores | null> {
  const { data, tokenizer, evaluation, model: sizes } = config;
  const texts = sizes.depth === 0 ? [] : annotatedTexts(data.text, tokenizer, evaluation.examples);
  return texts.length === 0 ? null : calculationScores(model, texts);
}

/** Mean −ln p of the next token of held-out text, results of calculations left out; null if the configuration has no text. */
export async function heldOutTextLoss(
  model: DagGpt,
  config: LanguageTrainConfig,
  seed = reportedSeed(config.evaluation),
): Promise<number | null> {
  const { batches } = config.evaluation;
  const { data, ...rest } = languageStreamConfig(config);
  if (data.text === '') return null;
  // A plain GPT is measured on the same tokens as one that calculates.
  const stream = { ...rest, seed, plain: false, data: { ...data, arithmetic: 0 } };
  let sum = 0;
  for (let i = 0; i < batches; i++) {
    const { tokens, targets, shape } = languageBatch(stream, 'held-out', i);
    sum += scope(() => noGrad(() => model.textLoss(model.forward(tokens, shape).hidden, targets).item()));
    // Lets Node handle signals between batches.
    await nextTurn();
  }
  return sum / batches;
}

/** A language model as what is evaluated. */
export function languageSubject(model: DagGpt, config: LanguageTrainConfig): Subject {
  const stream = languageStreamConfig(config);
  return {
    stream,
    parameters: model.parameters,
    // A model of text alone is asked nothing.
    questions: (count, seed) => (stream.data.arithmetic > 0 ? workedPrompts(stream, count, seed) : []),
    answers: (questions) => answerPrompts(model, questions),
    prefixes:
      config.model.depth === 0
        ? null
        : { hardPlan: (tokens, shape) => model.hardPlan(tokens, model.forward(tokens, shape).hidden) },
    trained: (index) => trainedLines(stream, index),
    textLoss: (seed) => heldOutTextLoss(model, config, seed),
    calculations: (texts) => (texts ? calculationScores(model, texts) : heldOutCalculations(model, config)),
  };
}
