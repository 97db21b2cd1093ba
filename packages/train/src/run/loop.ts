import '@dag/executor/cuda';
import { join } from 'node:path';
import { requireArguments } from '../arguments.js';
import { reportedSeed, type RunConfig } from '../config/run.js';
import { parseTaskConfig, type TaskConfigInput } from '../config/task.js';
import { alone, type Communicator } from '../mpi/communicator.js';
import { joinGpus, shareCores, type Gpus } from '../mpi/shares.js';
import { openBatches, takeStep } from '../workers/batches.js';
import { lockRun, type RunLock } from './lock/run-lock.js';
import { openMetrics } from './metrics.js';
import { createProgress, NO_PROGRESS } from './progress.js';
import { checkWeights, NEVER, save, start, withWayOut, type Run } from './run.js';
import { chooseDevice, evaluate, takeSteps } from './steps.js';
import type { Task, Trainable } from './task.js';

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
  requireArguments('trainTask', {
    task: [
      task,
      {
        kind: 'a string',
        losses: 'an object',
        stream: 'an object',
        model: 'a function',
        learn: 'a function',
      },
    ],
    config: [config, 'an object'],
    options: [options, 'an object'],
  });
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
  chooseDevice(config);
  shareCores(communicator);
  const isFirst = communicator.rank === 0;
  const progress = isFirst ? createProgress({ total: config.maxSteps }) : NO_PROGRESS;
  const warn = once(progress.log);
  let lock: RunLock | null = null;
  let run: Run<M> | null = null;
  let gpus: Gpus | null = null;
  try {
    if (communicator.size > 1) {
      progress.log(communicator.description);
      gpus = await joinGpus(communicator);
      for (const line of gpus?.lines ?? []) progress.log(line);
    }
    if (isFirst) lock = await lockRun(config.outDir, { log: warn, signal });
    const own = await start(task, config, communicator, lock, warn);
    run = own;
    const metrics = isFirst ? openMetrics(join(config.outDir, 'metrics.jsonl')) : null;
    // Save the initial state: if this process is killed before its first save, `resume` would find nothing, or another state.
    if (isFirst && run.checkpoint !== '' && run.savedStep === NEVER) await save(run, config);
    metrics?.truncateAfter(run.step, warn);
    if (run.step >= config.maxSteps) progress.log(`nothing to do: step ${run.step} of ${config.maxSteps}`);
    const batches = await openBatches<B>(task.stream, config, run.batches, communicator);
    try {
      const stopped = await takeSteps(task, run, config, {
        ranks: {
          ...{ rank: communicator.rank, size: communicator.size, gpus: gpus?.group ?? null },
          sumInPlace: (values) => communicator.sumInPlace(values),
        },
        signal,
        // With several ranks the signal does not interrupt the wait: ranks stop together, after each has its micro-batches.
        take: (count) => takeStep(batches, count, communicator.size > 1 ? undefined : signal),
        check: () => checkWeights(own, communicator),
        onStep({ step, ...numbers }) {
          const { loss, stepMs, lr } = numbers;
          progress.update(step, { loss, stepMs, lr });
          lock?.check();
          metrics?.append({ step, ...numbers });
        },
        onEvaluation(step, { line, metrics: heldOut }) {
          progress.log(`step ${step}: ${line}`);
          lock?.check();
          const { seed, examples } = config.evaluation;
          metrics?.append({ step, heldOut, evaluation: { seed, examples } });
        },
        save: () => save(own, config),
      });
      if (stopped) {
        await checkWeights(run, communicator);
        if (isFirst && run.savedStep !== run.step) await save(run, config);
      }
      // Not after an error: it waits for the sums of all ranks.
      gpus?.group?.close();
      let summary: S | null = null;
      if (isFirst && !stopped) {
        ({ summary } = await evaluate(task, run, reportedSeed(config.evaluation)));
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
