import { exportOnnx, OnnxPredictor, type OnnxOptions, type PredictorModel } from '@dag/model';
import { Option } from 'commander';
import { stat } from 'node:fs/promises';
import { newestRun, resolveCheckpoint, type Checkpoint } from '../checkpoints/checkpoint.js';
import { pretrainedCheckpoint } from '../checkpoints/pretrained.js';
import { TrainError } from '../error.js';
import { loadModel } from '../predictor/predictor-task.js';
import { warn } from './streams.js';

/** The name of the shipped checkpoint; a folder of that name is `./reading`. */
const SHIPPED = 'reading';

export const CHECKPOINT_OPTION = [
  '--checkpoint <dir>',
  'a checkpoint or the folder of a run, or latest: the newest run in ./runs (default: reading, the shipped model)',
] as const;

/** Which model a command uses, and the runtime for it. */
export interface ModelOptions {
  readonly checkpoint?: string;
  readonly runtime: 'native' | 'onnx';
}

export const runtimeOption = (): Option =>
  new Option('--runtime <runtime>', 'what runs the model; onnx needs onnxruntime-node')
    .choices(['native', 'onnx'])
    .default('native');

/** The checkpoint at `path`; the shipped one if undefined. */
export async function openCheckpoint(path: string | undefined): Promise<Checkpoint> {
  if (path === undefined || path === SHIPPED) return pretrainedCheckpoint();
  const folder = path === 'latest' ? await newestRun(undefined, warn) : path;
  if ((await stat(folder).catch(() => null))?.isFile())
    throw new TrainError(
      'no-checkpoint',
      `${folder} is a file; the folder of a checkpoint or run is expected`,
    );
  return resolveCheckpoint(folder, warn);
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
