import type { z } from 'zod';
import { TrainError } from '../error.js';
import { checkAnyConfig } from './config.js';
import { checkLosses, type LossWeights } from './losses.js';
import type { anyRun, RunConfig } from './run.js';

/** The configuration of a task from outside: the keys of every run, and in `model` and `data` what the task reads. */
export type TaskConfigInput = Omit<z.input<typeof anyRun>, 'kind'>;

/**
 * Checks what `trainTask` is given, and fills in what it leaves out.
 * @throws {TrainError} `bad-config` with a line for each wrong key and each wrong value.
 */
export function parseTaskConfig(
  input: TaskConfigInput,
  { kind, losses }: { readonly kind: string; readonly losses: LossWeights },
): RunConfig {
  const result = checkAnyConfig({ ...input, kind });
  const problems = [...('problems' in result ? result.problems : []), ...checkLosses(input, losses)];
  if ('problems' in result || problems.length > 0)
    throw new TrainError('bad-config', problems.map(({ message }) => message).join('\n'));
  return { ...result.config, losses: { ...losses, ...result.config.losses } };
}
