import { z } from 'zod';
import { requireArguments } from '../arguments.js';
import { checkAnyConfig, KINDS, type Kind, type TrainConfig } from '../config/config.js';
import type { RunConfig } from '../config/run.js';
import { TrainError } from '../error.js';
import type { Checkpoint } from './checkpoint.js';

const stateSchema = z.object({
  step: z.int(),
  batches: z.int(),
  best: z.number().nullable(),
  config: z.unknown(),
});

/** The configuration that a checkpoint was trained with. @throws {TrainError} `bad-checkpoint`, also if a task of your own trained it. */
export function checkpointConfig(checkpoint: Checkpoint): TrainConfig {
  const { config } = checkpointState(checkpoint);
  if (isOwnKind(config)) return config;
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder} holds a model of the task '${config.kind}', which only the program that trained it can load`,
  );
}

/** The configuration of a checkpoint of the `wanted` kind. @throws {TrainError} `bad-checkpoint` if it is of another kind. */
export function configOfKind<K extends Kind>(
  checkpoint: Checkpoint,
  wanted: K,
): Extract<TrainConfig, { kind: K }> {
  if (typeof checkpoint !== 'object')
    throw new TrainError(
      'bad-input',
      `expected a checkpoint, as await resolveCheckpoint(path) returns it, given ${String(checkpoint)}`,
    );
  const config = checkpointConfig(checkpoint);
  if (isOfKind(config, wanted)) return config;
  const uses = {
    predictor: '`dag predict` asks it',
    language: '`dag generate` continues a text with it',
    problems: '`dag predict` asks it',
  };
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder} holds a ${KIND_NAMES[config.kind]}, expected a ${KIND_NAMES[wanted]}; ${uses[config.kind]}`,
  );
}

/** What a model of each kind is called. */
export const KIND_NAMES: Readonly<Record<Kind, string>> = {
  predictor: 'plan predictor',
  language: 'language model',
  problems: 'model of word problems',
};

const isOwnKind = (config: RunConfig): config is TrainConfig => Object.hasOwn(KINDS, config.kind);

const isOfKind = <K extends Kind>(
  config: TrainConfig,
  kind: K,
): config is Extract<TrainConfig, { kind: K }> => config.kind === kind;

/**
 * Checks that model.safetensors and state.json of a checkpoint have the same model configuration. With another one the
 * weights might still fit but mean something else.
 * @throws {TrainError} `bad-checkpoint` with the key that differs.
 */
export function requireSameModel(checkpoint: Checkpoint, inWeights: object): void {
  const { model, ...config } = checkpointConfig(checkpoint);
  const tokenizer = 'tokenizer' in config ? { tokenizer: config.tokenizer } : {};
  const beside = new Map<string, unknown>(Object.entries({ ...model, ...tokenizer }));
  for (const [key, value] of Object.entries(inWeights))
    if (beside.has(key) && beside.get(key) !== value)
      throw new TrainError(
        'bad-checkpoint',
        `checkpoint ${checkpoint.folder} is damaged: model.safetensors says ${key} is ${JSON.stringify(value)}, ` +
          `state.json ${JSON.stringify(beside.get(key))}`,
      );
}

type State = Omit<z.infer<typeof stateSchema>, 'config'> & { config: RunConfig };

/** The parsed `state.json` of a checkpoint. @throws {TrainError} `bad-checkpoint` */
export function checkpointState(checkpoint: Checkpoint): State {
  requireArguments('checkpointState', {
    checkpoint: [checkpoint, { folder: 'a string', state: 'an object' }],
  });
  const state = stateSchema.safeParse(checkpoint.state);
  if (!state.success)
    throw new TrainError(
      'bad-checkpoint',
      `${checkpoint.folder}: state.json does not have the fields of a training run`,
    );
  const parsed = checkAnyConfig(state.data.config);
  if ('config' in parsed) return { ...state.data, config: parsed.config };
  const unknownReadout = parsed.problems.find(({ paths: [path] }) => path === 'model.readout');
  // With an unknown readout its losses are unknown too: report only the readout.
  if (unknownReadout)
    throw new TrainError('bad-checkpoint', `${checkpoint.folder}: ${unknownReadout.message}`);
  const problems = parsed.problems.map(({ message }) => message).join('; ');
  throw new TrainError(
    'bad-checkpoint',
    `${checkpoint.folder}: state.json does not fit this version of @dag/train: ${problems}`,
  );
}
