import type { DagGpt, PredictorModel } from '@dag/model';
import type { ProblemModel } from '@dag/model/problems';
import type { Checkpoint } from './checkpoints/checkpoint.js';
import { pretrainedCheckpoint, type ShippedName } from './checkpoints/pretrained.js';
import { loadLanguageModel } from './language/language-task.js';
import { loadModel } from './predictor/predictor-task.js';
import { loadProblemModel } from './problems/problems-task.js';

/** The shipped models by name; each has a card, weights/…/README.md of @dag/model. */
export interface ShippedModels {
  /** Reads arithmetic in symbols, words and questions. */
  readonly reading: PredictorModel;
  /** Solves word problems. */
  readonly problems: ProblemModel;
  /** Continues texts, and computes the values in them. */
  readonly writing: DagGpt;
}

const LOAD: { readonly [N in ShippedName]: (checkpoint: Checkpoint) => ShippedModels[N] } = {
  reading: loadModel,
  problems: loadProblemModel,
  writing: loadLanguageModel,
};

/**
 * Loads a shipped model, `reading` by default.
 *
 * @throws {TrainError} `bad-input` for another name.
 * @example (await loadPretrained('problems')).predict('Mia had 12 pears and ate 5 of them. How many are left?').value
 */
export async function loadPretrained<N extends ShippedName = 'reading'>(
  name: N = 'reading' as N,
): Promise<ShippedModels[N]> {
  return LOAD[name](await pretrainedCheckpoint(name));
}
