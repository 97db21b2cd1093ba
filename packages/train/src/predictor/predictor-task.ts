import { PredictorModel } from '@dag/model';
import { CONFIG, requireArguments } from '../arguments.js';
import { fileOf, type Checkpoint } from '../checkpoints/checkpoint.js';
import { configOfKind, requireSameModel } from '../checkpoints/state.js';
import { requireParsed, type TrainConfig } from '../config/config.js';
import type { PredictorTrainConfig } from '../config/predictor.js';
import type { Summary } from '../evaluation/evaluate.js';
import { runTask, type TrainOptions, type TrainResult } from '../run/loop.js';
import { requireMemory } from '../run/memory.js';
import type { Task } from '../run/task.js';
import { workerUrl } from '../workers/worker-url.js';
import { withCalibration } from './calibrate.js';
import type { LossTokens } from './losses.js';
import { batchesConfig, newModel, predictorObjective, requireTexts } from './objective.js';
import type { TextBatch } from './stream.js';

/** The task of training a plan predictor on streamed expressions. */
export function predictorTask(
  config: PredictorTrainConfig,
): Task<PredictorModel, TextBatch, LossTokens, Summary> {
  requireArguments('predictorTask', { config: [config, CONFIG] });
  return {
    ...predictorObjective(config),
    stream: { worker: workerUrl('predictor/worker.js'), data: batchesConfig(config) },
    // A calibration holds for the weights for which it was fitted, not for those that training makes of them.
    model: (checkpoint) =>
      checkpoint ? withCalibration(loadModel(checkpoint), undefined, { allTokens: true }) : newModel(config),
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
  requireTexts(config);
  return runTask(predictorTask(config), config, options);
}

/** Loads the plan predictor in a checkpoint. @throws {TrainError} `bad-checkpoint` */
export function loadModel(checkpoint: Checkpoint): PredictorModel {
  configOfKind(checkpoint, 'predictor');
  const model = PredictorModel.load(fileOf(checkpoint, 'model.safetensors'));
  requireSameModel(checkpoint, model.config);
  return model;
}
