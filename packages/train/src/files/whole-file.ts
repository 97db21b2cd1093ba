import { createHash, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import {
  access,
  constants,
  open,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TrainError } from '../error.js';
import { isRunning, thisMachine } from '../run/lock/processes.js';

/*
 * <folder>/.unfinished-<machine>.<process>.<random>   a file being written. If its process is killed it stays until the next
 *                                                     file is written to the folder
 */
const UNFINISHED = /^\.unfinished-([0-9a-f]{8})\.(\d+)\.[0-9a-f-]{36}$/;
const machine = (): string => createHash('sha256').update(thisMachine()).digest('hex').slice(0, 8);
/** An unfinished file of another machine (or of this one before a reboot) counts as abandoned after this many milliseconds. */
const LEFT_AFTER = 24 * 3600 * 1000;

/**
 * A file that is written atomically: to a temporary file in the same folder, then renamed into place. An existing file stays unchanged
 * until then, also if the disk is full or the process ends.
 */
export class WholeFile {
  readonly #path: string;
  readonly #place: string;
  /** Path of the temporary file; equal to `#place` for a device or pipe, which cannot be replaced. */
  readonly #written: string;
  readonly #file: FileHandle;

  private constructor(path: string, place: string, written: string, file: FileHandle) {
    this.#path = path;
    this.#place = place;
    this.#written = written;
    this.#file = file;
    if (written !== place) unfinished.add(written);
  }

  /** @throws {TrainError} `io` if the system refuses */
  static async create(path: string): Promise<WholeFile> {
    return guarded(path, async () => {
      // Resolve a symbolic link, so that the link stays and its target is replaced.
      const place = await realpath(path).catch(() => path);
      const existing = await stat(place).catch(() => null);
      if (existing?.isDirectory()) throw new Error('it is a folder');
      if (existing) await access(place, constants.W_OK);
      const isSpecial = existing !== null && !existing.isFile();
      const beside = `.unfinished-${machine()}.${process.pid}.${randomUUID()}`;
      const written = isSpecial ? place : join(dirname(place), beside);
      if (!isSpecial) await clearLeft(dirname(place)).catch(() => undefined);
      const file = await open(written, isSpecial ? 'w' : 'wx', existing?.mode);
      return new WholeFile(path, place, written, file);
    });
  }

  /** Appends data. @throws {TrainError} `io` if the system refuses */
  async append(data: string | Uint8Array): Promise<void> {
    await guarded(this.#path, () => this.#file.appendFile(data));
  }

  /** Syncs the file to disk and renames it into place. @throws {TrainError} `io` if the system refuses */
  async finish(): Promise<void> {
    await guarded(this.#path, async () => {
      if (this.#written === this.#place) return this.#file.close();
      await this.#file.sync();
      await this.#file.close();
      await rename(this.#written, this.#place);
      unfinished.delete(this.#written);
    });
  }

  /** Closes the file, and deletes it if it is not finished. */
  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    if (!unfinished.has(this.#written)) return;
    await rm(this.#written, { force: true }).catch(() => undefined);
    unfinished.delete(this.#written);
  }
}

/** Writes a file atomically. @throws {TrainError} `io` if the system refuses */
export async function writeWhole(path: string, data: string | Uint8Array): Promise<void> {
  const file = await WholeFile.create(path);
  try {
    await file.append(data);
    await file.finish();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // Node's message names the temporary file; leave that out.
    const reason = (error as Error).message.replace(/, \w+( '.*)?$/s, '');
    throw new TrainError('io', `${path} cannot be written: ${reason}`, { cause: error });
  }
}

/** Deletes the unfinished files of ended processes in a folder. */
async function clearLeft(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, of, pid] = UNFINISHED.exec(name) ?? [];
    if (of === undefined) continue;
    const path = join(folder, name);
    const isLeft =
      of === machine() ? !isRunning(Number(pid)) : Date.now() - (await stat(path)).mtimeMs > LEFT_AFTER;
    if (isLeft) await rm(path, { force: true });
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Temporary files of this process, deleted if it ends. Signal handlers are installed only while there are any. */
const unfinished = new (class extends Set<string> {
  override add(path: string): this {
    if (this.size === 0) {
      process.on('exit', deleteAll);
      for (const signal of SIGNALS) process.on(signal, endBy);
    }
    return super.add(path);
  }

  override delete(path: string): boolean {
    const had = super.delete(path);
    if (this.size === 0) {
      process.off('exit', deleteAll);
      for (const signal of SIGNALS) process.off(signal, endBy);
    }
    return had;
  }
})();

function deleteAll(): void {
  for (const path of unfinished) {
    rmSync(path, { force: true });
    unfinished.delete(path);
  }
}

/** Ends the process as the signal would have, unless there are other handlers for it. */
function endBy(signal: NodeJS.Signals): void {
  deleteAll();
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
