import { futimesSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/** The thread that renews a run's lock while the main thread is busy with a step: it sets the open file's modification time. */
const { fd, beat } = workerData as { fd: number; beat: number };

const timer = setInterval(() => {
  const now = new Date();
  try {
    futimesSync(fd, now, now);
  } catch {
    // A network file system may fail temporarily. The run itself checks whether its lock was taken over.
  }
}, beat);

parentPort!.once('message', () => clearInterval(timer));
