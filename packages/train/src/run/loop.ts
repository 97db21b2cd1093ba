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
  /** Aborting it, on any rank, makes all ranks finish the step, save and return. */
  readonly signal?: AbortSignal;
  /** The processes that train together; each makes this call with the same configuration. Default: this process alone. */
  readonly communicator?: Communicator;
}

/** The model after the last step, and where it is saved. */
export interface TrainResult<M, S> {
  readonly model: M;
  /** The last step taken. */
  readonly step: number;
  /**
   * Evaluation after the last step, on held-out data that selected no checkpoint. Null if the run was stopped before, and on
   * ranks other than 0.
   */
  readonly summary: S | null;
  /** The folder of the last checkpoint; on ranks other than 0 that of the checkpoint that the run began with. */
  readonly checkpoint: string;
  /** Milliseconds that the call took. */
  readonly elapsed: number;
  /** Milliseconds that the loop waited for data. */
  readonly waited: number;
}

/**
 * Trains a task, with checkpoints, resuming and any number of ranks; writes `metrics.jsonl` and checkpoints to `outDir`. The same
 * configuration gives the same bits, also if the run was stopped and resumed.
 *
 * @param config The keys of every run (see `dag train --help`). `model` and `data` hold settings of the task, which a resumed run must
 *   not change.
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
 * `trainTask` with a configuration that is already checked. Each rank takes its own micro-batches; gradients are summed over ranks. Only
 * rank 0 reads and writes the files of the run, evaluates and logs.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`, `mpi`, and `bad-input`
 *   if the loss or its gradient is no longer finite. If one rank throws, the others wait for it: end them with `abort`.
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
    // Save the initial state: if this process is killed before its first save, `resume` would find nothing, or another state.
    if (isFirst && run.checkpoint !== '' && run.savedStep === NEVER) await save(run, config);
    metrics?.truncateAfter(run.step, warn);
    if (run.step >= config.maxSteps) progress.log(`nothing to do: step ${run.step} of ${config.maxSteps}`);
    const batches = await openBatches<B>(task.stream, config, run.batches, communicator);
    const sums = communicator.size > 1 ? new GradientSums(communicator) : null;
    try {
      let stopped = false;
      while (run.step < config.maxSteps) {
        const begun = performance.now();
        // With several ranks the signal does not interrupt the wait: ranks stop together, after each has its micro-batches.
        const micro = await takeStep(batches, config.accumulate, communicator.size > 1 ? undefined : signal);
        const ownCounts = total(micro.map((batch) => task.counts(batch)));
        // If one rank is to stop, all stop at the same step.
        const counts = await sumByName({ ...ownCounts, aborted: signal?.aborted ? 1 : 0 }, communicator);
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
              'this step is not saved; try a lower optimizer.lr',
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
          // Of equal scores the later one is best: it was trained longer.
          run.isBest = run.best === null || score >= run.best;
          if (run.isBest) run.best = score;
        }
        if (isDue || run.isBest) await save(run, config);
      }
      if (stopped) {
        await checkWeights(run, communicator);
        if (isFirst && run.savedStep !== run.step) await save(run, config);
      }
      let summary: S | null = null;
      if (isFirst && !stopped) {
        const evaluated = await task.evaluate(run.model, reportedSeed(config.evaluation));
        summary = checkEvaluation(evaluated, task.kind).summary;
      }
      return {
        model: run.model,
        step: run.step,
        summary,
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

/** Logs each message once: a file that cannot be deleted or read causes the same message at every checkpoint. */
function once(log: (message: string) => void): (message: string) => void {
  const logged = new Set<string>();
  return (message) => {
    if (!logged.has(message)) log(message);
    logged.add(message);
  };
}

/** Tasks may be written in JavaScript. @throws {TrainError} `bad-input` unless `learned` has the form that `learnFrom` returns. */
function checkLearned(learned: LossValues | undefined, kind: string): LossValues {
  if (Array.isArray(learned?.names) && learned.values instanceof Tensor) return learned;
  throw new TrainError(
    'bad-input',
    `learn of the task '${kind}' must return { names, values }, as learnFrom does; it returned ${shown(learned)}`,
  );
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
  task: Task<M, B, N>,
  run: Run<M>,
  { losses: weights, accumulate, maxSteps, optimizer }: RunConfig,
  { micro, counts }: { readonly micro: readonly B[]; readonly counts: N },
  { rank, size }: Communicator,
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
