import type { z } from 'zod';
import { shown } from '../arguments.js';
import { TrainError } from '../error.js';
import { checkAnyConfig, KINDS } from './config.js';
import { checkLosses, type LossWeights } from './losses.js';
import type { anyRun, RunConfig } from './run.js';

/** The configuration of a task of your own: the keys of every run, and in `model` and `data` any settings of the task. */
export type TaskConfigInput = Omit<z.input<typeof anyRun>, 'kind'>;

/**
 * Checks the configuration of `trainTask` and fills in defaults.
 * @throws {TrainError} `bad-config` with a line for each wrong key and each wrong value.
 */
export function parseTaskConfig(
  input: TaskConfigInput,
  { kind, losses }: { readonly kind: string; readonly losses: LossWeights },
): RunConfig {
  if (typeof kind !== 'string' || kind === '')
    throw new TrainError('bad-config', `kind of a task must be a nonempty text, given ${shown(kind)}`);
  const result = checkAnyConfig({ ...input, kind });
  const problems = [...('problems' in result ? result.problems : []), ...checkLosses(input, losses)];
  const messages = problems.map(({ message }) => message);
  const isOwn = Object.hasOwn(KINDS, kind);
  const known = isOwn && 'config' in result ? result.config.losses : losses;
  const isForeign = Object.keys(losses).some((name) => !Object.hasOwn(known, name));
  if (isOwn && (messages.length > 0 || isForeign))
    messages.push(`kind '${kind}' is a task of @dag/train; give your own task another kind`);
  if ('problems' in result || messages.length > 0) throw new TrainError('bad-config', messages.join('\n'));
  return { ...result.config, losses: { ...losses, ...result.config.losses } };
}
