import { decodeSafetensors, encodeSafetensors, type Parameters } from '@dag/model';
import { relative } from 'node:path';
import { z } from 'zod';
import {
  checkpointFolders,
  fileOf,
  findCheckpoint,
  resolveCheckpoint,
  writeCheckpoint,
  type Checkpoint,
} from './checkpoint.js';
import { checkConfig, type TrainConfig } from './config.js';
import { TrainError } from './error.js';
import type { Communicator } from './mpi/communicator.js';
import { checkSameWeights, shareCheckpoint } from './mpi/shares.js';
import { AdamW } from './optimizer.js';
import { pretrainedCheckpoint } from './pretrained.js';

/** What the loop needs of a model. */
export interface Trainable {
  readonly parameters: Parameters;
  /** The same in parts whose gradients are clipped each by itself; one part where left out. */
  readonly parts?: readonly Parameters[];
  save(): Uint8Array;
}

/** Where a run stands. */
export interface Run {
  readonly optimizer: AdamW;
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
 * The run as it begins: with the checkpoint that its `init_from` means, or anew. Rank 0 alone reads, and shares what it read.
 *
 * @throws {TrainError} `busy-directory`, `no-checkpoint`, `bad-checkpoint`, `bad-config`, `io`.
 */
export async function start<T extends { readonly model: Trainable }>(
  config: TrainConfig,
  makeTask: (checkpoint: Checkpoint | null) => T,
  isNew: boolean,
  communicator: Communicator,
  log: (line: string) => void,
): Promise<{ task: T; run: Run }> {
  const read = communicator.rank === 0 ? await readInitial(config, isNew, log) : null;
  const checkpoint = await shareCheckpoint(read, communicator);
  const task = makeTask(checkpoint);
  const optimizer = new AdamW(learning(task.model), config.optimizer, task.model.parts);
  const fresh = { step: 0, batches: 0, best: null, isBest: false, checkpoint: '', savedStep: NEVER };
  let run: Run = { ...fresh, optimizer, origin: config.init_from };
  if (checkpoint) {
    const { folder } = checkpoint;
    const { step, batches, best, config: before } = checkpointState(checkpoint);
    // A shipped checkpoint is without: the moments begin anew.
    if (checkpoint.files.has(OPTIMIZER))
      optimizer.restore(decodeSafetensors(fileOf(checkpoint, OPTIMIZER)).tensors, step);
    log(`going on from ${folder}`);
    // Scores of another run may be of other expressions.
    const own = isOwn(folder, config)
      ? { origin: before.init_from, best, isBest: checkpoint.best !== null }
      : {};
    const savedStep = config.init_from === 'resume' ? step : NEVER;
    run = { ...run, step, batches, checkpoint: folder, savedStep, ...own };
  }
  await checkSameWeights(learning(task.model), run.step, communicator);
  return { task, run };
}

/** Whether a checkpoint is one of the configuration's run. */
const isOwn = (folder: string, { outDir }: TrainConfig): boolean =>
  !relative(outDir, folder).startsWith('..');

/** The parameters that are trained. */
export const learning = ({ parameters }: Trainable): Parameters =>
  new Map([...parameters].filter(([, p]) => p.requiresGrad));

/** The checkpoint that the run begins with, null where it is new. */
async function readInitial(
  config: TrainConfig,
  isNew: boolean,
  log: (line: string) => void,
): Promise<Checkpoint | null> {
  const checkpoint = isNew ? null : await findInitial(config, log);
  if (!checkpoint || !isOwn(checkpoint.folder, config)) await refuseUsedFolder(config.outDir);
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

/** @throws {TrainError} `bad-checkpoint` where a checkpoint holds a model of another kind. */
export function requireKind(checkpoint: Checkpoint, wanted: TrainConfig['kind']): void {
  const { kind } = checkpointConfig(checkpoint);
  if (kind === wanted) return;
  const names = { predictor: 'plan predictor', language: 'language model' };
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder} holds a ${names[kind]}, a ${names[wanted]} is asked for`,
  );
}

type State = Omit<z.infer<typeof stateSchema>, 'config'> & { config: TrainConfig };

function checkpointState(checkpoint: Checkpoint): State {
  const state = stateSchema.safeParse(checkpoint.state);
  if (!state.success)
    throw new TrainError('bad-checkpoint', `${checkpoint.folder}: state.json is not that of a training run`);
  const parsed = checkConfig(state.data.config);
  if ('config' in parsed) return { ...state.data, config: parsed.config };
  const problems = parsed.problems.map(({ message }) => message).join('; ');
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder}: state.json is not that of this version of @dag/train: ${problems}`,
  );
}

/** A resumed run has the model and the stream that it had; from a path another stream may follow. */
function checkSameRun(before: TrainConfig, now: TrainConfig, folder: string): void {
  const isResumed = now.init_from === 'resume' || now.init_from === 'best';
  const fixed = (config: TrainConfig): Record<string, unknown> => {
    const { kind, tokenizer, model, freezeBackbone, accumulate, batchSize, seed, data } = config;
    const weights = { kind, tokenizer, ...prefixed('model', model), freezeBackbone };
    if (!isResumed) return weights;
    // How many threads make the examples changes nothing of them.
    const examples = prefixed('data', { ...data, workers: 0, prefetch: 0 });
    return { ...weights, accumulate, batchSize, seed, ...examples };
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

/** Writes a checkpoint of the run as it is. @throws {TrainError} `io`. */
export async function save(model: Trainable, run: Run, config: TrainConfig): Promise<void> {
  const files = new Map([
    ['model.safetensors', model.save()],
    [OPTIMIZER, encodeSafetensors(run.optimizer.state())],
  ]);
  const { step, batches, best, isBest, origin } = run;
  const state = { step, batches, best, config: { ...config, init_from: origin } };
  run.checkpoint = await writeCheckpoint(config.outDir, step, files, state, {
    keep: config.checkpoint.keep,
    best: isBest && best !== null ? best : undefined,
  });
  run.savedStep = step;
}

/** What the system refused, with what is safe and how the run goes on. */
export function withWayOut(error: unknown, { savedStep }: Run): unknown {
  if (!(error instanceof TrainError && error.code === 'io')) return error;
  const wayOut =
    savedStep === NEVER
      ? 'nothing of this run was saved yet: with room and permission there, or in another --outDir, it can start'
      : `step ${savedStep} is saved: with room and permission there, --init_from=resume goes on from it`;
  return new TrainError('io', `${error.message}; ${wayOut}`, { cause: error });
}
