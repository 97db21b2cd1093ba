import { futimesSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/** The thread that renews a run's lock while the main thread is at a step: sets the time of the open file. */
const { fd, beat } = workerData as { fd: number; beat: number };

const timer = setInterval(() => {
  const now = new Date();
  try {
    futimesSync(fd, now, now);
  } catch {
    // A network file system may fail for a while; a lock that was taken over is noticed by the run itself.
  }
}, beat);

parentPort!.once('message', () => clearInterval(timer));
