import { createHash, randomUUID, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, realpath, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';

/**
 * A repository in the cache that programs of the Hugging Face hub share: `blobs/<hash>` are files,
 * `snapshots/<commit>/<file>` links to them, and `refs/main` names the commit.
 */
export class CachedRepository {
  readonly #folder: string;
  readonly #signal: AbortSignal | undefined;

  constructor(folder: string, signal: AbortSignal | undefined) {
    this.#folder = folder;
    this.#signal = signal;
  }

  snapshot(commit: string): string {
    return join(this.#folder, 'snapshots', commit);
  }

  blob(id: string): string {
    return join(this.#folder, 'blobs', id);
  }

  /** The folder of the commit that is main here, if it has these files and they are whole. Warns of those that are not. */
  async find(files: readonly string[]): Promise<string | null> {
    const commit = await readFile(join(this.#folder, 'refs', 'main'), 'utf8').catch(nullIfAbsent);
    if (commit === null || !isCommit(commit.trim())) return null;
    const snapshot = this.snapshot(commit.trim());
    let complete = true;
    for (const file of files) {
      const path = await realpath(join(snapshot, file)).catch(nullIfAbsent);
      const whole = path !== null && (await this.isWhole(path));
      if (path !== null && !whole) {
        const text = `${path}, ${file} in the cache, is damaged: its hash is not its name. It is downloaded again.`;
        process.emitWarning(text, { code: 'DAG_DAMAGED_DOWNLOAD' });
      }
      complete &&= whole;
    }
    return complete ? snapshot : null;
  }

  /** Whether a file is there with the hash that it is called by. One with a name of its own, no link, is taken as it is. */
  async isWhole(path: string): Promise<boolean> {
    const info = await stat(path).catch(nullIfAbsent);
    if (info === null) return false;
    const id = basename(path);
    if (!isBlobId(id)) return true;
    const hash = blobHash(id, info.size);
    const stream = createReadStream(path, { highWaterMark: 1 << 20, signal: this.#signal });
    for await (const bytes of stream) hash.update(bytes as Buffer);
    return hash.digest('hex') === id;
  }

  /** Writes a blob by `write`, whole or not at all. */
  async addBlob(id: string, write: (path: string) => Promise<void>): Promise<void> {
    await place(this.blob(id), 'incomplete', write);
  }

  /** Makes blob `id` a file of a snapshot. */
  async link(id: string, commit: string, file: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    await place(path, 'tmp', (beside) => symlink(relative(dirname(path), this.blob(id)), beside));
  }

  async setMain(commit: string): Promise<void> {
    await place(join(this.#folder, 'refs', 'main'), 'tmp', (beside) => writeFile(beside, commit));
  }
}

/** Makes `path` by what `write` makes beside it; whatever was there stays until then. */
async function place(path: string, ending: string, write: (beside: string) => Promise<void>): Promise<void> {
  const beside = `${path}.${randomUUID()}.${ending}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await write(beside);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

export function isCommit(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{40}$/.test(value);
}

/** What blobs are called by: the SHA-256 of a file in LFS, git's SHA-1 of another. */
export function isBlobId(value: unknown): value is string {
  return typeof value === 'string' && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(value);
}

/** The hash whose digest is `id` after the `size` bytes of a blob. */
export function blobHash(id: string, size: number): Hash {
  return id.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

function nullIfAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
