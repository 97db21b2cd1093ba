import '@dag/executor/cuda';
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
import { join } from 'node:path';
import type { LossWeights } from '../config/losses.js';
import { shown } from '../config/problems.js';
import { reportedSeed, type RunConfig } from '../config/run.js';
import { parseTaskConfig, type TaskConfigInput } from '../config/task.js';
import { TrainError } from '../error.js';
import type { LossValues } from '../predictor/losses.js';
import { alone, type Communicator } from '../mpi/communicator.js';
import { shareCores } from '../mpi/shares.js';
import { GradientSums, sumByName } from '../mpi/sums.js';
import { openBatches, takeStep } from '../workers/batches.js';
import { lockRun, type RunLock } from './lock/run-lock.js';
import { openMetrics } from './metrics.js';
import { learningRate } from './optimizer.js';
import { createProgress, NO_PROGRESS } from './progress.js';
import { checkWeights, learning, NEVER, save, start, withWayOut, type Run } from './run.js';
import type { Evaluation, Task, Trainable } from './task.js';

/** Options of `train`, `trainLanguageModel` and `trainTask`. */
export interface TrainOptions {
  /** Finishes the step, saves and returns when aborted, on whichever rank. */
  readonly signal?: AbortSignal;
  /** The processes that train together, each of which makes this call with the same configuration; left out, this one. */
  readonly communicator?: Communicator;
}

/** What training gives: the model as it is after the last step, and where it is saved. */
export interface TrainResult<M, S> {
  readonly model: M;
  /** The last step taken. */
  readonly step: number;
  /**
   * On held-out data other than that by which checkpoints are compared, after the last step; null where the run was stopped before,
   * and on ranks other than 0.
   */
  readonly summary: S | null;
  /** The folder of the last checkpoint; on ranks other than 0 of the one that the run began with. */
  readonly checkpoint: string;
  /** Milliseconds of this call, and how many of them it waited for data. */
  readonly elapsed: number;
  readonly waited: number;
}

/**
 * Trains what a task describes, with checkpoints, resuming, reports, and as many ranks as the communicator has: writes `metrics.jsonl`
 * and checkpoints to `outDir`. The same configuration gives the same bits, also where the run was stopped and resumed.
 *
 * @param config The keys of every run (`dag train --help` has them); what `model` and `data` hold is the task's, and a run that is
 *   resumed has to have the same again.
 * @throws {TrainError} as `train`
 * @example await trainTask(myTask, { name: 'mine', maxSteps: 500, batchSize: 16 })
 */
export async function trainTask<M extends Trainable, B, N extends object, S>(
  task: Task<M, B, N, S>,
  config: TaskConfigInput,
  options: TrainOptions = {},
): Promise<TrainResult<M, S>> {
  return runTask(task, parseTaskConfig(config, task), options);
}

/**
 * `trainTask` with a configuration that is checked. Ranks of a communicator each take micro-batches of their own, and the sum of their
 * gradients; only rank 0 reads and writes files of the run, evaluates and logs.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`, `mpi`, and `bad-input`
 *   where the loss or its gradient is no longer finite. Other ranks wait for one that throws: end them by `abort`.
 */
export async function runTask<M extends Trainable, B, N extends object, S>(
  task: Task<M, B, N, S>,
  config: RunConfig,
  { signal, communicator = alone }: TrainOptions,
): Promise<TrainResult<M, S>> {
  const started = performance.now();
  if (config.device !== 'auto') setDefaultDevice(config.device);
  if (config.matmulPrecision !== 'auto') setMatmulPrecision(config.matmulPrecision);
  shareCores(communicator);
  const isFirst = communicator.rank === 0;
  const progress = isFirst ? createProgress({ total: config.maxSteps }) : NO_PROGRESS;
  const warn = once(progress.log);
  let lock: RunLock | null = null;
  let run: Run<M> | null = null;
  try {
    if (communicator.size > 1) progress.log(communicator.description);
    if (isFirst) lock = await lockRun(config.outDir, { log: warn, signal });
    run = await start(task, config, communicator, lock, warn);
    const metrics = isFirst ? openMetrics(join(config.outDir, 'metrics.jsonl')) : null;
    // Else `resume` would go on from elsewhere, or find nothing, where this process is killed before it saves.
    if (isFirst && run.checkpoint !== '' && run.savedStep === NEVER) await save(run, config);
    metrics?.truncateAfter(run.step, warn);
    if (run.step >= config.maxSteps) progress.log(`nothing to do: step ${run.step} of ${config.maxSteps}`);
    const batches = await openBatches<B>(task.stream, config, run.batches, communicator);
    const sums = communicator.size > 1 ? new GradientSums(communicator) : null;
    try {
      let stopped = false;
      while (run.step < config.maxSteps) {
        const begun = performance.now();
        // Ranks stop together, which takes the micro-batches of all.
        const micro = await takeStep(batches, config.accumulate, communicator.size > 1 ? undefined : signal);
        const own = total(micro.map((batch) => task.counts(batch)));
        // Where one rank is to stop all do, at the same step.
        const counts = await sumByName({ ...own, aborted: signal?.aborted ? 1 : 0 }, communicator);
        stopped = counts.aborted > 0;
        if (stopped) break;
        const { loss, parts, lr, gradNorm } = await trainStep(
          task,
          run,
          config,
          { micro, counts },
          communicator,
          sums,
        );
        const stepMs = performance.now() - begun;
        if (!Number.isFinite(loss + gradNorm))
          throw new TrainError(
            'bad-input',
            `the loss is ${loss} at step ${run.step}, the norm of the gradient ${gradNorm}; ` +
              'this step is not saved, a lower optimizer.lr may help',
          );
        const isLast = run.step === config.maxSteps;
        const isDue = run.step % config.checkpoint.every === 0 || isLast;
        const isEvaluated = run.step % config.evaluation.every === 0 || isLast;
        if (isDue || isEvaluated) await checkWeights(run, communicator);
        if (!metrics) continue;
        if (run.step % config.logEvery === 0 || isLast) {
          progress.update(run.step, { loss, stepMs, lr });
          lock?.check();
          metrics.append({ step: run.step, loss, ...parts, lr, gradNorm, stepMs });
        }
        if (isEvaluated) {
          const evaluated = await task.evaluate(run.model, config.evaluation.seed);
          const { score, line, metrics: heldOut } = checkEvaluation(evaluated, task.kind);
          progress.log(`step ${run.step}: ${line}`);
          lock?.check();
          const { seed, examples } = config.evaluation;
          metrics.append({ step: run.step, heldOut, evaluation: { seed, examples } });
          // Of equals the later one, which has learned longer.
          run.isBest = run.best === null || score >= run.best;
          if (run.isBest) run.best = score;
        }
        if (isDue || run.isBest) await save(run, config);
      }
      if (stopped) {
        await checkWeights(run, communicator);
        if (isFirst && run.savedStep !== run.step) await save(run, config);
      }
      const isDone = isFirst && !stopped;
      return {
        model: run.model,
        step: run.step,
        summary: isDone ? await summaryOf(task, run.model, reportedSeed(config.evaluation)) : null,
        checkpoint: run.checkpoint,
        elapsed: performance.now() - started,
        waited: batches.waited,
      };
    } finally {
      await batches.close();
      metrics?.close();
      run.optimizer.release();
      task.release?.();
    }
  } catch (error) {
    throw withWayOut(error, run);
  } finally {
    progress.stop();
    await lock?.release();
  }
}

/** Tells each message once: what cannot be deleted or read is met again with every checkpoint. */
function once(log: (message: string) => void): (message: string) => void {
  const told = new Set<string>();
  return (message) => {
    if (!told.has(message)) log(message);
    told.add(message);
  };
}

/** Tasks may be JavaScript. @throws {TrainError} `bad-input` unless it is what `learnFrom` gives. */
function checkLearned(learned: LossValues | undefined, kind: string): LossValues {
  if (Array.isArray(learned?.names) && learned.values instanceof Tensor) return learned;
  throw new TrainError(
    'bad-input',
    `learn of the task '${kind}' returns { names, values }, as learnFrom does; given ${shown(learned)}`,
  );
}

/** @throws {TrainError} `bad-input` unless it has a score by which checkpoints can be compared. */
function checkEvaluation<S>(evaluated: Evaluation<S> | undefined, kind: string): Evaluation<S> {
  if (typeof evaluated !== 'object' || evaluated === null)
    throw new TrainError(
      'bad-input',
      `evaluate of the task '${kind}' returns { summary, score, line, metrics }, given ${shown(evaluated)}`,
    );
  if (typeof evaluated.score === 'number' && !Number.isNaN(evaluated.score)) return evaluated;
  throw new TrainError(
    'bad-input',
    `score of what evaluate of the task '${kind}' returns is a number, given ${shown(evaluated.score)}`,
  );
}

async function summaryOf<M extends Trainable, S>(
  task: Pick<Task<M, never, object, S>, 'kind' | 'evaluate'>,
  model: M,
  seed: number,
): Promise<S> {
  return checkEvaluation(await task.evaluate(model, seed), task.kind).summary;
}

interface StepReport {
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly lr: number;
  readonly gradNorm: number;
}

/** One step: the gradients of all its micro-batches, summed over ranks, clipped, and AdamW. */
async function trainStep<M extends Trainable, B, N extends object>(
  task: Task<M, B, N>,
  run: Run<M>,
  { losses: weights, accumulate, maxSteps, optimizer }: RunConfig,
  { micro, counts }: { readonly micro: readonly B[]; readonly counts: N },
  { rank, size }: Communicator,
  sums: GradientSums | null,
): Promise<StepReport> {
  const parameters = learning(run.model);
  for (const p of parameters.values()) {
    // What no text of a step makes use of has a gradient of zero, in a resumed run as in one that was never stopped.
    p.grad ??= zeros(p.shape, { device: p.device });
    p.zeroGrad();
  }
  const { sparse: rows } = task;
  const reads = (): number[] => micro.flatMap((batch) => [...rows!.reads(batch)]);
  const sparse = sums && rows ? await sums.sparse(rows.embedding(run.model), reads()) : null;
  const told = micro.map((batch, i) =>
    scope(() => {
      // No two micro-batches have the same masks.
      const dropoutSeed = run.batches + rank * accumulate + i;
      const { names, values } = checkLearned(
        task.learn(run.model, batch, { counts, weights, dropoutSeed }),
        task.kind,
      );
      // The next micro-batch overwrites those of a recorded step.
      return { names, values: affine(values, 1) };
    }),
  );
  const losses = told.map(({ values }) => values);
  const named = (numbers: ArrayLike<number>): Record<string, number> => {
    const own: Record<string, number> = { loss: 0, ...(size > 1 ? zeroOfEach(weights) : {}) };
    told.flatMap(({ names }) => names).forEach((name, i) => (own[name] = (own[name] ?? 0) + numbers[i]!));
    return own;
  };
  let shared: Record<string, number> | null = null;
  if (sums) {
    // Other ranks are waited for once: what the losses are goes with the gradients.
    shared = named(scope(() => cat(losses, 0).dataSync()));
    await sums.add(parameters.values(), sparse, shared);
  }
  run.batches += size * accumulate;
  run.step++;
  run.isBest = false;
  const lr = learningRate(run.step, maxSteps, optimizer);
  // Read at once: each read waits for the device.
  const [gradNorm, ...own] = scope(() => {
    const norm = reshape(run.optimizer.update(lr), [1]);
    return Array.from(cat([norm, ...(shared ? [] : losses)], 0).dataSync());
  });
  for (const values of losses) values.dispose();
  const { loss, ...parts } = shared ?? named(own);
  return { loss: loss!, parts, lr, gradNorm: gradNorm! };
}

/** 0 for each loss that has a weight: a rank may have no batch that one of them is of. */
const zeroOfEach = (weights: LossWeights): Record<string, number> =>
  Object.fromEntries(Object.entries(weights).flatMap(([name, weight]) => (weight > 0 ? [[name, 0]] : [])));

/** The sums of what has the same name. */
function total<N extends object>(counts: readonly N[]): N {
  const sums: Record<string, number> = {};
  for (const count of counts)
    for (const [name, n] of Object.entries(count) as [string, number][]) sums[name] = (sums[name] ?? 0) + n;
  return sums as N;
}
