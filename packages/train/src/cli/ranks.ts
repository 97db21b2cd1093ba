import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { openCommunicator, type Communicator } from '../mpi/communicator.js';
import { reportError } from './report-error.js';
import { visible } from './visible.js';

/**
 * Does `work` on all ranks that a launcher started, else on this process alone. An error of one rank ends all, once it
 * is told.
 */
export async function onAllRanks(work: (communicator: Communicator) => Promise<void>): Promise<void> {
  const communicator = await openCommunicator();
  const { rank, size } = communicator;
  try {
    await work(communicator);
    await communicator.close();
  } catch (error) {
    if (size === 1) throw error;
    // Of an error that all ranks meet alike rank 0 tells, and ends the others; Open MPI takes two seconds for it, or more on a
    // busy machine.
    if (rank > 0) await setTimeout(10_000);
    reportError(error, `rank ${rank} of ${size}: `);
    // What a launcher has not passed on when ranks are ended is lost.
    await setTimeout(1000);
    communicator.abort();
  }
}

/**
 * Has `message` said on stderr should this process end, in whatever way, before the function that is returned is called:
 * a launcher kills all ranks where one has died. A shell waits for that; it is no process of the launcher's.
 */
export function leaveLastWords(message: string): () => void {
  const shell = spawn('sh', ['-c', 'read -r done || printf "%s\\n" "$0" >&2', visible(message)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  // Without a shell there are no last words; the run is none the worse for it.
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  (shell.stdin as Socket).unref();
  return () => void shell.stdin.end('done\n');
}
