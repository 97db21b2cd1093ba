import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { noGrad, scope } from '@dag/executor';
import { DagGpt, isGpt2Name, loadGpt2, type DagGptConfig } from '@dag/model';
import { fileOf, type Checkpoint } from '../checkpoint.js';
import { requireParsed, type TrainConfig } from '../config/config.js';
import type { LanguageTrainConfig } from '../config/language.js';
import { READOUTS } from '../readouts.js';
import { summarize, type Answer, type Summary } from '../evaluate.js';
import { TrainError } from '../error.js';
import { learnFrom } from '../losses.js';
import { requireMemory } from '../memory.js';
import { downloadBar } from '../progress.js';
import { percent } from '../report.js';
import { configOfKind, requireSameModel } from '../run.js';
import { runTraining, type Task, type TrainOptions, type TrainResult } from '../trainer.js';
import { answerPrompts } from './answer-prompts.js';
import { languageLosses, languageTokens, type LanguageTokens } from './language-losses.js';
import { languageBatch, type LanguageBatch, type LanguageStreamConfig } from './language-stream.js';
import { verifyTokens } from './text-folder.js';
import { workedPrompts } from './worked-line.js';

/** The model's part of a training configuration. */
export function languageModelConfig(config: LanguageTrainConfig): DagGptConfig {
  return { ...config.model, tokenizer: config.tokenizer };
}

/** The stream's part of a training configuration. */
export function languageStreamConfig(config: LanguageTrainConfig): LanguageStreamConfig {
  const { seed, batchSize, tokenizer, model, data } = config;
  const { depth, blockSize, readout } = model;
  const isPlain = depth === 0;
  const hasRegisters = !isPlain && READOUTS[readout].holdsDigits;
  return {
    seed,
    batchSize,
    tokenizer,
    blockSize,
    data,
    plain: isPlain,
    depth: isPlain ? data.numbers : depth,
    // What has no registers reads numbers of any length.
    digits: hasRegisters ? model.digits : data.maxDigits + data.maxDecimals,
  };
}

/** What a language model is like: answers to worked prompts, and its loss on text. */
export interface LanguageSummary extends Summary {
  /** Mean −ln p of the next token of held-out text; null where there is none. */
  readonly textLoss: number | null;
}

/** Language models on text and worked arithmetic. */
class LanguageTask implements Task<DagGpt, LanguageBatch, LanguageTokens, LanguageSummary> {
  readonly worker = 'language/worker.js';
  readonly stream: LanguageStreamConfig;
  readonly model: DagGpt;
  /** Its head, which is the same tensor, gives every row a gradient. */
  readonly embedding = null;
  private readonly config: LanguageTrainConfig;

  constructor(config: LanguageTrainConfig, model: DagGpt) {
    this.config = config;
    this.model = model;
    this.stream = languageStreamConfig(config);
    if (config.freezeBackbone) model.freezeBackbone();
  }

  tokens(batch: LanguageBatch): LanguageTokens {
    return languageTokens(batch);
  }

  learn(batch: LanguageBatch, tokens: LanguageTokens, dropoutSeed: number) {
    return learnFrom(languageLosses(this.model, batch, this.config.losses, tokens, dropoutSeed));
  }

  async evaluate() {
    const parts = evaluation(this.model, this.config);
    let part = parts.next();
    // Signals come in between.
    for (; !part.done; part = parts.next()) await setImmediate();
    const summary = part.value;
    const { textLoss, count, exact, plan, byOperations } = summary;
    const lines = [
      ...(textLoss === null ? [] : [`loss on held-out text ${textLoss.toFixed(4)}`]),
      ...(count === 0 ? [] : [`${percent(exact)} of ${count} held-out values written exactly`]),
    ];
    return {
      summary,
      score: (count === 0 ? 0 : exact - 1) - (textLoss ?? 0),
      line: lines.join(', '),
      metrics: {
        ...(textLoss === null ? {} : { textLoss }),
        ...(count === 0 ? {} : { exact, plan, byOperations }),
      },
    };
  }
}

/**
 * Trains a language model that calculates: `train` for configurations of kind 'language'. The best checkpoint is the one
 * with the least sum of its loss on text and its share of wrong values.
 *
 * @throws {TrainError} as `train`; `io` and `bad-input` where the text cannot be read.
 */
export async function trainLanguageModel(
  config: TrainConfig,
  options: TrainOptions = {},
): Promise<TrainResult<DagGpt, LanguageSummary>> {
  requireParsed(config, 'language');
  requireMemory(config);
  const { text } = config.data;
  if (text !== '') verifyTokens(text, config.tokenizer);
  // What cannot be streamed is refused before anything is written; a few rows show it.
  const rows = { ...languageStreamConfig(config), batchSize: Math.min(config.batchSize, 16) };
  for (const split of ['train', 'held-out'] as const) languageBatch(rows, split, 0);
  const fromGpt2 = isGpt2(config.init_from);
  const first = fromGpt2 ? await modelOfGpt2(config, options.signal) : null;
  const task = (checkpoint: Checkpoint | null): LanguageTask =>
    new LanguageTask(
      config,
      checkpoint
        ? loadLanguageModel(checkpoint)
        : (first ?? new DagGpt(languageModelConfig(config), { seed: config.seed })),
    );
  return runTraining(config, task, { ...options, isNew: fromGpt2 || config.init_from === 'scratch' });
}

/** One of the published names, or a folder in the layout of their repositories. */
const isGpt2 = (source: string): boolean => isGpt2Name(source) || existsSync(join(source, 'config.json'));

/** A model of the configuration with GPT-2's weights; those of the calculating branch are as from scratch. */
async function modelOfGpt2(config: LanguageTrainConfig, signal: AbortSignal | undefined): Promise<DagGpt> {
  const bar = downloadBar();
  const gpt2 = await loadGpt2(config.init_from, {
    onProgress: bar.update,
    ...(signal ? { signal } : {}),
  }).finally(bar.stop);
  const { nLayer, nHead, nEmbd, bias, activation = 'gelu' } = gpt2.config;
  // What the run is resumed with must say so too: the weights cannot be read without.
  const wanted = { nLayer, nHead, nEmbd, bias, activation };
  for (const [key, value] of Object.entries(wanted) as [keyof typeof wanted, unknown][])
    if (config.model[key] !== value)
      throw new TrainError(
        'bad-config',
        `model.${key} is ${String(config.model[key])}; allowed: ${String(value)}, as init_from is ${config.init_from}`,
      );
  if (config.tokenizer !== 'gpt2')
    throw new TrainError(
      'bad-config',
      `tokenizer is ${config.tokenizer}; allowed: gpt2, as init_from is ${config.init_from}`,
    );
  const model = new DagGpt(languageModelConfig(config), { seed: config.seed });
  await gpt2.copyTo(model.parameters);
  return model;
}

/** The language model in a checkpoint. */
export function loadLanguageModel(checkpoint: Checkpoint): DagGpt {
  configOfKind(checkpoint, 'language');
  const model = DagGpt.load(fileOf(checkpoint, 'model.safetensors'));
  requireSameModel(checkpoint, model.config);
  return model;
}

/** What a model makes of the configuration's held-out text and expressions. */
export function evaluateLanguageModel(model: DagGpt, config: LanguageTrainConfig): LanguageSummary {
  return ended(evaluation(model, config));
}

/** Mean −ln p of the next token of held-out text; null where the configuration names none. */
export function heldOutTextLoss(model: DagGpt, config: LanguageTrainConfig): number | null {
  return ended(textLoss(model, config));
}

/** `evaluateLanguageModel` prompt by prompt and batch by batch. */
function* evaluation(model: DagGpt, config: LanguageTrainConfig): Generator<void, LanguageSummary> {
  const stream = languageStreamConfig(config);
  const { examples, seed } = config.evaluation;
  const prompts = stream.data.arithmetic > 0 ? workedPrompts(stream, examples, seed) : [];
  const answers: Answer[] = [];
  for (const answer of answerPrompts(model, prompts)) {
    answers.push(answer);
    yield;
  }
  return { ...summarize(answers), textLoss: yield* textLoss(model, config) };
}

function* textLoss(model: DagGpt, config: LanguageTrainConfig): Generator<void, number | null> {
  const { seed, batches } = config.evaluation;
  const { data, ...rest } = languageStreamConfig(config);
  if (data.text === '') return null;
  const stream = { ...rest, seed, data: { ...data, arithmetic: 0 } };
  let sum = 0;
  for (let i = 0; i < batches; i++) {
    const { tokens, targets, shape } = languageBatch(stream, 'held-out', i);
    sum += scope(() => noGrad(() => model.textLoss(model.forward(tokens, shape).hidden, targets).item()));
    yield;
  }
  return sum / batches;
}

function ended<T>(parts: Generator<void, T>): T {
  let part = parts.next();
  while (!part.done) part = parts.next();
  return part.value;
}
