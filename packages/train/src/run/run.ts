import { ExecutorError } from '@dag/executor';
import { decodeSafetensors, safetensorsPieces, type Parameters } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import {
  checkpointFolders,
  fileOf,
  findCheckpoint,
  resolveCheckpoint,
  writeCheckpoint,
  type Checkpoint,
} from '../checkpoints/checkpoint.js';
import { pretrainedCheckpoint } from '../checkpoints/pretrained.js';
import { checkpointState } from '../checkpoints/state.js';
import { isSection } from '../config/problems.js';
import type { RunConfig } from '../config/run.js';
import { TrainError } from '../error.js';
import { systemCode } from '../files/system-error.js';
import type { Communicator } from '../mpi/communicator.js';
import { checkSameWeights, shareCheckpoint } from '../mpi/shares.js';
import type { RunLock } from './lock/run-lock.js';
import { AdamW } from './optimizer.js';
import type { Task, Trainable } from './task.js';

/** Where a run stands. */
export interface Run<M extends Trainable = Trainable> {
  readonly model: M;
  readonly optimizer: AdamW;
  /** By which this process owns the folder; null on ranks that write nothing. */
  readonly lock: RunLock | null;
  /** Tells of what failed and does no harm. */
  readonly warn: (message: string) => void;
  /** The `weights` that it began with, before it was ever resumed. */
  readonly origin: string;
  /** Steps taken. */
  step: number;
  /** Micro-batches that all ranks have taken: the next one is of this index. */
  batches: number;
  /** The best score so far; null before the first. */
  best: number | null;
  /** Whether that is the score of the weights as they are. */
  isBest: boolean;
  /** The folder that it saved to last, or that it began with; empty where there is none. */
  checkpoint: string;
  savedStep: number;
}

/** The file of the optimiser's state. */
const OPTIMIZER = 'optimizer.safetensors';

/** `savedStep` of a run that has saved nothing yet to its own folder. */
export const NEVER = -1;

/**
 * The run as it begins: where a checkpoint of its folder stands, or anew at step 0, with the weights that the configuration names or
 * new ones. Rank 0 alone reads, and shares what it read.
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
        `${folder} has no ${OPTIMIZER}, without which no run goes on; --weights=${folder} with another --outDir begins a ` +
          'new one with its weights',
      );
    optimizer.restore(decodeSafetensors(fileOf(checkpoint, OPTIMIZER)).tensors, step);
    warn(`going on from ${folder}`);
    const savedStep = config.resume === 'best' ? NEVER : step;
    const isComparable = comparable(before) === comparable(config);
    if (!isComparable && best !== null)
      warn('evaluation.seed or evaluation.examples is another than before: the best score starts anew');
    const isBest = isComparable && checkpoint.best !== null;
    const origin = before.weights;
    run = { ...run, step, batches, best: isComparable ? best : null, isBest, origin, savedStep };
  } else if (checkpoint) warn(`beginning with the weights of ${folder}`);
  await checkSameWeights(learning(model), run.step, communicator);
  const problem = findNonFinite(run);
  if (problem !== null)
    throw new TrainError('bad-checkpoint', `${folder}: ${problem}; no run can go on from it`);
  return run;
}

/** What decides which held-out data is asked: scores on others are not compared. */
const comparable = ({ evaluation: { seed, examples } }: Pick<RunConfig, 'evaluation'>): string =>
  `${seed} ${examples}`;

/** The parameters that are trained. */
export const learning = ({ parameters }: Trainable): Parameters =>
  new Map([...parameters].filter(([, p]) => p.requiresGrad));

/** The checkpoint that the run begins with, null where it is of none. */
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
    : await (weights === 'pretrained' ? pretrainedCheckpoint() : resolveCheckpoint(weights, log));
  checkSameRun(checkpointState(checkpoint).config, config, checkpoint.folder);
  return checkpoint;
}

/** Also where all of its checkpoints are damaged: a new run would delete them, one after the other. */
async function refuseUsedFolder(outDir: string): Promise<void> {
  const [found] = await checkpointFolders(outDir);
  if (found !== undefined)
    throw new TrainError(
      'busy-directory',
      `${outDir} already holds a run (${found}); --resume goes on with it, another --outDir starts afresh`,
    );
}

/** Keys that may be others when a run goes on: they change neither the model nor the examples. */
const FREE = new Set([
  ...['name', 'outDir', 'resume', 'weights', 'device', 'matmulPrecision', 'maxSteps', 'logEvery'],
  ...['losses', 'optimizer', 'evaluation', 'checkpoint', 'data.workers', 'data.prefetch'],
]);
/** What decides how the model reads its weights. */
const OF_MODEL = /^(?:kind|tokenizer|model\..*)$/;

/** A run that goes on has the model and the stream that it had; one that begins with weights, their model. */
function checkSameRun(before: RunConfig, now: RunConfig, folder: string): void {
  const wanted = new Map(settings(now));
  const differing = [...settings(before)].filter(
    ([key, value]) => value !== wanted.get(key) && (now.resume || OF_MODEL.test(key)),
  );
  if (differing.length === 0) return;
  // Of another kind all keys are others.
  const named = before.kind === now.kind ? differing : differing.filter(([key]) => key === 'kind');
  const differences = named.map(
    ([key, value]) => `${key} = ${value}, the configuration says ${wanted.get(key)}`,
  );
  const wayOut =
    !now.resume && now.weights === 'pretrained'
      ? '`dag train pretrained --weights=pretrained` has the configuration of these weights'
      : 'go on with the former, or train another model in another --outDir';
  throw new TrainError('bad-config', `${folder} was trained with ${differences.join('; with ')}; ${wayOut}`);
}

/** The settings that are not free, by their dotted keys, as JSON. */
function* settings(config: object, prefix = ''): Iterable<[key: string, json: string]> {
  for (const [name, value] of Object.entries(config) as [string, unknown][]) {
    const key = prefix + name;
    if (FREE.has(key)) continue;
    if (isSection(value)) yield* settings(value, `${key}.`);
    else yield [key, JSON.stringify(value)];
  }
}

/**
 * Checks on every rank that all have the same weights and that these, and the moments of the optimiser, are finite: what
 * is saved can be gone on with.
 * @throws {TrainError} `mpi`, and `bad-input` that names a tensor that is not finite.
 */
export async function checkWeights(run: Run, communicator: Communicator): Promise<void> {
  await checkSameWeights(learning(run.model), run.step, communicator);
  const problem = findNonFinite(run);
  if (problem === null) return;
  const wayOut = 'this step is not saved, a lower optimizer.lr may help';
  throw new TrainError('bad-input', `${problem} after step ${run.step}; ${wayOut}`);
}

/** What of a run is NaN or infinite; null where nothing is. */
function findNonFinite({ model, optimizer }: Pick<Run, 'model' | 'optimizer'>): string | null {
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

/** Writes a checkpoint of the run as it is. @throws {TrainError} `io`, `busy-directory` where the folder was taken over. */
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
    // Whoever took the folder over may have deleted what was being written.
    lock?.check();
    throw error;
  }
  run.savedStep = step;
}

/**
 * Whether the executor found no room for a tensor, a worker thread for a batch, or V8 for an array; V8 has no class of its own
 * for that.
 */
const isOutOfMemory = (error: unknown): boolean =>
  (error instanceof ExecutorError && error.code === 'memory') ||
  (error instanceof TensorizeError && error.code === 'too-large') ||
  systemCode(error) === 'ERR_WORKER_OUT_OF_MEMORY' ||
  (error instanceof RangeError && /allocation failed|array length|array buffer/i.test(error.message));

/** What the system refused, with what is safe and how the run goes on. */
export function withWayOut(error: unknown, run: Run | null): unknown {
  const savedStep = run?.savedStep ?? NEVER;
  if (isOutOfMemory(error)) {
    const saved = savedStep === NEVER ? 'nothing of this run was saved yet' : `step ${savedStep} is saved`;
    return new TrainError(
      'memory',
      `there is not enough memory to train this model (${String(error)}); ${saved}; a smaller batchSize ` +
        '(with more accumulate), model.blockSize or model needs less',
      { cause: error },
    );
  }
  if (!run) return error;
  if (!(error instanceof TrainError && error.code === 'io')) return error;
  const wayOut =
    savedStep === NEVER
      ? 'nothing of this run was saved yet: with room and permission there, or in another --outDir, it can start'
      : `step ${savedStep} is saved: with room and permission there, --resume goes on from it`;
  return new TrainError('io', `${error.message}; ${wayOut}`, { cause: error });
}
