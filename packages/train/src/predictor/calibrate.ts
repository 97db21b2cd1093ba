import { PredictorModel, type Calibration } from '@dag/model';
import { CONFIG, PREDICTOR, requireArguments } from '../arguments.js';
import { calibrationSeed } from '../config/run.js';
import type { PredictorTrainConfig } from '../config/predictor.js';
import { TrainError } from '../error.js';
import { answerAll } from '../evaluation/evaluate.js';
import { isotonicCalibration } from '../evaluation/isotonic.js';
import { foreignQuestions, heldOutQuestions } from '../evaluation/questions.js';
import { streamConfig } from './objective.js';

/** Options of `calibrate`. */
export interface CalibrateOptions {
  /** Number of held-out texts, 10,000 by default; of these the share `data.foreign` is to be refused, as in training. */
  readonly texts?: number;
  /** Seed of the texts. Default: one of which no text selects a checkpoint or is reported. */
  readonly seed?: number;
}

/**
 * Calibrates the confidence of a model on held-out texts: returns a model with the same weights whose `calibration` is fitted to whether
 * its answers are right. Texts that the model refuses for another reason than low confidence are left out.
 *
 * @throws {TrainError} `bad-input` if the model gives no confidence.
 */
export async function calibrate(
  model: PredictorModel,
  config: PredictorTrainConfig,
  options: CalibrateOptions = {},
): Promise<PredictorModel> {
  requireArguments('calibrate', {
    model: [model, PREDICTOR],
    config: [config, CONFIG],
    options: [options, 'an object'],
  });
  const { texts = 10_000, seed = calibrationSeed(config.evaluation) } = options;
  const stream = streamConfig(config);
  const foreign = Math.round(texts * (stream.tokenizer === 'words' ? config.data.foreign : 0));
  const raw = withCalibration(model, undefined);
  const answers = await answerAll(raw, heldOutQuestions(stream, texts - foreign, seed));
  const toRefuse = await answerAll(raw, foreignQuestions(stream, foreign, seed));
  const known = [...answers, ...toRefuse.map((a) => ({ ...a, readRight: a.readRight && false }))].flatMap(
    ({ confidence, readRight: right }) =>
      confidence === null || right === null ? [] : [{ confidence, right }],
  );
  if (known.length === 0)
    throw new TrainError(
      'bad-input',
      `there is nothing to calibrate: no text has a confidence by the readout '${config.model.readout}'`,
    );
  return withCalibration(model, isotonicCalibration(known));
}

/**
 * A model with the same weights and another calibration, or none; the model itself if it has that one already. The new one has all tokens of its
 * tokenizer, `allTokens` asks for that in any case: a file has those that training met, by which other words are read in pieces, and a training that
 * goes on meets more of them.
 */
export function withCalibration(
  model: PredictorModel,
  calibration: Calibration | undefined,
  { allTokens = false } = {},
): PredictorModel {
  const { calibration: known, ...config } = model.config;
  if (known === calibration && !allTokens) return model;
  const { device } = model.parameters.get('wte.weight')!;
  const made = new PredictorModel(calibration ? { ...config, calibration } : config, { seed: null, device });
  for (const [name, p] of made.parameters) p.set(model.parameters.get(name)!.dataSync());
  return made;
}
