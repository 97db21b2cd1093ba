import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { readCheckpoint, type Checkpoint } from './checkpoint.js';

/** Reads the checkpoint `reading`, which @dag/model ships. */
export async function pretrainedCheckpoint(): Promise<Checkpoint> {
  const manifest = createRequire(import.meta.url).resolve('@dag/model/weights/reading/manifest.json');
  return readCheckpoint(dirname(manifest));
}
