import { ProblemModel } from '@dag/model/problems';
import { CONFIG, requireArguments } from '../arguments.js';
import { fileOf, type Checkpoint } from '../checkpoints/checkpoint.js';
import { configOfKind } from '../checkpoints/state.js';
import type { ProblemsTrainConfig } from '../config/word-problems.js';
import { TrainError } from '../error.js';
import { percent } from '../evaluation/table.js';
import { learnFrom, weigh } from '../predictor/losses.js';
import { runTask, type TrainOptions, type TrainResult } from '../run/loop.js';
import type { Task } from '../run/task.js';
import { workerUrl } from '../workers/worker-url.js';
import { fitEvidence } from './fit-evidence.js';
import { readFolder, type KnownProblem } from './problem-data.js';
import { problemLosses } from './problem-losses.js';
import { solveAll, summarizeProblems, type ProblemSummary } from './problem-scores.js';
import { isHeldOut, problemSetup, syntheticProblem, type ProblemSetup } from './problem-set.js';
import type { ProblemBatch, ProblemStreamConfig } from './problem-stream.js';

/** The first index of synthetic problems that are asked and not trained. */
const ASKED = 2 ** 31 + 2 ** 20;

/** Up to `count` problems that are not trained: of the given ones those that are held out, or synthetic ones where none is given. */
export function askedProblems(given: readonly KnownProblem[], count: number, seed: number): KnownProblem[] {
  if (given.length > 0) return given.filter(({ text }) => isHeldOut(text)).slice(0, count);
  const drawn: KnownProblem[] = [];
  for (let i = 0; drawn.length < count; i++) {
    const problem = syntheticProblem(seed, ASKED + i);
    if (isHeldOut(problem.text)) drawn.push(problem);
  }
  return drawn;
}

/** The task of training a model on word problems. @param problems Those of `data.problems`, without `dev.csv`. */
export function problemsTask(
  config: ProblemsTrainConfig,
  problems: readonly KnownProblem[],
): Task<ProblemModel, ProblemBatch, { problems: number }, ProblemSummary> {
  requireArguments('problemsTask', { config: [config, CONFIG], problems: [problems, ['an object']] });
  const { seed, batchSize, model: sizes, data } = config;
  const { synthetic, hide } = data;
  const setup: ProblemSetup = problemSetup(problems, { synthetic, seed, depth: sizes.depth });
  const { words, constants, templates } = setup;
  const stream: ProblemStreamConfig = {
    ...{ seed, batchSize, depth: sizes.depth, problems, synthetic, hide, setup },
  };
  return {
    kind: 'problems',
    losses: config.losses,
    stream: { worker: workerUrl('problems/worker.js'), data: stream },
    model(checkpoint) {
      if (!checkpoint) return new ProblemModel({ ...sizes, words, constants, templates }, { seed });
      const model = loadProblemModel(checkpoint);
      const ofModel = [model.config.words, model.config.constants, model.config.templates];
      if (JSON.stringify(ofModel) === JSON.stringify([words, constants, templates])) return model;
      throw new TrainError(
        'bad-config',
        `${checkpoint.folder} was trained on other problems, and has their words and plans; use its data and seed, or train a new model`,
      );
    },
    counts: ({ right }) => ({ problems: right.length }),
    learn(model, batch, { counts, weights, dropoutSeed }) {
      const { numbers, encoded } = batch;
      const members = model.forward(model.inputs(encoded, numbers), numbers, dropoutSeed);
      return learnFrom(weigh(problemLosses(model, members, batch, counts.problems), weights));
    },
    async evaluate(model, asked) {
      const questions = askedProblems(problems, config.evaluation.examples, asked);
      const evidence = await fitEvidence(model, questions);
      model.config = { ...model.config, evidence };
      const summary = summarizeProblems(await solveAll(model, questions));
      const { raw, value, byOperations, count } = summary;
      return {
        summary,
        score: raw.share,
        line: `${percent(raw.share)} of ${count} held-out problems solved, ${percent(value.share)} with number evidence`,
        metrics: {
          raw: raw.share,
          value: value.share,
          byOperations: Object.fromEntries(
            Object.entries(byOperations).map(([n, { count, share }]) => [n, { count, value: share }]),
          ),
        },
      };
    },
  };
}

/** Trains a model on word problems: `train` for configurations of kind 'problems'. @throws {TrainError} as `train`; `io` and `bad-input` if the problems cannot be read. */
export async function trainProblems(
  config: ProblemsTrainConfig,
  options: TrainOptions = {},
): Promise<TrainResult<ProblemModel, ProblemSummary>> {
  requireArguments('trainProblems', { config: [config, CONFIG] });
  const { problems } = config.data;
  const { train } = problems === '' ? { train: [] } : await readFolder(problems);
  return runTask(problemsTask(config, train), config, options);
}

/** Loads the model of word problems in a checkpoint. @throws {TrainError} `bad-checkpoint` */
export function loadProblemModel(checkpoint: Checkpoint): ProblemModel {
  configOfKind(checkpoint, 'problems');
  return ProblemModel.load(fileOf(checkpoint, 'model.safetensors'));
}
