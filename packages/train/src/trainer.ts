import '@dag/executor/cuda';
import {
  affine,
  cat,
  reshape,
  scope,
  setDefaultDevice,
  setMatmulPrecision,
  zeros,
  type Tensor,
} from '@dag/executor';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Checkpoint } from './checkpoint.js';
import type { TrainConfig } from './config/config.js';
import type { Prefetcher } from './data/pool.js';
import { TrainError } from './error.js';
import type { LossValues } from './losses.js';
import { openMetrics } from './metrics.js';
import { alone, type Communicator } from './mpi/communicator.js';
import { shareCores } from './mpi/shares.js';
import { GradientSums, sumByName } from './mpi/sums.js';
import { learningRate } from './optimizer.js';
import { createProgress, NO_PROGRESS } from './progress.js';
import { lockRun, type RunLock } from './run-lock.js';
import { checkWeights, learning, NEVER, save, start, withWayOut, type Run, type Trainable } from './run.js';

/** What a model learns from at once. */
interface MicroBatch {
  /** Ids of the tokens that it reads. */
  readonly tokens: Int32Array;
}

/**
 * What a run trains: a model, the micro-batches it learns from, what they cost, and how it is measured.
 *
 * @typeParam M The model.
 * @typeParam B A micro-batch.
 * @typeParam N How many tokens take part in its losses.
 * @typeParam S What the model is like on data that was held out.
 */
export interface Task<M, B extends MicroBatch, N extends object, S> {
  readonly model: M;
  /** The embedding of tokens where only those of its rows that are read have a gradient; else null. */
  readonly embedding: Tensor | null;
  /** The module of worker threads, from the folder of this package's code; it makes micro-batch i of `stream`. */
  readonly worker: string;
  readonly stream: unknown;
  tokens(batch: B): N;
  /**
   * Adds the gradients of the losses of a micro-batch to those of the model. Losses are means over `tokens`, those of all the
   * micro-batches of a step: the losses of the step are the sum of theirs. They are there until the next call.
   */
  learn(batch: B, tokens: N, dropoutSeed: number): LossValues;
  /** Frees what `learn` keeps for its next calls. */
  release?(): void;
  evaluate(): Promise<Evaluation<S>>;
}

export interface Evaluation<S> {
  readonly summary: S;
  /** The better the higher. */
  readonly score: number;
  /** For the log. */
  readonly line: string;
  /** For `metrics.jsonl`. */
  readonly metrics: Readonly<Record<string, unknown>>;
}

export interface TrainOptions {
  /** Finishes the step, saves and returns when aborted, on whichever rank. */
  readonly signal?: AbortSignal;
  /** The processes that train together, each of which makes this call with the same configuration; left out, this one. */
  readonly communicator?: Communicator;
}

export interface TrainResult<M, S> {
  readonly model: M;
  /** The last step taken. */
  readonly step: number;
  /** On held-out data, after the last step; null where the run was stopped before, and on ranks other than 0. */
  readonly summary: S | null;
  /** The folder of the last checkpoint; on ranks other than 0 of the one that the run began with. */
  readonly checkpoint: string;
  /** Milliseconds of this call, and how many of them it waited for data. */
  readonly elapsed: number;
  readonly waited: number;
}

/**
 * Trains what `makeTask` makes of the checkpoint that the run begins with, or of none where it `isNew`. Writes `metrics.jsonl` and
 * checkpoints to `config.outDir`. The same configuration gives the same bits, also where the run was stopped and resumed.
 *
 * Ranks of a communicator each take micro-batches of their own, and the sum of their gradients; only rank 0 reads and
 * writes files of the run, evaluates and logs.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`, `mpi`, and `bad-input`
 *   where the loss or its gradient is no longer finite. Other ranks wait for one that throws: end them by `abort`.
 */
export async function runTraining<M extends Trainable, B extends MicroBatch, N extends object, S>(
  config: TrainConfig,
  makeTask: (checkpoint: Checkpoint | null) => Task<M, B, N, S>,
  {
    signal,
    communicator = alone,
    isNew = config.init_from === 'scratch',
  }: TrainOptions & { isNew?: boolean } = {},
): Promise<TrainResult<M, S>> {
  const started = performance.now();
  if (config.device !== 'auto') setDefaultDevice(config.device);
  if (config.matmulPrecision !== 'auto') setMatmulPrecision(config.matmulPrecision);
  shareCores(communicator);
  const isFirst = communicator.rank === 0;
  const progress = isFirst ? createProgress({ total: config.maxSteps }) : NO_PROGRESS;
  const warn = once(progress.log);
  let lock: RunLock | null = null;
  let run: Run | undefined;
  try {
    if (communicator.size > 1) progress.log(communicator.description);
    if (isFirst) lock = await lockRun(config.outDir, { log: warn, signal });
    const beginning = await start(config, makeTask, isNew, communicator, lock, warn);
    const { task } = beginning;
    run = beginning.run;
    const metrics = isFirst ? openMetrics(join(config.outDir, 'metrics.jsonl')) : null;
    // Else `resume` would go on from elsewhere, or find nothing, where this process is killed before it saves.
    if (isFirst && run.checkpoint !== '' && run.savedStep === NEVER) await save(task.model, run, config);
    metrics?.truncateAfter(run.step, warn);
    if (run.step >= config.maxSteps) progress.log(`nothing to do: step ${run.step} of ${config.maxSteps}`);
    // Loaded here: of all that loads this module, only what trains starts threads.
    const { Prefetcher } = await import('./data/pool.js');
    const batches = new Prefetcher<B>({
      worker: new URL(WORKERS + task.worker, import.meta.url),
      workerData: task.stream,
      workers: Math.min(config.data.workers, availableParallelism()),
      ahead: config.data.prefetch,
      index: ownBatches(run.batches, config, communicator),
    });
    const sums = communicator.size > 1 ? new GradientSums(communicator) : null;
    try {
      let last: Evaluation<S> | null = null;
      let stopped = false;
      while (run.step < config.maxSteps) {
        const begun = performance.now();
        // Ranks stop together, which takes the micro-batches of all.
        const micro = await takeStep(batches, config.accumulate, communicator.size > 1 ? undefined : signal);
        const tokens = total(micro.map((batch) => task.tokens(batch)));
        // Where one rank is to stop all do, at the same step.
        const counts = await sumByName({ ...tokens, aborted: signal?.aborted ? 1 : 0 }, communicator);
        stopped = counts.aborted > 0;
        if (stopped) break;
        const step = await trainStep(task, run, config, { micro, tokens: counts }, communicator, sums);
        const stepMs = performance.now() - begun;
        if (!Number.isFinite(step.loss + step.gradNorm))
          throw new TrainError(
            'bad-input',
            `the loss is ${step.loss} at step ${run.step}, the norm of the gradient ${step.gradNorm}; ` +
              'this step is not saved, a lower optimizer.lr may help',
          );
        const isLast = run.step === config.maxSteps;
        const isDue = run.step % config.checkpoint.every === 0 || isLast;
        const isEvaluated = run.step % config.evaluation.every === 0 || isLast;
        if (isDue || isEvaluated) await checkWeights(task.model, run, communicator);
        if (!metrics) continue;
        if (run.step % config.logEvery === 0 || isLast) {
          const { loss, parts, lr, gradNorm } = step;
          progress.update(run.step, { loss, stepMs, lr });
          lock?.check();
          metrics.append({ step: run.step, loss, ...parts, lr, gradNorm, stepMs });
        }
        if (isEvaluated) {
          last = await task.evaluate();
          progress.log(`step ${run.step}: ${last.line}`);
          lock?.check();
          metrics.append({ step: run.step, heldOut: last.metrics });
          // Of equals the later one, which has learned longer.
          run.isBest = run.best === null || last.score >= run.best;
          if (run.isBest) run.best = last.score;
        }
        if (isDue || run.isBest) await save(task.model, run, config);
      }
      if (stopped) {
        await checkWeights(task.model, run, communicator);
        if (isFirst && run.savedStep !== run.step) await save(task.model, run, config);
      }
      const isDone = isFirst && !stopped;
      return {
        model: task.model,
        step: run.step,
        summary: isDone ? (last ?? (await task.evaluate())).summary : null,
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
    throw withWayOut(error, run ?? null);
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

/** The indices of a rank's micro-batches, from micro-batch `first` on: a step takes those of rank 0, then those of rank 1, … */
function ownBatches(
  first: number,
  { accumulate }: TrainConfig,
  { rank, size }: Communicator,
): (n: number) => number {
  return (n) => first + (Math.floor(n / accumulate) * size + rank) * accumulate + (n % accumulate);
}

/** Worker threads run the built package, also where this module runs from its source. */
const WORKERS = import.meta.url.endsWith('.ts') ? '../dist/' : './';

/** The micro-batches of a step; none where `signal` is aborted while they are made, which may take long. */
async function takeStep<B>(
  batches: Prefetcher<B>,
  count: number,
  signal: AbortSignal | undefined,
): Promise<B[]> {
  const micro: B[] = [];
  try {
    while (micro.length < count) micro.push(await batches.next(signal));
    return micro;
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return [];
    throw error;
  }
}

interface StepReport {
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly lr: number;
  readonly gradNorm: number;
}

async function trainStep<M extends Trainable, B extends MicroBatch, N extends object, S>(
  task: Task<M, B, N, S>,
  run: Run,
  config: TrainConfig,
  { micro, tokens }: { readonly micro: readonly B[]; readonly tokens: N },
  { rank, size }: Communicator,
  sums: GradientSums | null,
): Promise<StepReport> {
  const { accumulate } = config;
  const parameters = learning(task.model);
  for (const p of parameters.values()) {
    // What no text of a step makes use of has a gradient of zero, in a resumed run as in one that was never stopped.
    p.grad ??= zeros(p.shape, { device: p.device });
    p.zeroGrad();
  }
  const { embedding } = task;
  const reads = (): number[] => micro.flatMap(({ tokens }) => [...tokens]);
  const sparse = sums && embedding ? await sums.sparse(embedding, reads()) : null;
  const told = micro.map((batch, i) =>
    scope(() => {
      // No two micro-batches have the same masks.
      const { names, values } = task.learn(batch, tokens, run.batches + rank * accumulate + i);
      // The next micro-batch overwrites those of a recorded step.
      return { names, values: affine(values, 1) };
    }),
  );
  const losses = told.map(({ values }) => values);
  const named = (numbers: ArrayLike<number>): Record<string, number> => {
    const own: Record<string, number> = { loss: 0, ...(size > 1 ? enabledLosses(config) : {}) };
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
  const lr = learningRate(run.step, config.maxSteps, config.optimizer);
  // Read at once: each read waits for the device.
  const [gradNorm, ...own] = scope(() => {
    const norm = reshape(run.optimizer.update(lr), [1]);
    return Array.from(cat([norm, ...(shared ? [] : losses)], 0).dataSync());
  });
  for (const values of losses) values.dispose();
  const { loss, ...parts } = shared ?? named(own);
  return { loss: loss!, parts, lr, gradNorm: gradNorm! };
}

/** 0 for each loss that is enabled: a rank may have no batch that one of them is of. */
function enabledLosses({ losses }: TrainConfig): Record<string, number> {
  const enabled = Object.entries(losses).filter(([, weight]) => weight > 0);
  return Object.fromEntries(enabled.map(([name]) => [name, 0]));
}

/** The sums of what has the same name. */
function total<N extends object>(counts: readonly N[]): N {
  const sums: Record<string, number> = {};
  for (const count of counts)
    for (const [name, n] of Object.entries(count) as [string, number][]) sums[name] = (sums[name] ?? 0) + n;
  return sums as N;
}
