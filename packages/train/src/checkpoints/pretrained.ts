import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TrainError } from '../error.js';
import { readCheckpoint, type Checkpoint } from './checkpoint.js';

/** Reads the checkpoint that this package ships, in the folder `pretrained` beside `dist` and `src`. */
export async function pretrainedCheckpoint(): Promise<Checkpoint> {
  const folder = ['../pretrained', '../../pretrained']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path));
  if (folder === undefined)
    throw new TrainError('no-checkpoint', 'this copy of @dag/train has no shipped checkpoint');
  return readCheckpoint(folder);
}
