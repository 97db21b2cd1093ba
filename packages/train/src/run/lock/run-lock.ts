import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { open, readFile, rm, rmdir, stat, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { TrainError } from '../../error.js';
import { makeFolder } from '../../files/make-folder.js';
import { isAbsent, systemCode, systemError } from '../../files/system-error.js';
import { workerUrl } from '../../workers/worker-url.js';
import { beginningOf, isRunning, thisMachine } from './processes.js';

/*
 * <outDir>/run.lock says which process owns a run's folder. A file, so that it also holds between hosts that share a
 * file system, where no lock of the kernel is sure to.
 *
 * Whether its owner is alive is seen from its process where that runs on the same machine. Elsewhere a thread of the owner
 * sets the file's time every few seconds: a lock whose time has not changed while this process watched it, by its own
 * clock, is that of a process that is gone.
 */
const LOCK = 'run.lock';
/** Milliseconds from one renewal to the next. */
const BEAT = 5_000;
/** Milliseconds without a renewal after which an owner on another machine is taken for dead. */
const EXPIRY = 60_000;
/** Milliseconds after which, of two processes that take over a dead owner's lock at once, each sees which one has it. */
const SETTLE = 100;

const ownerSchema = z.object({
  id: z.string(),
  pid: z.int(),
  host: z.string(),
  /** The machine and its process ids: a pid means nothing elsewhere. */
  machine: z.string(),
  /** When its process began, as the system counts; null where that is not known. */
  began: z.string().nullable(),
  since: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

export interface RunLock {
  /** @throws {TrainError} `busy-directory` where another process has taken the folder over, as from one that was suspended. */
  check(): void;
  /** Deletes the lock. One that cannot be deleted is logged; it counts as free once this process has ended. */
  release(): Promise<void>;
}

export interface LockOptions {
  readonly log?: (line: string) => void;
  /** Ends the wait for an owner on another machine, with an `AbortError`. */
  readonly signal?: AbortSignal | undefined;
  readonly beat?: number;
  readonly expiry?: number;
}

/**
 * Makes this process the one that writes to a run's folder, which is made where it is missing.
 * @throws {TrainError} `busy-directory` that names the process that does so already, `io` where the system refuses.
 */
export async function lockRun(
  outDir: string,
  { log = () => undefined, signal, beat = BEAT, expiry = EXPIRY }: LockOptions = {},
): Promise<RunLock> {
  const path = join(outDir, LOCK);
  const owner: Owner = {
    id: randomUUID(),
    pid: process.pid,
    host: hostname(),
    machine: thisMachine(),
    began: beginningOf(process.pid),
    since: new Date().toISOString(),
  };
  const text = JSON.stringify(owner);
  let made: string | null = null;
  let file: FileHandle | null = null;
  let isTakenOver = false;
  try {
    made = makeFolder(outDir);
    while (!(file = await create(path, text))) {
      const found = await look(path);
      if (!found) continue;
      if (!(await isDead(found, path, { log, signal, expiry }))) throw inUse(outDir, path, found.owner);
      // Another process may have taken it over meanwhile.
      if ((await look(path))?.text === found.text) await rm(path, { force: true });
      isTakenOver = true;
    }
    if (isTakenOver) {
      await setTimeout(SETTLE);
      const now = await look(path);
      if (now?.text !== text) throw inUse(outDir, path, now?.owner ?? null);
    }
    const lock = file;
    const stop = renew(lock, beat, log);
    return {
      check: () => checkOwner(outDir, path, owner.id),
      release: async () => {
        await stop();
        try {
          await lock.close();
          if ((await look(path))?.text !== text) return;
          await rm(path, { force: true });
          await removeEmpty(outDir, made);
        } catch (error) {
          // The run itself is done, and the lock of a process that has ended holds no one up for long.
          log(systemError(`${path} cannot be deleted`, error).message);
        }
      },
    };
  } catch (error) {
    await file?.close();
    await removeEmpty(outDir, made);
    if (systemCode(error) === 'ABORT_ERR') throw error;
    if (error instanceof TrainError) throw error;
    const { message } = systemError(`${path}, by which a run owns its folder, cannot be written`, error);
    const wayOut =
      'nothing was changed: with room and permission there, or in another --outDir, the run can start';
    throw new TrainError('io', `${message}; ${wayOut}`, { cause: error });
  }
}

/** Makes the lock; null where there is one. */
async function create(path: string, text: string): Promise<FileHandle | null> {
  let file: FileHandle;
  try {
    file = await open(path, 'wx');
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return null;
    throw error;
  }
  try {
    await file.writeFile(text);
    return file;
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
}

interface Found {
  readonly text: string;
  /** Null where the file does not say. */
  readonly owner: Owner | null;
  /** Milliseconds, as the file system counts. */
  readonly renewed: number;
}

/** The lock as it is; null where there is none. */
async function look(path: string): Promise<Found | null> {
  try {
    const found = await stat(path);
    // To read a FIFO would wait for ever.
    if (!found.isFile()) throw new Error('it is no regular file');
    const text = await readFile(path, 'utf8');
    return { text, owner: parseOwner(text), renewed: found.mtimeMs };
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function parseOwner(text: string): Owner | null {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

async function isDead(
  found: Found,
  path: string,
  { log, signal, expiry }: Required<Pick<LockOptions, 'log' | 'expiry'>> & Pick<LockOptions, 'signal'>,
): Promise<boolean> {
  const { owner, renewed, text } = found;
  if (owner?.machine === thisMachine()) {
    if (!isRunning(owner.pid)) return true;
    const began = beginningOf(owner.pid);
    // Another process may have got the number of one that is gone.
    if (owner.began !== null && began !== null) return owner.began !== began;
  }
  log(`${path} names ${describe(owner)}: waiting up to ${expiry / 1000} s to see whether that still runs`);
  const begun = performance.now();
  while (performance.now() - begun < expiry) {
    await setTimeout(Math.min(1000, expiry / 10), undefined, signal ? { signal } : {});
    const now = await look(path);
    if (now?.text !== text) return now === null;
    if (now.renewed !== renewed) return false;
  }
  return true;
}

function checkOwner(outDir: string, path: string, id: string): void {
  let owner: Owner | null = null;
  try {
    owner = parseOwner(readFileSync(path, 'utf8'));
  } catch (error) {
    if (!isAbsent(error)) throw systemError(`${path} cannot be read`, error);
  }
  if (owner?.id === id) return;
  throw new TrainError(
    'busy-directory',
    `${outDir} is no longer this run's: ${path} ${owner ? `names ${describe(owner)}` : 'is gone'}; ` +
      'this process stops and writes nothing more there',
  );
}

function inUse(outDir: string, path: string, owner: Owner | null): TrainError {
  return new TrainError(
    'busy-directory',
    `${outDir} is in use by ${describe(owner)}; wait for that run, stop it, or take another --outDir ` +
      `(if it is certain that no such process runs, delete ${path})`,
  );
}

const describe = (owner: Owner | null): string =>
  owner
    ? `process ${owner.pid} on host ${owner.host}, since ${owner.since}`
    : 'a process that it does not name';

/**
 * Has a thread renew the lock until the function that is returned is called: this one may be at a step for minutes. It
 * sets the time of the open file, and so never renews the lock of a process that took over.
 */
function renew({ fd }: FileHandle, beat: number, log: (line: string) => void): () => Promise<void> {
  const thread = new Worker(workerUrl('run/lock/run-lock-beat.js'), { workerData: { fd, beat } });
  thread.unref();
  const ended = new Promise((resolve) => thread.once('exit', resolve));
  thread.on('error', ({ message }) => log(`the lock of the run is not renewed: ${message}`));
  return async () => {
    thread.ref();
    thread.postMessage('stop');
    await ended;
  };
}

/** Takes back the folders that were made for a run that did not begin. */
async function removeEmpty(outDir: string, made: string | null): Promise<void> {
  if (made === null) return;
  for (let folder = resolve(outDir); ; folder = dirname(folder)) {
    const isGone = await rmdir(folder).then(
      () => true,
      () => !existsSync(folder),
    );
    if (!isGone || folder === resolve(made)) return;
  }
}
