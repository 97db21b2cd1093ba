import { exportOnnx, OnnxPredictor, type OnnxOptions, type PredictorModel } from '@dag/model';
import { Option } from 'commander';
import { stat } from 'node:fs/promises';
import { newestRun, resolveCheckpoint, type Checkpoint } from '../checkpoints/checkpoint.js';
import { isShipped, pretrainedCheckpoint, SHIPPED, type ShippedName } from '../checkpoints/pretrained.js';
import { KIND_NAMES } from '../checkpoints/state.js';
import type { Kind } from '../config/config.js';
import { TrainError } from '../error.js';
import { loadModel } from '../predictor/predictor-task.js';
import { warn } from './streams.js';

/** Says which model a command uses; a shipped one unless it is given. */
export const checkpointOption = (shipped: ShippedName): Option =>
  new Option(
    '--checkpoint <dir>',
    `a shipped model (${SHIPPED.join(', ')}), a checkpoint or the folder of a run, or latest: the newest run in ./runs`,
  ).default(shipped);

/** Which model a command uses, and the runtime for it. */
export interface ModelOptions {
  readonly checkpoint: string;
  readonly runtime: 'native' | 'onnx';
}

export const runtimeOption = (): Option =>
  new Option('--runtime <runtime>', 'what runs the model; onnx needs onnxruntime-node')
    .choices(['native', 'onnx'])
    .default('native');

/** The checkpoint of a shipped model, at a path, or of the newest run. */
export async function openCheckpoint(given: string): Promise<Checkpoint> {
  if (isShipped(given)) return pretrainedCheckpoint(given);
  const folder = given === 'latest' ? await newestRun(undefined, warn) : given;
  const found = await stat(folder).catch(() => null);
  if (found?.isFile())
    throw new TrainError(
      'no-checkpoint',
      `${folder} is a file; the folder of a checkpoint or run is expected`,
    );
  return resolveCheckpoint(folder, warn).catch((error: unknown) => {
    if (found || !(error instanceof TrainError) || error.code !== 'no-checkpoint') throw error;
    const shipped = `shipped models are ${SHIPPED.join(', ')}`;
    throw new TrainError(error.code, `${error.message}; ${shipped}`, { cause: error });
  });
}

/** @throws {TrainError} `bad-input` where a runtime does not run models of that kind. */
export function requireRuntime(kind: Kind, runtime: ModelOptions['runtime']): void {
  if (kind === 'predictor' || runtime === 'native') return;
  throw new TrainError(
    'bad-input',
    `--runtime ${runtime} runs plan predictors; this is a ${KIND_NAMES[kind]}`,
  );
}

/** Loads the model of a checkpoint for a runtime. */
export async function openModel(
  checkpoint: Checkpoint,
  runtime: ModelOptions['runtime'],
  options?: OnnxOptions,
): Promise<PredictorModel | OnnxPredictor> {
  const model = loadModel(checkpoint);
  return runtime === 'onnx' ? OnnxPredictor.load(exportOnnx(model), options) : model;
}
