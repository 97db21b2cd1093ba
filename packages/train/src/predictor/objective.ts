import { tensor, type Tensor } from '@dag/executor';
import {
  type OnnxPredictor,
  type PredictorConfig,
  type PredictorInputs,
  PredictorModel,
  readoutOf,
  type Targets,
} from '@dag/model';
import { CONFIG, PREDICTOR, requireArguments } from '../arguments.js';
import { readoutLosses } from '../config/losses.js';
import type { PredictorTrainConfig } from '../config/predictor.js';
import { reportedSeed } from '../config/run.js';
import { answer, collect, summarize, type Summary } from '../evaluation/evaluate.js';
import { heldOutQuestions } from '../evaluation/questions.js';
import type { Subject } from '../evaluation/subject.js';
import { percent } from '../evaluation/table.js';
import { recordedLearning } from '../run/recorded-learning.js';
import type { Objective } from '../run/task.js';
import { lossTargets, lossTokens, predictionLosses, readsPlans, weigh, type LossTokens } from './losses.js';
import { streamText, trainedTexts, type TextBatch, type StreamConfig } from './stream.js';

/** The configuration of the model in a training configuration. */
export function modelConfig(config: PredictorTrainConfig): PredictorConfig {
  requireArguments('modelConfig', { config: [config, CONFIG] });
  return { ...config.model, tokenizer: config.tokenizer };
}

/** The configuration of the stream in a training configuration. */
export function streamConfig(config: PredictorTrainConfig): StreamConfig {
  requireArguments('streamConfig', { config: [config, CONFIG] });
  const { seed, batchSize, accumulate, tokenizer, model, data } = config;
  const { depth, blockSize, readout } = model;
  // A readout without digit registers has no limit on the length of numbers.
  const digits = readoutOf(readout).holdsDigits ? model.digits : data.maxDigits + data.maxDecimals;
  return { seed, batchSize, accumulate, tokenizer, depth, digits, blockSize, data };
}

/** What the batches of a training configuration are made from: the stream, and whether its losses read plans. */
export function batchesConfig(config: PredictorTrainConfig): { stream: StreamConfig; plans: boolean } {
  return { stream: streamConfig(config), plans: readsPlans(config.model.readout, config.losses) };
}

/** @throws {TrainError} `bad-config` if no expression fits into the model. */
export function requireTexts(config: PredictorTrainConfig): void {
  for (const split of ['train', 'held-out'] as const) streamText(streamConfig(config), split, 0);
}

/** A model with random weights. */
export const newModel = (config: PredictorTrainConfig): PredictorModel =>
  new PredictorModel(modelConfig(config), { seed: config.seed });

/** The inputs of a recorded step: everything that changes from one micro-batch to the next. */
type Inputs = PredictorInputs & Targets & { readonly positions: Tensor };

/** What a plan predictor learns from streamed expressions. */
export function predictorObjective(
  config: PredictorTrainConfig,
): Objective<PredictorModel, TextBatch, LossTokens, Summary> {
  return {
    kind: 'predictor',
    losses: readoutLosses(config.model.readout),
    counts: lossTokens,
    ...recordedLearning<PredictorModel, TextBatch, LossTokens, Inputs>(
      true,
      (model, batch, { counts, weights }) => {
        const { shape, position } = batch;
        const positions = Int32Array.from({ length: shape[1] }, (_, t) => position + t);
        return {
          ...model.inputs(batch.tokens, shape),
          ...lossTargets(batch, config.model.readout, weights, counts),
          positions: tensor(positions, [shape[1]], { dtype: 'i32' }),
        };
      },
      (model, inputs, weights, dropoutSeed) => {
        const prediction = model.forwardInputs(inputs, { dropoutSeed, position: inputs.positions });
        return weigh(predictionLosses(model, prediction, inputs), weights);
      },
    ),
    async evaluate(model, seed) {
      const summary = await evaluateModel(model, config, seed);
      const { count, value, exact, plan, byOperations } = summary;
      return {
        summary,
        score: value,
        line: `${percent(value)} of ${count} held-out values right, ${percent(plan)} of plans`,
        metrics: { value, exact, plan, byOperations },
      };
    },
    sparse: { embedding: ({ parameters }) => parameters.get('wte.weight')!, reads: ({ tokens }) => tokens },
  };
}

/** Measures a model on held-out expressions; by default on those of a seed that selected no checkpoint. */
export async function evaluateModel(
  model: PredictorModel,
  config: PredictorTrainConfig,
  seed?: number,
): Promise<Summary> {
  requireArguments('evaluateModel', { model: [model, PREDICTOR], config: [config, CONFIG] });
  const { questions, answers } = predictorSubject(model, config);
  return summarize(
    await collect(answers(questions(config.evaluation.examples, seed ?? reportedSeed(config.evaluation)))),
  );
}

/** A plan predictor, on any runtime, as what is evaluated. */
export function predictorSubject(
  model: PredictorModel | OnnxPredictor,
  config: PredictorTrainConfig,
): Subject {
  const stream = streamConfig(config);
  return {
    stream,
    parameters: model instanceof PredictorModel ? model.parameters : null,
    questions: (count, seed) => heldOutQuestions(stream, count, seed),
    answers: (questions) => answer(model, questions),
    prefixes: model instanceof PredictorModel ? model : null,
    trained: (index) => trainedTexts(stream, index),
    doubt: ({ text, value, plan }) =>
      plan === null ? 'the text is empty or too long for this model' : model.doubt(text, value),
  };
}
