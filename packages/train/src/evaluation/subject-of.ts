import type { OnnxPredictor, PredictorModel } from '@dag/model';
import type { Checkpoint } from '../checkpoints/checkpoint.js';
import { checkpointConfig, configOfKind } from '../checkpoints/state.js';
import { languageSubject, loadLanguageModel } from '../language/language-task.js';
import { predictorSubject } from '../predictor/objective.js';
import { loadModel } from '../predictor/predictor-task.js';
import type { Subject } from './subject.js';

/** The model of a checkpoint as what is evaluated. @param load Loads a plan predictor. */
export async function subjectOf(
  checkpoint: Checkpoint,
  load: (checkpoint: Checkpoint) => PredictorModel | Promise<PredictorModel | OnnxPredictor> = loadModel,
): Promise<Subject> {
  const config = checkpointConfig(checkpoint);
  if (config.kind === 'predictor') return predictorSubject(await load(checkpoint), config);
  return languageSubject(loadLanguageModel(checkpoint), configOfKind(checkpoint, 'language'));
}
