import type { PredictorModel } from '@dag/model';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findCheckpoint, lastStep } from '../checkpoints/checkpoint.js';
import { checkpointState, configOfKind } from '../checkpoints/state.js';
import type { PredictorTrainConfig } from '../config/predictor.js';
import { reportedSeed } from '../config/run.js';
import { TrainError } from '../error.js';
import { answerAll, prefixScore, summarize } from '../evaluation/evaluate.js';
import { heldOutQuestions } from '../evaluation/questions.js';
import { bySeen, seenInTraining } from '../evaluation/seen-in-training.js';
import { loadModel, streamConfig } from '../predictor/predictor-task.js';
import { readMetrics } from '../run/metrics.js';
import { chartsOf, type PerStep } from './charts.js';
import { chooseExamples } from './examples.js';
import { reportPage, type Evaluation } from './page.js';
import { tilesOf } from './tiles.js';

/** Options of `runReport`. */
export interface ReportOptions {
  /** The number of plans to draw. */
  readonly examples: number;
  /** Called with a message for each damaged checkpoint that is skipped. */
  readonly warn: (message: string) => void;
}

/**
 * Renders a run as one self-contained HTML page: its metrics as charts, the scores of its best checkpoint on held-out
 * expressions, and example plans as graphs, wrong ones first.
 *
 * @param folder The folder of the run, with metrics.jsonl and checkpoints.
 * @throws {TrainError} `bad-input` if the folder is not that of a run or nothing is logged yet, `no-checkpoint`,
 *   `bad-checkpoint`, `io`.
 */
export async function runReport(folder: string, { examples, warn }: ReportOptions): Promise<string> {
  const { records, damaged } = await metricsOf(folder);
  const checkpoint = await findCheckpoint(folder, 'best', warn);
  const { config, batches } = checkpointState(checkpoint);
  // The best checkpoint may be older than a resume with other settings. Damaged checkpoints were reported above.
  const { config: last } = checkpointState(await findCheckpoint(folder, 'latest', () => undefined));
  const perStep: PerStep =
    config.kind === 'predictor' || config.kind === 'language'
      ? { count: last.batchSize * last.accumulate, unit: 'texts' }
      : { count: last.accumulate, unit: 'micro-batches' };
  const predictor =
    config.kind === 'predictor'
      ? { config: configOfKind(checkpoint, 'predictor'), model: loadModel(checkpoint) }
      : null;
  return reportPage({
    name: config.name,
    tiles: tilesOf(records, {
      maxSteps: last.maxSteps,
      savedStep: await lastStep(folder),
      perStep,
      parameters: predictor && sizeOf(predictor.model),
    }),
    charts: chartsOf(records, perStep),
    checkpoint,
    evaluation: predictor
      ? await evaluate(predictor.model, predictor.config, batches * config.batchSize, examples)
      : {
          reason: `only plan predictors have plans to draw; this run trained a model of kind '${config.kind}'.`,
        },
    config: last,
    damaged,
    written: new Date(),
  });
}

async function metricsOf(folder: string) {
  const path = join(folder, 'metrics.jsonl');
  if (!existsSync(folder)) throw new TrainError('bad-input', `${folder} does not exist`);
  if (!existsSync(path))
    throw new TrainError(
      'bad-input',
      `${folder} has no metrics.jsonl; expected the folder of a run, which \`dag train --outDir=${folder}\` makes`,
    );
  const metrics = await readMetrics(path);
  if (metrics.records.length === 0)
    throw new TrainError(
      'bad-input',
      `${path} has no valid line yet; a run writes one every \`logEvery\` steps`,
    );
  return metrics;
}

const sizeOf = ({ parameters }: PredictorModel): number =>
  [...parameters.values()].reduce((n, { size }) => n + size, 0);

async function evaluate(
  model: PredictorModel,
  config: PredictorTrainConfig,
  trainedTexts: number,
  examples: number,
): Promise<Evaluation> {
  const stream = streamConfig(config);
  const questions = heldOutQuestions(stream, config.evaluation.examples, reportedSeed(config.evaluation));
  const answers = await answerAll(model, questions);
  const seen = seenInTraining(stream, trainedTexts, questions);
  return {
    summary: summarize(answers),
    seen: bySeen(answers, seen),
    prefixes: await prefixScore(
      model,
      stream,
      questions.map(({ text }) => text),
    ),
    examples: chooseExamples(answers, examples),
  };
}
