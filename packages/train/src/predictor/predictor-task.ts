import { recordStep, tensor, type RecordedStep, type Tensor } from '@dag/executor';
import {
  type OnnxPredictor,
  type PredictorConfig,
  type PredictorInputs,
  PredictorModel,
  readoutOf,
  type Targets,
} from '@dag/model';
import { fileOf, type Checkpoint } from '../checkpoints/checkpoint.js';
import { pretrainedCheckpoint } from '../checkpoints/pretrained.js';
import { configOfKind, requireSameModel } from '../checkpoints/state.js';
import { requireParsed, type TrainConfig } from '../config/config.js';
import { readoutLosses, type LossWeights } from '../config/losses.js';
import type { PredictorTrainConfig } from '../config/predictor.js';
import { reportedSeed } from '../config/run.js';
import { answer, collect, summarize, type Summary } from '../evaluation/evaluate.js';
import { heldOutQuestions } from '../evaluation/questions.js';
import type { Subject } from '../evaluation/subject.js';
import { percent } from '../evaluation/table.js';
import { runTask, type TrainOptions, type TrainResult } from '../run/loop.js';
import { requireMemory } from '../run/memory.js';
import type { Task } from '../run/task.js';
import { workerUrl } from '../workers/worker-url.js';
import {
  learnFrom,
  lossTargets,
  lossTokens,
  predictionLosses,
  readsPlans,
  weigh,
  type LossTokens,
  type LossValues,
} from './losses.js';
import { streamText, trainedTexts, type TextBatch, type StreamConfig } from './stream.js';

/** The configuration of the model in a training configuration. */
export function modelConfig(config: PredictorTrainConfig): PredictorConfig {
  return { ...config.model, tokenizer: config.tokenizer };
}

/** The configuration of the stream in a training configuration. */
export function streamConfig(config: PredictorTrainConfig): StreamConfig {
  const { seed, batchSize, accumulate, tokenizer, model, data } = config;
  const { depth, blockSize, readout } = model;
  // A readout without digit registers has no limit on the length of numbers.
  const digits = readoutOf(readout).holdsDigits ? model.digits : data.maxDigits + data.maxDecimals;
  return { seed, batchSize, accumulate, tokenizer, depth, digits, blockSize, data };
}

/** The inputs of a recorded step: everything that changes from one micro-batch to the next. */
type Inputs = Readonly<PredictorInputs & Targets & Record<'positions' | 'dropoutSeed', Tensor>>;

/** The task of training a plan predictor on streamed expressions. */
export function predictorTask(
  config: PredictorTrainConfig,
): Task<PredictorModel, TextBatch, LossTokens, Summary> {
  let recorded: RecordedStep<keyof Inputs & string, LossValues> | null = null;
  const record = (
    model: PredictorModel,
    weights: LossWeights,
  ): RecordedStep<keyof Inputs & string, LossValues> =>
    recordStep((inputs: Inputs) => {
      const { dropoutSeed, positions: position } = inputs;
      const prediction = model.forwardInputs(inputs, { dropoutSeed, position });
      return learnFrom(weigh(predictionLosses(model, prediction, inputs), weights));
    });
  return {
    kind: 'predictor',
    losses: readoutLosses(config.model.readout),
    stream: {
      worker: workerUrl('predictor/worker.js'),
      data: { stream: streamConfig(config), plans: readsPlans(config.model.readout, config.losses) },
    },
    model: (checkpoint) =>
      checkpoint ? loadModel(checkpoint) : new PredictorModel(modelConfig(config), { seed: config.seed }),
    counts: lossTokens,
    learn(model, batch, { counts, weights, dropoutSeed }) {
      const { shape, position } = batch;
      const positions = Int32Array.from({ length: shape[1] }, (_, t) => position + t);
      recorded ??= record(model, weights);
      return recorded({
        ...model.inputs(batch.tokens, shape),
        ...lossTargets(batch, config.model.readout, weights, counts),
        positions: tensor(positions, [shape[1]], { dtype: 'i32' }),
        dropoutSeed,
      });
    },
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
    release() {
      recorded?.release();
      recorded = null;
    },
  };
}

/**
 * Trains a plan predictor on streamed expressions; writes `metrics.jsonl` and checkpoints to `config.outDir`. The same
 * configuration gives the same bits, also if the run was stopped and resumed.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`, `memory`, `mpi`, and
 *   `bad-input` if the loss or its gradient is no longer finite.
 */
export async function train(
  config: TrainConfig,
  options: TrainOptions = {},
): Promise<TrainResult<PredictorModel, Summary>> {
  requireParsed(config, 'predictor');
  requireMemory(config);
  // Throws, before anything is written, if no expression fits into the model.
  for (const split of ['train', 'held-out'] as const) streamText(streamConfig(config), split, 0);
  return runTask(predictorTask(config), config, options);
}

/** Measures a model on held-out expressions; by default on those of a seed that selected no checkpoint. */
export async function evaluateModel(
  model: PredictorModel,
  config: PredictorTrainConfig,
  seed = reportedSeed(config.evaluation),
): Promise<Summary> {
  const { questions, answers } = predictorSubject(model, config);
  return summarize(await collect(answers(questions(config.evaluation.examples, seed))));
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
    // The values of a prefix of words are not known.
    prefixes: model instanceof PredictorModel && config.tokenizer !== 'words' ? model : null,
    trained: (index) => trainedTexts(stream, index),
    doubt: ({ text, value, plan }) =>
      plan === null ? 'the text is empty or too long for this model' : model.doubt(text, value),
  };
}

/** Loads the plan predictor in a checkpoint. @throws {TrainError} `bad-checkpoint` */
export function loadModel(checkpoint: Checkpoint): PredictorModel {
  configOfKind(checkpoint, 'predictor');
  const model = PredictorModel.load(fileOf(checkpoint, 'model.safetensors'));
  requireSameModel(checkpoint, model.config);
  return model;
}

/** Loads the shipped model, which reads up to eight numbers in symbols, words and questions. See weights/reading/README.md of @dag/model. */
export async function loadPretrained(): Promise<PredictorModel> {
  return loadModel(await pretrainedCheckpoint());
}
