import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { openCommunicator, type Communicator } from '../mpi/communicator.js';
import { reportError } from './report-error.js';
import { visible } from './visible.js';

/**
 * Runs `work` on every rank that an MPI launcher started; without a launcher on this process alone. An error on one rank is
 * reported and then ends all ranks.
 */
export async function onAllRanks(work: (communicator: Communicator) => Promise<void>): Promise<void> {
  const communicator = await openCommunicator();
  const { rank, size } = communicator;
  try {
    await work(communicator);
    await communicator.close();
  } catch (error) {
    if (size === 1) throw error;
    // If all ranks meet the same error, rank 0 reports it and ends the others. Open MPI takes two seconds for that, more on a
    // busy machine; until then the others wait.
    if (rank > 0) await setTimeout(10_000);
    reportError(error, `rank ${rank} of ${size}: `);
    // Output that the launcher has not forwarded yet is lost when ranks are aborted.
    await setTimeout(1000);
    communicator.abort();
  }
}

/**
 * Prints `message` on stderr if this process ends in any way before the returned function is called. A launcher kills
 * all ranks once one has died, so a detached shell, which the launcher does not know, waits and prints.
 */
export function leaveLastWords(message: string): () => void {
  const shell = spawn('sh', ['-c', 'read -r done || printf "%s\\n" "$0" >&2', visible(message)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  // Without a shell the message is not printed; the run itself is not affected.
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  (shell.stdin as Socket).unref();
  return () => void shell.stdin.end('done\n');
}
