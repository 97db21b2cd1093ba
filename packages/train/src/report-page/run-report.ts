import { ModelError, type PredictorModel } from '@dag/model';
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { findCheckpoint, type Checkpoint } from '../checkpoint.js';
import type { TrainConfig } from '../config.js';
import { TrainError } from '../error.js';
import { answerAll, summarize } from '../evaluate.js';
import { readMetrics } from '../metrics.js';
import { loadModel, streamConfig } from '../predictor.js';
import { heldOutQuestions } from '../questions.js';
import { checkpointConfig } from '../trainer.js';
import { chartsOf } from './charts.js';
import { chooseExamples } from './examples.js';
import { reportPage, type Evaluation } from './page.js';
import { tilesOf } from './tiles.js';

/** What is used of a run's configuration, whatever its model is. */
const anyState = z.looseObject({
  config: z.looseObject({
    name: z.string().optional(),
    maxSteps: z.number().optional(),
    batchSize: z.number().optional(),
    accumulate: z.number().default(1),
  }),
});

export interface ReportOptions {
  /** How many plans are drawn. */
  readonly examples: number;
  /** Is told of damaged checkpoints that are skipped. */
  readonly warn: (message: string) => void;
}

/**
 * A run as one page of HTML with all that it needs: its metrics as charts, what its best checkpoint gets right of the
 * configuration's held-out expressions, and example plans as graphs, wrong ones first.
 *
 * @param folder The run's, with metrics.jsonl and checkpoints.
 * @throws {TrainError} `bad-input` where the folder is no run's or nothing is logged yet, `no-checkpoint`, `io`.
 */
export async function runReport(folder: string, { examples, warn }: ReportOptions): Promise<string> {
  const { records, damaged } = await metricsOf(folder);
  const checkpoint = await findCheckpoint(folder, 'best', warn);
  const { config } = anyState.catch({ config: { accumulate: 1 } }).parse(checkpoint.state);
  const textsPerStep = config.batchSize === undefined ? null : config.batchSize * config.accumulate;
  const charts = chartsOf(records, textsPerStep);
  const predictor = openPredictor(checkpoint);
  const parameters = 'reason' in predictor ? null : sizeOf(predictor.model);
  return reportPage({
    name: config.name ?? basename(resolve(folder)),
    tiles: tilesOf(records, { maxSteps: config.maxSteps ?? null, textsPerStep, parameters }),
    charts,
    checkpoint,
    evaluation: 'reason' in predictor ? predictor : await evaluate(predictor, examples),
    config,
    damaged,
    written: new Date(),
  });
}

async function metricsOf(folder: string) {
  const path = join(folder, 'metrics.jsonl');
  if (!existsSync(path))
    throw new TrainError(
      'bad-input',
      `${folder} has no metrics.jsonl; the folder of a run is expected, as \`dag train --outDir=${folder}\` makes it`,
    );
  const metrics = await readMetrics(path);
  if (metrics.records.length === 0)
    throw new TrainError(
      'bad-input',
      `${path} has no sound line yet; a run writes one every \`logEvery\` steps`,
    );
  return metrics;
}

interface Predictor {
  readonly model: PredictorModel;
  readonly config: TrainConfig;
}

/** The plan predictor in a checkpoint, or why it holds none: then there are no plans to show. */
function openPredictor(checkpoint: Checkpoint): Predictor | { reason: string } {
  try {
    return { config: checkpointConfig(checkpoint), model: loadModel(checkpoint) };
  } catch (error) {
    if (error instanceof TrainError || error instanceof ModelError)
      return { reason: `the checkpoint holds no plan predictor (${error.message}).` };
    throw error;
  }
}

const sizeOf = ({ parameters }: PredictorModel): number =>
  [...parameters.values()].reduce((n, { size }) => n + size, 0);

async function evaluate({ model, config }: Predictor, examples: number): Promise<Evaluation> {
  const { examples: count, seed } = config.evaluation;
  const answers = await answerAll(model, heldOutQuestions(streamConfig(config), count, seed));
  return { summary: summarize(answers), examples: chooseExamples(answers, examples) };
}
