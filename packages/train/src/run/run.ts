import { ExecutorError } from '@dag/executor';
import { decodeSafetensors, safetensorsPieces } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import {
  checkpointFolders,
  fileOf,
  findCheckpoint,
  writeCheckpoint,
  type Checkpoint,
} from '../checkpoints/checkpoint.js';
import { checkpointOfWeights } from '../checkpoints/pretrained.js';
import { checkpointState } from '../checkpoints/state.js';
import { isSection } from '../config/problems.js';
import type { RunConfig } from '../config/run.js';
import { TrainError } from '../error.js';
import { systemCode } from '../files/system-error.js';
import type { Communicator } from '../mpi/communicator.js';
import { checkSameWeights, shareCheckpoint } from '../mpi/shares.js';
import type { RunLock } from './lock/run-lock.js';
import { AdamW } from './optimizer.js';
import { findNonFinite, learning, requireFinite, type Taken } from './steps.js';
import type { Task, Trainable } from './task.js';

/** The state of a run. */
export interface Run<M extends Trainable = Trainable> extends Taken<M> {
  /** The lock of the folder; null on ranks other than 0, which write nothing. */
  readonly lock: RunLock | null;
  /** Logs failures that do not stop the run. */
  readonly warn: (message: string) => void;
  /** `weights` of the configuration with which the run was first started. */
  readonly origin: string;
  /** The folder of the last saved checkpoint, or of the one that the run began with; empty if there is none. */
  checkpoint: string;
  savedStep: number;
}

const OPTIMIZER = 'optimizer.safetensors';

/** `savedStep` of a run that has not saved anything to its own folder yet. */
export const NEVER = -1;

/**
 * Starts a run: with `resume` from a checkpoint of its folder, else at step 0 with the weights that the configuration names. Only rank 0
 * reads files; it shares what it read.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`.
 */
export async function start<M extends Trainable>(
  task: Pick<Task<M>, 'model' | 'readsWeights'>,
  config: RunConfig,
  communicator: Communicator,
  lock: RunLock | null,
  warn: (line: string) => void,
): Promise<Run<M>> {
  const read = communicator.rank === 0 ? await readInitial(task, config, warn) : null;
  const checkpoint = await shareCheckpoint(read, communicator);
  const model = task.model(checkpoint);
  const optimizer = new AdamW(learning(model), config.optimizer, model.parts);
  const folder = checkpoint?.folder ?? '';
  const fresh = { step: 0, batches: 0, best: null, isBest: false, checkpoint: folder, savedStep: NEVER };
  let run: Run<M> = { ...fresh, model, optimizer, lock, warn, origin: config.weights };
  if (checkpoint && config.resume) {
    const { step, batches, best, config: before } = checkpointState(checkpoint);
    if (!checkpoint.files.has(OPTIMIZER))
      throw new TrainError(
        'bad-checkpoint',
        `${folder} has no ${OPTIMIZER}, so the run cannot be resumed; --weights=${folder} with another --outDir begins a ` +
          'new run with its weights',
      );
    optimizer.restore(decodeSafetensors(fileOf(checkpoint, OPTIMIZER)).tensors, step);
    warn(`resuming from ${folder}`);
    const savedStep = config.resume === 'best' ? NEVER : step;
    const isComparable = comparable(before) === comparable(config);
    if (!isComparable && best !== null)
      warn('evaluation.seed or evaluation.examples changed: the best score starts anew');
    const isBest = isComparable && checkpoint.best !== null;
    const origin = before.weights;
    run = { ...run, step, batches, best: isComparable ? best : null, isBest, origin, savedStep };
  } else if (checkpoint) warn(`beginning with the weights of ${folder}`);
  await checkSameWeights(learning(model), run.step, communicator);
  const problem = findNonFinite(run);
  if (problem !== null)
    throw new TrainError('bad-checkpoint', `${folder}: ${problem}; no run can continue from it`);
  return run;
}

/** The settings that select the held-out data. Scores are compared only if they are the same. */
const comparable = ({ evaluation: { seed, examples } }: Pick<RunConfig, 'evaluation'>): string =>
  `${seed} ${examples}`;

/** The checkpoint that the run begins with; null if it begins from scratch or the task reads its weights itself. */
async function readInitial(
  { readsWeights = false }: Pick<Task, 'readsWeights'>,
  config: RunConfig,
  log: (line: string) => void,
): Promise<Checkpoint | null> {
  const { resume, weights, outDir } = config;
  if (!resume) await refuseUsedFolder(outDir);
  if (!resume && (weights === 'scratch' || readsWeights)) return null;
  const checkpoint = resume
    ? await findCheckpoint(outDir, resume === 'best' ? 'best' : 'latest', log)
    : await checkpointOfWeights(weights, log);
  checkSameRun(checkpointState(checkpoint).config, config, checkpoint.folder);
  return checkpoint;
}

/** Refuses a folder with checkpoints, even if all are damaged: a new run would delete them one by one. */
async function refuseUsedFolder(outDir: string): Promise<void> {
  const [found] = await checkpointFolders(outDir);
  if (found !== undefined)
    throw new TrainError(
      'busy-directory',
      `${outDir} already holds a run (${found}); --resume continues it, another --outDir starts a new run`,
    );
}

/** Keys that a resumed run may change: they affect neither the model nor the examples. */
const FREE = new Set([
  ...['name', 'outDir', 'resume', 'weights', 'device', 'matmulPrecision', 'maxSteps', 'logEvery'],
  ...['losses', 'optimizer', 'evaluation', 'checkpoint', 'data.workers', 'data.prefetch'],
]);
/** Keys that determine the architecture, and so what weights fit. */
const OF_MODEL = /^(?:kind|tokenizer|model\..*)$/;

/** A resumed run must have the same model and stream; a new run that begins with existing weights, the same model. */
function checkSameRun(before: RunConfig, now: RunConfig, folder: string): void {
  const wanted = new Map(settings(now));
  const differing = [...settings(before)].filter(
    ([key, value]) => value !== wanted.get(key) && (now.resume || OF_MODEL.test(key)),
  );
  if (differing.length === 0) return;
  // If the kind differs, all keys differ: name only `kind`.
  const named = before.kind === now.kind ? differing : differing.filter(([key]) => key === 'kind');
  const differences = named.map(
    ([key, value]) => `${key} = ${value}, the configuration says ${wanted.get(key)}`,
  );
  const wayOut =
    !now.resume && now.weights === 'pretrained'
      ? '`dag train reading --weights=pretrained` has the configuration of these weights'
      : 'use the settings of the checkpoint, or train another model in another --outDir';
  throw new TrainError('bad-config', `${folder} was trained with ${differences.join('; with ')}; ${wayOut}`);
}

/** All settings except those in `FREE`: dotted key and value as JSON. */
function* settings(config: object, prefix = ''): Iterable<[key: string, json: string]> {
  for (const [name, value] of Object.entries(config) as [string, unknown][]) {
    const key = prefix + name;
    if (FREE.has(key)) continue;
    if (isSection(value)) yield* settings(value, `${key}.`);
    else yield [key, JSON.stringify(value)];
  }
}

/**
 * Checks on every rank that all ranks have the same weights, and that weights and optimiser moments are finite, so that
 * a run can continue from what is saved.
 * @throws {TrainError} `mpi`, and `bad-input` that names a tensor that is not finite.
 */
export async function checkWeights(run: Run, communicator: Communicator): Promise<void> {
  await checkSameWeights(learning(run.model), run.step, communicator);
  requireFinite(run);
}

/** Writes a checkpoint of the run. @throws {TrainError} `io`; `busy-directory` if another process took over the folder. */
export async function save(run: Run, config: RunConfig): Promise<void> {
  const { model, step, batches, best, isBest, origin, optimizer, lock, warn } = run;
  const files = new Map([
    ['model.safetensors', model.savePieces()],
    [OPTIMIZER, safetensorsPieces(optimizer.liveState())],
  ]);
  const state = { step, batches, best, config: { ...config, resume: false, weights: origin } };
  lock?.check();
  try {
    run.checkpoint = await writeCheckpoint(config.outDir, step, files, state, {
      keep: config.checkpoint.keep,
      best: isBest && best !== null ? best : undefined,
      warn,
      beforeRename: () => lock?.check(),
    });
  } catch (error) {
    // A process that took over the folder may have deleted the unfinished checkpoint; report that instead.
    lock?.check();
    throw error;
  }
  run.savedStep = step;
}

/**
 * Whether the executor could not allocate a tensor, a worker thread a batch, or V8 an array. V8 has no error class for that, so
 * its messages are matched.
 */
const isOutOfMemory = (error: unknown): boolean =>
  (error instanceof ExecutorError && error.code === 'memory') ||
  (error instanceof TensorizeError && error.code === 'too-large') ||
  systemCode(error) === 'ERR_WORKER_OUT_OF_MEMORY' ||
  (error instanceof RangeError && /allocation failed|array length|array buffer/i.test(error.message));

/** Adds to an out-of-memory or `io` error which step is saved and how to continue. */
export function withWayOut(error: unknown, run: Run | null): unknown {
  const savedStep = run?.savedStep ?? NEVER;
  if (isOutOfMemory(error)) {
    const saved = savedStep === NEVER ? 'nothing of this run was saved yet' : `step ${savedStep} is saved`;
    return new TrainError(
      'memory',
      `there is not enough memory to train this model (${String(error)}); ${saved}; use a smaller batchSize ` +
        '(with more accumulate), model.blockSize or model',
      { cause: error },
    );
  }
  if (!run) return error;
  if (!(error instanceof TrainError && error.code === 'io')) return error;
  const wayOut =
    savedStep === NEVER
      ? 'nothing of this run was saved yet: free space or fix permissions there, or use another --outDir, then start it again'
      : `step ${savedStep} is saved: free space or fix permissions there, then continue from it with --resume`;
  return new TrainError('io', `${error.message}; ${wayOut}`, { cause: error });
}
