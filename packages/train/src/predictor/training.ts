import type { PredictorModel } from '@dag/model';
import type { PredictorTrainConfig } from '../config/predictor.js';
import { requireParsed, type TrainConfig } from '../config/config.js';
import { reportedSeed } from '../config/run.js';
import { TrainError } from '../error.js';
import type { Summary } from '../evaluation/evaluate.js';
import { ONE_RANK } from '../mpi/ranks.js';
import { nextTurn } from '../next-turn.js';
import { AdamW } from '../run/optimizer.js';
import {
  chooseDevice,
  learning,
  requireFinite,
  takeSteps,
  type StepRecord,
  type Taken,
} from '../run/steps.js';
import type { Evaluation } from '../run/task.js';
import { batchesConfig, evaluateModel, newModel, predictorObjective, requireTexts } from './objective.js';
import { trainingBatch } from './stream.js';

/** Options of `PredictorTraining.run`. */
export interface TrainingOptions {
  /** Aborting it makes `run` return after the step that is being taken. */
  readonly signal?: AbortSignal;
  /** Called every `logEvery` steps, and at the last. */
  readonly onStep?: (step: StepRecord) => void;
  /** Called every `evaluation.every` steps, and at the last, with the scores of held-out texts. */
  readonly onEvaluation?: (evaluation: { readonly step: number; readonly summary: Summary }) => void;
}

/**
 * The training of a plan predictor without files: in a page's worker, or wherever its weights are to stay in memory. The stream, the losses,
 * the optimizer and the loop are those of `train`, so the same configuration gives the same bits on the same device, also if the training
 * was stopped in between. Batches are made in this thread, between steps.
 *
 * @example
 * const training = new PredictorTraining(parseConfig(predictorSmall));
 * await training.run({ onStep: ({ step, loss }) => console.log(step, loss) });
 * const bytes = training.model.save(); // for PredictorModel.load
 */
export class PredictorTraining {
  /** The model in training. Between steps, as when a worker gets a message, it predicts as far as it has learned. */
  readonly model: PredictorModel;
  readonly #config: PredictorTrainConfig;
  readonly #taken: Taken<PredictorModel>;
  #isRunning = false;

  /**
   * Makes a model with random weights.
   *
   * @param config As `parseConfig` returns it. Keys that name files and threads, such as `outDir` and `data.workers`, have no effect.
   * @throws {TrainError} `bad-config` where the configuration is no complete one of kind 'predictor', begins with other weights than random
   *   ones, or has texts that do not fit into the model.
   */
  constructor(config: TrainConfig) {
    requireParsed(config, 'predictor');
    if (config.weights !== 'scratch' || config.resume !== false)
      throw new TrainError(
        'bad-config',
        'a training without files begins with random weights: leave out weights, init_from and resume',
      );
    requireTexts(config);
    chooseDevice(config);
    this.#config = config;
    this.model = newModel(config);
    const optimizer = new AdamW(learning(this.model), config.optimizer);
    this.#taken = { model: this.model, optimizer, step: 0, batches: 0, best: null, isBest: false };
  }

  /** Steps taken. */
  get step(): number {
    return this.#taken.step;
  }

  /**
   * Takes the steps that are left, `maxSteps` in all, with a turn of the event loop before each. Called again after a stop, it goes on.
   *
   * @returns The scores of held-out texts after the last step, other ones than those of `onEvaluation`; null if it was stopped before.
   * @throws {TrainError} `bad-input` if the loss or its gradient is no longer finite, or a call before has not returned yet.
   */
  async run({ signal, onStep, onEvaluation }: TrainingOptions = {}): Promise<Summary | null> {
    if (this.#isRunning)
      throw new TrainError('bad-input', 'this training is running: abort its signal and await `run` first');
    this.#isRunning = true;
    const config = this.#config;
    const taken = this.#taken;
    const { stream, plans } = batchesConfig(config);
    const objective = predictorObjective(config);
    try {
      const wasStopped = await takeSteps(objective, taken, config, {
        ranks: ONE_RANK,
        signal,
        take: async (count) => {
          await nextTurn();
          if (signal?.aborted) return [];
          return Array.from({ length: count }, (_, i) => trainingBatch(stream, taken.batches + i, plans));
        },
        check: () => Promise.resolve(requireFinite(taken)),
        onStep: (record) => onStep?.(record),
        onEvaluation: (step, { summary }: Evaluation<Summary>) => onEvaluation?.({ step, summary }),
        save: () => Promise.resolve(),
      });
      return wasStopped ? null : await evaluateModel(this.model, config, reportedSeed(config.evaluation));
    } finally {
      taken.optimizer.release();
      objective.release?.();
      this.#isRunning = false;
    }
  }
}
