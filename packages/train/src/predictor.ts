import { recordStep, tensor, type Tensor } from '@dag/executor';
import { type PredictorConfig, type PredictorInputs, PredictorModel } from '@dag/model';
import { fileOf, type Checkpoint } from './checkpoint.js';
import { requireParsed, type TrainConfig } from './config/config.js';
import type { PredictorTrainConfig } from './config/predictor.js';
import { READOUTS } from './readouts.js';
import { streamText, type Batch, type StreamConfig } from './data/stream.js';
import { answerAll, summarize, type Summary } from './evaluate.js';
import {
  learnFrom,
  lossTargets,
  lossTokens,
  predictionLosses,
  weigh,
  type LossTokens,
  type LossValues,
  type Targets,
} from './losses.js';
import { requireMemory } from './memory.js';
import { heldOutQuestions } from './questions.js';
import { pretrainedCheckpoint } from './pretrained.js';
import { percent } from './report.js';
import { configOfKind, requireSameModel } from './run.js';
import { runTraining, type Task, type TrainOptions, type TrainResult } from './trainer.js';

/** The model's part of a training configuration. */
export function modelConfig(config: PredictorTrainConfig): PredictorConfig {
  return { ...config.model, tokenizer: config.tokenizer };
}

/** The stream's part of a training configuration. */
export function streamConfig(config: PredictorTrainConfig): StreamConfig {
  const { seed, batchSize, accumulate, tokenizer, model, data } = config;
  const { depth, blockSize, readout } = model;
  // What has no registers reads numbers of any length.
  const digits = READOUTS[readout].holdsDigits ? model.digits : data.maxDigits + data.maxDecimals;
  return { seed, batchSize, accumulate, tokenizer, depth, digits, blockSize, data };
}

/** All that changes from one micro-batch to the next. */
type Inputs = Readonly<PredictorInputs & Targets & Record<'positions' | 'dropoutSeed', Tensor>>;

/** Plan predictors on streamed expressions. */
class PredictorTask implements Task<PredictorModel, Batch, LossTokens, Summary> {
  readonly worker = 'data/worker.js';
  readonly stream: StreamConfig;
  readonly model: PredictorModel;
  readonly embedding: Tensor;
  private readonly config: PredictorTrainConfig;
  private readonly recorded = recordStep((inputs: Inputs): LossValues => {
    const { dropoutSeed, positions: position } = inputs;
    const prediction = this.model.forwardInputs(inputs, { dropoutSeed, position });
    return learnFrom(weigh(predictionLosses(this.model, prediction, inputs), this.config.losses));
  });

  constructor(config: PredictorTrainConfig, model: PredictorModel) {
    this.config = config;
    this.model = model;
    this.embedding = model.parameters.get('wte.weight')!;
    this.stream = streamConfig(config);
  }

  tokens(batch: Batch): LossTokens {
    return lossTokens(batch);
  }

  learn(batch: Batch, tokens: LossTokens, dropoutSeed: number): LossValues {
    const { shape, position } = batch;
    const positions = Int32Array.from({ length: shape[1] }, (_, t) => position + t);
    return this.recorded({
      ...this.model.inputs(batch.tokens, shape),
      ...lossTargets(batch, this.config.losses, tokens),
      positions: tensor(positions, [shape[1]], { dtype: 'i32' }),
      dropoutSeed,
    });
  }

  release(): void {
    this.recorded.release();
  }

  async evaluate() {
    const summary = await evaluateModel(this.model, this.config);
    const { count, value, exact, plan, byOperations } = summary;
    return {
      summary,
      score: value,
      line: `${percent(value)} of ${count} held-out values right, ${percent(plan)} of plans`,
      metrics: { value, exact, plan, byOperations },
    };
  }
}

/**
 * Trains a plan predictor: streams expressions, and writes `metrics.jsonl` and checkpoints to `config.outDir`. The
 * same configuration gives the same bits, also where the run was stopped and resumed.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`, and `bad-input` where
 *   the loss or its gradient is no longer finite.
 */
export async function train(
  config: TrainConfig,
  options: TrainOptions = {},
): Promise<TrainResult<PredictorModel, Summary>> {
  requireParsed(config, 'predictor');
  requireMemory(config);
  // What cannot be streamed is refused before anything is written.
  for (const split of ['train', 'held-out'] as const) streamText(streamConfig(config), split, 0);
  const task = (checkpoint: Checkpoint | null): PredictorTask =>
    new PredictorTask(
      config,
      checkpoint ? loadModel(checkpoint) : new PredictorModel(modelConfig(config), { seed: config.seed }),
    );
  return runTraining(config, task, options);
}

/** Answers on the configuration's held-out expressions. */
export async function evaluateModel(model: PredictorModel, config: PredictorTrainConfig): Promise<Summary> {
  const { examples, seed } = config.evaluation;
  const answers = await answerAll(model, heldOutQuestions(streamConfig(config), examples, seed));
  return summarize(answers);
}

/** The model in a checkpoint. */
export function loadModel(checkpoint: Checkpoint): PredictorModel {
  configOfKind(checkpoint, 'predictor');
  const model = PredictorModel.load(fileOf(checkpoint, 'model.safetensors'));
  requireSameModel(checkpoint, model.config);
  return model;
}

/** The shipped model: expressions of up to eight numbers in symbols, words and questions. See pretrained/README.md. */
export async function loadPretrained(): Promise<PredictorModel> {
  return loadModel(await pretrainedCheckpoint());
}
