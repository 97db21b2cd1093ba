import { z } from 'zod';
import { checkAnyConfig, type Kind, type TrainConfig } from '../config/config.js';
import { fromEarlier } from '../config/earlier.js';
import type { RunConfig } from '../config/run.js';
import { TrainError } from '../error.js';
import type { Checkpoint } from './checkpoint.js';

const stateSchema = z.object({
  step: z.int(),
  batches: z.int(),
  best: z.number().nullable(),
  config: z.unknown(),
});

/** The configuration that a checkpoint was trained with. @throws {TrainError} `bad-checkpoint`, also for a task from outside. */
export function checkpointConfig(checkpoint: Checkpoint): TrainConfig {
  const { config } = checkpointState(checkpoint);
  if (isOwnKind(config)) return config;
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder} holds a model of the task '${config.kind}', which only the program that trained it can load`,
  );
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

const isOwnKind = (config: RunConfig): config is TrainConfig =>
  config.kind === 'predictor' || config.kind === 'language';

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

type State = Omit<z.infer<typeof stateSchema>, 'config'> & { config: RunConfig };

/** What `state.json` says of the run. */
export function checkpointState(checkpoint: Checkpoint): State {
  const state = stateSchema.safeParse(checkpoint.state);
  if (!state.success)
    throw new TrainError('bad-checkpoint', `${checkpoint.folder}: state.json is not that of a training run`);
  const parsed = checkAnyConfig(fromEarlier(state.data.config));
  if ('config' in parsed) return { ...state.data, config: parsed.config };
  const unknownReadout = parsed.problems.find(({ paths: [path] }) => path === 'model.readout');
  // Of a readout that is not known neither are the losses.
  if (unknownReadout)
    throw new TrainError('bad-checkpoint', `${checkpoint.folder}: ${unknownReadout.message}`);
  const problems = parsed.problems.map(({ message }) => message).join('; ');
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder}: state.json is not that of this version of @dag/train: ${problems}`,
  );
}
