import {
  affine,
  cat,
  reshape,
  scope,
  setDefaultDevice,
  setMatmulPrecision,
  Tensor,
  zeros,
} from '@dag/executor';
import { ModelError, type Parameters } from '@dag/model';
import { shown } from '../arguments.js';
import type { LossWeights } from '../config/losses.js';
import type { RunConfig } from '../config/run.js';
import { TrainError } from '../error.js';
import type { Ranks } from '../mpi/ranks.js';
import { GradientSums, sumByName } from '../mpi/sums.js';
import type { LossValues } from '../predictor/losses.js';
import { learningRate, type AdamW } from './optimizer.js';
import type { Evaluation, Objective, Trainable } from './task.js';

/** What the steps of a run change. */
export interface Taken<M extends Trainable = Trainable> {
  readonly model: M;
  readonly optimizer: AdamW;
  /** Steps taken. */
  step: number;
  /** Micro-batches that all ranks together have taken; also the index of the next one. */
  batches: number;
  /** The best score so far; null before the first evaluation. */
  best: number | null;
  /** Whether `best` is the score of the current weights. */
  isBest: boolean;
}

/** A step for the log: the losses by name, the learning rate, the norm of the gradient and milliseconds. */
export interface StepRecord {
  readonly step: number;
  /** The weighted sum of the losses. */
  readonly loss: number;
  readonly lr: number;
  readonly gradNorm: number;
  readonly stepMs: number;
  readonly [name: string]: number;
}

/** What steps need from around them: files, threads and a terminal, or a page. */
export interface Surroundings<B, S> {
  readonly ranks: Ranks;
  readonly signal: AbortSignal | undefined;
  /** The next micro-batches of this rank; may be empty if `signal` was aborted while waiting for them. */
  take(count: number): Promise<readonly B[]>;
  /** Called, on every rank, after steps that are evaluated or saved. Throws if the run cannot go on. */
  check(): Promise<void>;
  /** Called on rank 0, like the following. */
  onStep(record: StepRecord): void;
  onEvaluation(step: number, evaluation: Evaluation<S>): void;
  /** Called when a checkpoint is due. */
  save(): Promise<void>;
}

/** Sets the device and the precision of matrix products that a configuration names. */
export function chooseDevice({ device, matmulPrecision }: RunConfig): void {
  if (device !== 'auto') setDefaultDevice(device);
  if (matmulPrecision !== 'auto') setMatmulPrecision(matmulPrecision);
}

/**
 * Takes the steps of a run that are left, and evaluates the model as the configuration says. Each rank takes its own micro-batches; gradients
 * are summed over ranks. Returns whether it was stopped: after a step if `signal` of any rank is aborted.
 *
 * @throws {TrainError} `bad-input` if the loss or its gradient is no longer finite; what `around` throws.
 */
export async function takeSteps<M extends Trainable, B, N extends object, S>(
  task: Objective<M, B, N, S>,
  run: Taken<M>,
  config: RunConfig,
  around: Surroundings<B, S>,
): Promise<boolean> {
  const { ranks, signal } = around;
  const sums = ranks.size > 1 ? new GradientSums(ranks) : null;
  while (run.step < config.maxSteps) {
    const begun = performance.now();
    const micro = await around.take(config.accumulate);
    const ownCounts = total(micro.map((batch) => task.counts(batch)));
    // If one rank is to stop, all stop at the same step.
    const counts = await sumByName({ ...ownCounts, aborted: signal?.aborted ? 1 : 0 }, ranks);
    if (counts.aborted > 0) return true;
    const { loss, parts, lr, gradNorm } = await trainStep(task, run, config, { micro, counts }, ranks, sums);
    const stepMs = performance.now() - begun;
    if (!Number.isFinite(loss + gradNorm))
      throw new TrainError(
        'bad-input',
        `the loss is ${loss} at step ${run.step}, the norm of the gradient ${gradNorm}; ` +
          'this step is not saved; try a lower optimizer.lr',
      );
    const isLast = run.step === config.maxSteps;
    const isDue = run.step % config.checkpoint.every === 0 || isLast;
    const isEvaluated = run.step % config.evaluation.every === 0 || isLast;
    if (isDue || isEvaluated) await around.check();
    if (ranks.rank !== 0) continue;
    if (run.step % config.logEvery === 0 || isLast)
      around.onStep({ step: run.step, loss, ...parts, lr, gradNorm, stepMs });
    if (isEvaluated) {
      const evaluated = await evaluate(task, run, config.evaluation.seed);
      const { score } = evaluated;
      around.onEvaluation(run.step, evaluated);
      // Of equal scores the later one is best: it was trained longer.
      run.isBest = run.best === null || score >= run.best;
      if (run.isBest) run.best = score;
    }
    if (isDue || run.isBest) await around.save();
  }
  return false;
}

/** The parameters that have a gradient. */
export const learning = ({ parameters }: Trainable): Parameters =>
  new Map([...parameters].filter(([, p]) => p.requiresGrad));

/** @throws {TrainError} `bad-input` that names the first weight or moment that is NaN or infinite. */
export function requireFinite(taken: Taken): void {
  const problem = findNonFinite(taken);
  if (problem === null) return;
  const wayOut = 'this step is not saved; try a lower optimizer.lr';
  throw new TrainError('bad-input', `${problem} after step ${taken.step}; ${wayOut}`);
}

/** Describes the first weight or moment that is NaN or infinite; null if all are finite. */
export function findNonFinite({ model, optimizer }: Pick<Taken, 'model' | 'optimizer'>): string | null {
  for (const [name, p] of model.parameters) {
    const found = p.dataSync().find((value) => !Number.isFinite(value));
    if (found !== undefined) return `the weight ${name} holds ${found}`;
  }
  for (const [name, { data }] of optimizer.liveState()) {
    const found = Array.prototype.find.call(data, (value: number) => !Number.isFinite(value));
    if (found !== undefined) return `the optimiser's ${name} holds ${found}`;
  }
  return null;
}

/** Tasks may be written in JavaScript. @throws {TrainError} `bad-input` unless `learned` has the form that `learnFrom` returns. */
function checkLearned(learned: LossValues | undefined, kind: string): LossValues {
  if (Array.isArray(learned?.names) && learned.values instanceof Tensor) return learned;
  throw new TrainError(
    'bad-input',
    `learn of the task '${kind}' must return { names, values }, as learnFrom does; it returned ${shown(learned)}`,
  );
}

/** @throws {TrainError} `bad-input` if the model computes what is not finite, or the task returns no evaluation. */
export async function evaluate<M extends Trainable, S>(
  task: Pick<Objective<M, never, never, S>, 'evaluate' | 'kind'>,
  { model, step }: Pick<Taken<M>, 'model' | 'step'>,
  seed: number,
): Promise<Evaluation<S>> {
  try {
    return checkEvaluation(await task.evaluate(model, seed), task.kind);
  } catch (error) {
    if (!(error instanceof ModelError) || error.code !== 'not-finite') throw error;
    throw new TrainError('bad-input', `${error.message}, after step ${step}; try a lower optimizer.lr`, {
      cause: error,
    });
  }
}

/** @throws {TrainError} `bad-input` unless `evaluated` has a score by which checkpoints can be compared. */
function checkEvaluation<S>(evaluated: Evaluation<S> | undefined, kind: string): Evaluation<S> {
  if (typeof evaluated !== 'object' || evaluated === null)
    throw new TrainError(
      'bad-input',
      `evaluate of the task '${kind}' must return { summary, score, line, metrics }; it returned ${shown(evaluated)}`,
    );
  if (typeof evaluated.score === 'number' && !Number.isNaN(evaluated.score)) return evaluated;
  throw new TrainError(
    'bad-input',
    `evaluate of the task '${kind}' must return a number as score; it returned ${shown(evaluated.score)}`,
  );
}

/** One step: gradients of all its micro-batches, summed over ranks and clipped, then AdamW. */
async function trainStep<M extends Trainable, B, N extends object>(
  task: Objective<M, B, N>,
  run: Taken<M>,
  { losses: weights, accumulate, maxSteps, optimizer }: RunConfig,
  { micro, counts }: { readonly micro: readonly B[]; readonly counts: N },
  { rank, size }: Ranks,
  sums: GradientSums | null,
): Promise<{ loss: number; parts: Record<string, number>; lr: number; gradNorm: number }> {
  const parameters = learning(run.model);
  for (const p of parameters.values()) {
    // A parameter that no text of this step uses needs a gradient of zero, or a resumed run would differ from an uninterrupted one.
    p.grad ??= zeros(p.shape, { device: p.device });
    p.zeroGrad();
  }
  const { sparse: rows } = task;
  const reads = (): number[] => micro.flatMap((batch) => [...rows!.reads(batch)]);
  const sparse = sums && rows ? await sums.sparse(rows.embedding(run.model), reads()) : null;
  const learned = micro.map((batch, i) =>
    scope(() => {
      // Each micro-batch has its own dropout masks.
      const dropoutSeed = run.batches + rank * accumulate + i;
      const { names, values } = checkLearned(
        task.learn(run.model, batch, { counts, weights, dropoutSeed }),
        task.kind,
      );
      // A copy: the next call of a recorded step overwrites its outputs.
      return { names, values: affine(values, 1) };
    }),
  );
  const losses = learned.map(({ values }) => values);
  const named = (numbers: ArrayLike<number>): Record<string, number> => {
    const byName: Record<string, number> = { loss: 0, ...(size > 1 ? zeroOfEach(weights) : {}) };
    learned
      .flatMap(({ names }) => names)
      .forEach((name, i) => (byName[name] = (byName[name] ?? 0) + numbers[i]!));
    return byName;
  };
  let shared: Record<string, number> | null = null;
  if (sums) {
    // The losses are sent with the gradients, so that ranks wait for each other only once.
    shared = named(scope(() => cat(losses, 0).dataSync()));
    await sums.add(parameters.values(), sparse, shared);
  }
  run.batches += size * accumulate;
  run.step++;
  run.isBest = false;
  const lr = learningRate(run.step, maxSteps, optimizer);
  // One read for all values: each read waits for the device.
  const [gradNorm, ...ownLosses] = scope(() => {
    const norm = reshape(run.optimizer.update(lr), [1]);
    return Array.from(cat([norm, ...(shared ? [] : losses)], 0).dataSync());
  });
  for (const values of losses) values.dispose();
  const { loss, ...parts } = shared ?? named(ownLosses);
  return { loss: loss!, parts, lr, gradNorm: gradNorm! };
}

/** 0 for each loss that has a weight: all ranks need the same names, but some losses may not occur in a rank's batches. */
const zeroOfEach = (weights: LossWeights): Record<string, number> =>
  Object.fromEntries(Object.entries(weights).flatMap(([name, weight]) => (weight > 0 ? [[name, 0]] : [])));

/** Sums counts by name. */
function total<N extends object>(counts: readonly N[]): N {
  const sums: Record<string, number> = {};
  for (const count of counts)
    for (const [name, n] of Object.entries(count) as [string, number][]) sums[name] = (sums[name] ?? 0) + n;
  return sums as N;
}
