import { newestRun, resolveCheckpoint, type Checkpoint } from '../checkpoint.js';

export const CHECKPOINT_OPTION = [
  '--checkpoint <dir>',
  'a checkpoint or the folder of a run; left out, the newest run in ./runs',
] as const;

/** The checkpoint that a command was given, or that of the newest run. */
export async function openCheckpoint(path: string | undefined): Promise<Checkpoint> {
  return resolveCheckpoint(path ?? (await newestRun()), (message) => console.error(`dag: ${message}`));
}
