import type { Parameters } from '@dag/model';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { requireArguments } from '../arguments.js';
import { findCheckpoint, lastStep } from '../checkpoints/checkpoint.js';
import { checkpointState } from '../checkpoints/state.js';
import { KINDS } from '../config/config.js';
import { reportedSeed, type RunConfig } from '../config/run.js';
import { TrainError } from '../error.js';
import { collect, summarize } from '../evaluation/evaluate.js';
import { subjectOf } from '../evaluation/subject-of.js';
import { scoreOfPrefixes, scoresBySeen, type SeenScores, type Subject } from '../evaluation/subject.js';
import { readMetrics } from '../run/metrics.js';
import { chartsOf, type PerStep } from './charts.js';
import { chooseExamples } from './examples.js';
import { reportPage, type Report } from './page.js';
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
export async function runReport(folder: string, options: ReportOptions): Promise<string> {
  requireArguments('runReport', { folder: [folder, 'a string'], options: [options, { warn: 'a function' }] });
  const { examples, warn } = options;
  const { records, damaged } = await metricsOf(folder);
  const checkpoint = await findCheckpoint(folder, 'best', warn);
  const { config, batches } = checkpointState(checkpoint);
  // The best checkpoint may be older than a resume with other settings. Damaged checkpoints were reported above.
  const { config: last } = checkpointState(await findCheckpoint(folder, 'latest', () => undefined));
  const isOwn = Object.hasOwn(KINDS, config.kind);
  const perStep: PerStep = isOwn
    ? { count: last.batchSize * last.accumulate, unit: 'texts' }
    : { count: last.accumulate, unit: 'micro-batches' };
  const hasPlans = isOwn && config.kind !== 'problems';
  const subject = hasPlans ? await subjectOf(checkpoint) : null;
  return reportPage({
    name: config.name,
    tiles: tilesOf(records, {
      maxSteps: last.maxSteps,
      savedStep: await lastStep(folder),
      perStep,
      parameters: subject?.parameters ? sizeOf(subject.parameters) : null,
    }),
    charts: chartsOf(records, perStep),
    checkpoint,
    evaluation: subject
      ? await evaluate(subject, config, batches, { examples, warn })
      : {
          reason: isOwn
            ? 'a model of word problems is asked no expressions; `dag eval` asks it problems.'
            : `only models of this package have plans to draw; this run trained a model of kind '${config.kind}'.`,
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

const sizeOf = (parameters: Parameters): number =>
  [...parameters.values()].reduce((n, { size }) => n + size, 0);

/** What the model answers on held-out expressions, or why it is asked nothing. */
async function evaluate(
  subject: Subject,
  { evaluation }: RunConfig,
  batches: number,
  { examples, warn }: ReportOptions,
): Promise<Report['evaluation']> {
  const questions = subject.questions(evaluation.examples, reportedSeed(evaluation));
  if (questions.length === 0) return { reason: 'this run trained a model of text alone.' };
  const answers = await collect(subject.answers(questions));
  let seen: SeenScores | null = null;
  try {
    seen = scoresBySeen(subject, questions, answers, batches);
  } catch (error) {
    // The text that a language model was trained on may be gone.
    if (!(error instanceof TrainError)) throw error;
    warn(`the page leaves out what training has seen of held-out texts: ${error.message}`);
  }
  return {
    summary: summarize(answers),
    seen: seen?.groups ?? {},
    prefixes: await scoreOfPrefixes(subject, questions),
    examples: chooseExamples(answers, examples),
  };
}
