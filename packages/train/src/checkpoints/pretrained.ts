import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { TrainError } from '../error.js';
import { readCheckpoint, resolveCheckpoint, type Checkpoint } from './checkpoint.js';

/**
 * The names of the models that @dag/model ships: `reading` reads expressions, `problems` solves word problems, `writing` continues texts. A folder
 * of that name is `./reading`.
 */
export const SHIPPED = ['reading', 'problems', 'writing'] as const;
/** The name of a shipped model. */
export type ShippedName = (typeof SHIPPED)[number];

export const isShipped = (name: string): name is ShippedName => (SHIPPED as readonly string[]).includes(name);

/** Reads the checkpoint of a shipped model. @throws {TrainError} `bad-input` for another name. */
export async function pretrainedCheckpoint(name: ShippedName = 'reading'): Promise<Checkpoint> {
  if (!isShipped(name))
    throw new TrainError(
      'bad-input',
      `there is no shipped model ${String(name)}; expected ${SHIPPED.join(', ')}`,
    );
  const { resolve } = createRequire(import.meta.url);
  return readCheckpoint(join(dirname(resolve('@dag/model/package.json')), 'weights', name));
}

/** The checkpoint that `weights` of a configuration names: `pretrained` or another shipped model, or a path. @throws {TrainError} as `resolveCheckpoint` */
export function checkpointOfWeights(weights: string, warn: (message: string) => void): Promise<Checkpoint> {
  const name = weights === 'pretrained' ? 'reading' : weights;
  return isShipped(name) ? pretrainedCheckpoint(name) : resolveCheckpoint(name, warn);
}
