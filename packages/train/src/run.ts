import { ExecutorError } from '@dag/executor';
import { decodeSafetensors, safetensorsPieces, type Parameters } from '@dag/model';
import { TensorizeError } from '@dag/tensorize';
import { z } from 'zod';
import {
  checkpointFolders,
  fileOf,
  findCheckpoint,
  resolveCheckpoint,
  writeCheckpoint,
  type Checkpoint,
} from './checkpoint.js';
import { checkConfig, type Kind, type TrainConfig } from './config/config.js';
import { fromEarlier } from './config/earlier.js';
import { TrainError } from './error.js';
import type { Communicator } from './mpi/communicator.js';
import { checkSameWeights, shareCheckpoint } from './mpi/shares.js';
import { AdamW } from './optimizer.js';
import { pretrainedCheckpoint } from './pretrained.js';
import type { RunLock } from './run-lock.js';
import { systemCode } from './system-error.js';

/** What the loop needs of a model. */
export interface Trainable {
  readonly parameters: Parameters;
  /** The same in parts whose gradients are clipped each by itself; one part where left out. */
  readonly parts?: readonly Parameters[];
  /** The file of its weights, one tensor after another. */
  savePieces(): Iterable<Uint8Array>;
}

/** Where a run stands. */
export interface Run {
  readonly optimizer: AdamW;
  /** By which this process owns the folder; null on ranks that write nothing. */
  readonly lock: RunLock | null;
  /** Tells of what failed and does no harm. */
  readonly warn: (message: string) => void;
  /** The `init_from` that it began with, before it was ever resumed. */
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

const stateSchema = z.object({
  step: z.int(),
  batches: z.int(),
  best: z.number().nullable(),
  config: z.unknown(),
});

/**
 * The run as it begins: where a checkpoint of its folder stands, or anew at step 0, with the weights that its `init_from`
 * means or new ones. Rank 0 alone reads, and shares what it read.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`.
 */
export async function start<T extends { readonly model: Trainable }>(
  config: TrainConfig,
  makeTask: (checkpoint: Checkpoint | null) => T,
  isNew: boolean,
  communicator: Communicator,
  lock: RunLock | null,
  warn: (line: string) => void,
): Promise<{ task: T; run: Run }> {
  const read = communicator.rank === 0 ? await readInitial(config, isNew, warn) : null;
  const checkpoint = await shareCheckpoint(read, communicator);
  const task = makeTask(checkpoint);
  const optimizer = new AdamW(learning(task.model), config.optimizer, task.model.parts);
  const folder = checkpoint?.folder ?? '';
  const fresh = { step: 0, batches: 0, best: null, isBest: false, checkpoint: folder, savedStep: NEVER };
  let run: Run = { ...fresh, optimizer, lock, warn, origin: config.init_from };
  if (checkpoint && goesOn(config)) {
    const { step, batches, best, config: before } = checkpointState(checkpoint);
    if (!checkpoint.files.has(OPTIMIZER))
      throw new TrainError(
        'bad-checkpoint',
        `${folder} has no ${OPTIMIZER}, without which no run goes on; --init_from=${folder} with another --outDir begins a ` +
          'new one with its weights',
      );
    optimizer.restore(decodeSafetensors(fileOf(checkpoint, OPTIMIZER)).tensors, step);
    warn(`going on from ${folder}`);
    const savedStep = config.init_from === 'resume' ? step : NEVER;
    const isBest = checkpoint.best !== null;
    run = { ...run, step, batches, best, isBest, origin: before.init_from, savedStep };
  } else if (checkpoint) warn(`beginning with the weights of ${folder}`);
  await checkSameWeights(learning(task.model), run.step, communicator);
  const problem = findNonFinite(task.model, optimizer);
  if (problem !== null)
    throw new TrainError('bad-checkpoint', `${folder}: ${problem}; no run can go on from it`);
  return { task, run };
}

/** Whether a run goes on with one that is in its folder; else it is a new one, at step 0. */
const goesOn = ({ init_from }: TrainConfig): boolean => init_from === 'resume' || init_from === 'best';

/** The parameters that are trained. */
export const learning = ({ parameters }: Trainable): Parameters =>
  new Map([...parameters].filter(([, p]) => p.requiresGrad));

/** The checkpoint that the run begins with, null where it is new. */
async function readInitial(
  config: TrainConfig,
  isNew: boolean,
  log: (line: string) => void,
): Promise<Checkpoint | null> {
  if (!goesOn(config)) await refuseUsedFolder(config.outDir);
  const checkpoint = isNew ? null : await findInitial(config, log);
  if (checkpoint) checkSameRun(checkpointState(checkpoint).config, config, checkpoint.folder);
  return checkpoint;
}

async function findInitial(config: TrainConfig, log: (line: string) => void): Promise<Checkpoint> {
  switch (config.init_from) {
    case 'resume':
      return findCheckpoint(config.outDir, 'latest', log);
    case 'best':
      return findCheckpoint(config.outDir, 'best', log);
    case 'pretrained':
      return pretrainedCheckpoint();
    default:
      return resolveCheckpoint(config.init_from, log);
  }
}

/** Also where all of its checkpoints are damaged: a new run would delete them, one after the other. */
async function refuseUsedFolder(outDir: string): Promise<void> {
  const [found] = await checkpointFolders(outDir);
  if (found !== undefined)
    throw new TrainError(
      'busy-directory',
      `${outDir} already holds a run (${found}); --init_from=resume goes on with it, another --outDir starts afresh`,
    );
}

/** The configuration that a checkpoint was trained with. @throws {TrainError} `bad-checkpoint`. */
export function checkpointConfig(checkpoint: Checkpoint): TrainConfig {
  return checkpointState(checkpoint).config;
}

/** The configuration of a checkpoint of one kind. @throws {TrainError} `bad-checkpoint` where it holds a model of another. */
export function configOfKind<K extends Kind>(
  checkpoint: Checkpoint,
  wanted: K,
): Extract<TrainConfig, { kind: K }> {
  if (typeof checkpoint !== 'object')
    throw new TrainError(
      'bad-input',
      `expected a checkpoint, as await resolveCheckpoint(path) returns it, got ${String(checkpoint)}`,
    );
  const config = checkpointConfig(checkpoint);
  if (isOfKind(config, wanted)) return config;
  const names = { predictor: 'plan predictor', language: 'language model' };
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder} holds a ${names[config.kind]}, a ${names[wanted]} is asked for`,
  );
}

const isOfKind = <K extends Kind>(
  config: TrainConfig,
  kind: K,
): config is Extract<TrainConfig, { kind: K }> => config.kind === kind;

/**
 * Checks that the configuration in a checkpoint's weights is the one beside them: of another, weights may fit and mean
 * something else.
 * @throws {TrainError} `bad-checkpoint` that names the key.
 */
export function requireSameModel(checkpoint: Checkpoint, inWeights: object): void {
  const { model, tokenizer } = checkpointConfig(checkpoint);
  const beside = new Map<string, unknown>(Object.entries({ ...model, tokenizer }));
  for (const [key, value] of Object.entries(inWeights))
    if (beside.has(key) && beside.get(key) !== value)
      throw new TrainError(
        'bad-checkpoint',
        `checkpoint ${checkpoint.folder} is damaged: model.safetensors says ${key} is ${JSON.stringify(value)}, ` +
          `state.json ${JSON.stringify(beside.get(key))}`,
      );
}

type State = Omit<z.infer<typeof stateSchema>, 'config'> & { config: TrainConfig };

function checkpointState(checkpoint: Checkpoint): State {
  const state = stateSchema.safeParse(checkpoint.state);
  if (!state.success)
    throw new TrainError('bad-checkpoint', `${checkpoint.folder}: state.json is not that of a training run`);
  const parsed = checkConfig(fromEarlier(state.data.config));
  if ('config' in parsed) return { ...state.data, config: parsed.config };
  const problems = parsed.problems.map(({ message }) => message).join('; ');
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder}: state.json is not that of this version of @dag/train: ${problems}`,
  );
}

/** A run that goes on has the model and the stream that it had; one that begins with weights, their model. */
function checkSameRun(before: TrainConfig, now: TrainConfig, folder: string): void {
  const fixed = (config: TrainConfig): Record<string, unknown> => {
    const { kind, tokenizer, model, accumulate, batchSize, seed, data } = config;
    const freezeBackbone = config.kind === 'language' && config.freezeBackbone;
    const weights = { kind, tokenizer, ...prefixed('model', model) };
    if (!goesOn(now)) return weights;
    // How many threads make the examples changes nothing of them.
    const examples = prefixed('data', { ...data, workers: 0, prefetch: 0 });
    return { ...weights, freezeBackbone, accumulate, batchSize, seed, ...examples };
  };
  const wanted = fixed(now);
  for (const [key, value] of Object.entries(fixed(before)))
    if (value !== wanted[key])
      throw new TrainError(
        'bad-config',
        `${folder} was trained with ${key} = ${JSON.stringify(value)}, the configuration says ` +
          `${JSON.stringify(wanted[key])}; go on with the former, or train another model in another --outDir`,
      );
}

const prefixed = (section: string, values: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${section}.${key}`, value]));

/**
 * Checks on every rank that all have the same weights and that these, and the moments of the optimiser, are finite: what
 * is saved can be gone on with.
 * @throws {TrainError} `mpi`, and `bad-input` that names a tensor that is not finite.
 */
export async function checkWeights(model: Trainable, run: Run, communicator: Communicator): Promise<void> {
  await checkSameWeights(learning(model), run.step, communicator);
  const problem = findNonFinite(model, run.optimizer);
  if (problem === null) return;
  const wayOut = 'this step is not saved, a lower optimizer.lr may help';
  throw new TrainError('bad-input', `${problem} after step ${run.step}; ${wayOut}`);
}

/** What of a run is NaN or infinite; null where nothing is. */
function findNonFinite({ parameters }: Trainable, optimizer: AdamW): string | null {
  for (const [name, p] of parameters) {
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
export async function save(model: Trainable, run: Run, config: TrainConfig): Promise<void> {
  const { step, batches, best, isBest, origin, optimizer, lock, warn } = run;
  const files = new Map([
    ['model.safetensors', model.savePieces()],
    [OPTIMIZER, safetensorsPieces(optimizer.liveState())],
  ]);
  const state = { step, batches, best, config: { ...config, init_from: origin } };
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
      : `step ${savedStep} is saved: with room and permission there, --init_from=resume goes on from it`;
  return new TrainError('io', `${error.message}; ${wayOut}`, { cause: error });
}
