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
 * <outDir>/run.lock names the process that owns a run's folder. It is a file, because kernel locks do not work reliably
 * between hosts that share a file system.
 *
 * On the same machine, the owner is alive if its process runs. For owners on other machines, a thread of the owner sets
 * the file's modification time every few seconds (the heartbeat). If that time does not change while this process watches
 * for EXPIRY milliseconds by its own clock, the owner counts as dead.
 */
const LOCK = 'run.lock';
/** Milliseconds from one renewal to the next. */
const BEAT = 5_000;
/** Milliseconds without a renewal after which an owner on another machine counts as dead. */
const EXPIRY = 60_000;
/** Milliseconds to wait after taking over a lock: if two processes do so at once, both then see which one has it. */
const SETTLE = 100;

const ownerSchema = z.object({
  id: z.string(),
  pid: z.int(),
  host: z.string(),
  /** `thisMachine()` of the owner: its pid is only valid there. */
  machine: z.string(),
  /** Start time of its process (`beginningOf`); null if unknown. */
  began: z.string().nullable(),
  since: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

export interface RunLock {
  /** @throws {TrainError} `busy-directory` if another process has taken over the folder, for example while this one was suspended. */
  check(): void;
  /** Deletes the lock. If that fails it is logged; the lock counts as free once this process has ended. */
  release(): Promise<void>;
}

export interface LockOptions {
  readonly log?: (line: string) => void;
  /** Aborts the wait for an owner on another machine, with an `AbortError`. */
  readonly signal?: AbortSignal | undefined;
  readonly beat?: number;
  readonly expiry?: number;
}

/**
 * Makes this process the owner of a run's folder: the only one that writes to it. Creates the folder if missing.
 * @throws {TrainError} `busy-directory` if another process owns it (the message names that process), `io` if the system refuses.
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
      // Delete it only if no other process has taken it over meanwhile.
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
          // Not an error: the run is done, and the lock of an ended process can be taken over.
          log(systemError(`${path} cannot be deleted`, error).message);
        }
      },
    };
  } catch (error) {
    await file?.close();
    await removeEmpty(outDir, made);
    if (systemCode(error) === 'ABORT_ERR') throw error;
    if (error instanceof TrainError) throw error;
    const { message } = systemError(`the lock file ${path} cannot be written`, error);
    const wayOut =
      'nothing was changed: free space or fix permissions there, or use another --outDir, then start the run again';
    throw new TrainError('io', `${message}; ${wayOut}`, { cause: error });
  }
}

/** Creates the lock file; null if it exists. */
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
  /** Null if the file cannot be parsed. */
  readonly owner: Owner | null;
  /** Modification time in milliseconds, by the file system's clock. */
  readonly renewed: number;
}

/** Reads the lock file; null if there is none. */
async function look(path: string): Promise<Found | null> {
  try {
    const found = await stat(path);
    // Reading a FIFO would block forever.
    if (!found.isFile()) throw new Error('it is not a regular file');
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
    // The pid may have been reused by another process.
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
    `this run no longer owns ${outDir}: ${path} ${owner ? `names ${describe(owner)}` : 'is gone'}; ` +
      'this process stops and writes nothing more there',
  );
}

function inUse(outDir: string, path: string, owner: Owner | null): TrainError {
  return new TrainError(
    'busy-directory',
    `${outDir} is in use by ${describe(owner)}; wait for that run, stop it, or take another --outDir ` +
      `(if you are certain that no such process runs, delete ${path})`,
  );
}

const describe = (owner: Owner | null): string =>
  owner ? `process ${owner.pid} on host ${owner.host}, since ${owner.since}` : 'an unknown process';

/**
 * Starts a thread that renews the lock until the returned function is called; the main thread may be busy with a step for
 * minutes. It sets the time of the open file, so it never renews the lock of a process that took over.
 */
function renew({ fd }: FileHandle, beat: number, log: (line: string) => void): () => Promise<void> {
  const thread = new Worker(workerUrl('run/lock/run-lock-beat.js'), { workerData: { fd, beat } });
  thread.unref();
  const ended = new Promise((resolve) => thread.once('exit', resolve));
  thread.on('error', ({ message }) => log(`the run's lock can no longer be renewed: ${message}`));
  return async () => {
    thread.ref();
    thread.postMessage('stop');
    await ended;
  };
}

/** Deletes the empty folders that were created for a run that did not start. */
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
