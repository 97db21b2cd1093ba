import { createHash, randomUUID, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
// Not by name: a test takes symbolic links away.
import fs from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

/** A file that is being written: its first `from` bytes are there, and `hash` knows them. */
export interface BegunFile {
  readonly path: string;
  readonly hash: Hash;
  readonly from: number;
}

/**
 * A repository in the cache that programs of the Hugging Face hub share: `blobs/<hash>` are files,
 * `snapshots/<commit>/<file>` links to them, and `refs/main` names the commit. Where the file system has no symbolic links, the
 * files themselves are in `snapshots`, as huggingface_hub puts them there, and `.hashes/<commit>/<file>` has their hashes.
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

  /**
   * The folder of the commit that is main here, if it has these files and none is damaged; warns of those that are. `isChecked`:
   * all of them have hashes to go by. A file that another program put there itself, in place of a link, has none.
   */
  async find(files: readonly string[]): Promise<{ folder: string; isChecked: boolean } | null> {
    const ref = await fs.readFile(join(this.#folder, 'refs', 'main'), 'utf8').catch(nullIfAbsent);
    const commit = ref?.trim();
    if (!isCommit(commit)) return null;
    let complete = true;
    let isChecked = true;
    for (const file of files) {
      const path = await fs.realpath(join(this.snapshot(commit), file)).catch(nullIfAbsent);
      const id = path && (await this.#idOf(path, commit, file));
      if (path === null) complete = false;
      else if (id === null) isChecked = false;
      else if (!(await this.isWhole(path, id!))) {
        complete = false;
        const text = `${path}, ${file} in the cache, is damaged: it does not have its hash, ${id}. It is downloaded again.`;
        process.emitWarning(text, { code: 'DAG_DAMAGED_DOWNLOAD' });
      }
    }
    return complete ? { folder: this.snapshot(commit), isChecked } : null;
  }

  /** The hash of a file of a snapshot: what the blob that it leads to is called, or what was noted; null where nobody knows. */
  async #idOf(path: string, commit: string, file: string): Promise<string | null> {
    if (isBlobId(basename(path))) return basename(path);
    const noted = await fs.readFile(this.#note(commit, file), 'utf8').catch(nullIfAbsent);
    return isBlobId(noted) ? noted : null;
  }

  #note(commit: string, file: string): string {
    return join(this.#folder, '.hashes', commit, file);
  }

  /** Whether a snapshot has a file with this hash, be it a link or the file itself. */
  async has(id: string, commit: string, file: string): Promise<boolean> {
    const path = await fs.realpath(join(this.snapshot(commit), file)).catch(nullIfAbsent);
    if (path === null || !(await this.isWhole(path, id))) return false;
    if (basename(path) !== id) await this.#write(this.#note(commit, file), id);
    return true;
  }

  /** Whether a file is there with this hash. */
  async isWhole(path: string, id: string): Promise<boolean> {
    const info = await fs.stat(path).catch(nullIfAbsent);
    if (!info?.isFile()) return false;
    const hash = blobHash(id, info.size);
    // Another download may move it meanwhile, to a snapshot.
    if ((await this.#hashInto(hash, path).catch(nullIfAbsent)) === null) return false;
    return hash.digest('hex') === id;
  }

  async #hashInto(hash: Hash, path: string): Promise<Hash> {
    const stream = createReadStream(path, { highWaterMark: 1 << 20, signal: this.#signal });
    for await (const bytes of stream) hash.update(bytes as Buffer);
    return hash;
  }

  /**
   * Writes a blob by `write`, whole or not at all. It goes on with what a process that was killed has left of this blob, if
   * there is some; what others are writing is left to them.
   */
  async addBlob(id: string, size: number, write: (begun: BegunFile) => Promise<void>): Promise<void> {
    await place(this.blob(id), `${hostId()}.${process.pid}.incomplete`, async (beside) => {
      await this.#takeOver(id, beside);
      const info = await fs.stat(beside).catch(nullIfAbsent);
      const hash = blobHash(id, size);
      const from = info !== null && info.size <= size ? info.size : 0;
      if (from > 0) await this.#hashInto(hash, beside);
      else await fs.rm(beside, { force: true });
      await write({ path: beside, hash, from });
    });
  }

  /** Makes what was left of a blob by a process that is no more the file `beside`, and removes other such files. */
  async #takeOver(id: string, beside: string): Promise<void> {
    const folder = dirname(beside);
    let taken = false;
    for (const name of await fs.readdir(folder)) {
      const parts = new RegExp(`^${id}\\.[0-9a-f-]{36}\\.([^.]+)\\.(\\d+)\\.incomplete$`).exec(name);
      const path = join(folder, name);
      if (parts === null || !(await isLeft(path, parts[1]!, Number(parts[2])))) continue;
      // Of two processes that find it, one has it.
      if (taken) await fs.rm(path, { force: true });
      else taken = (await fs.rename(path, beside).catch(nullIfAbsent)) !== null;
    }
  }

  /** Makes blob `id` a file of a snapshot: by a link, or by moving it there where there are none. */
  async link(id: string, commit: string, file: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    try {
      await place(path, 'tmp', (beside) => fs.symlink(relative(dirname(path), this.blob(id)), beside));
    } catch (error) {
      const { code, syscall } = error as NodeJS.ErrnoException;
      if (syscall !== 'symlink' || code === 'ENOSPC' || code === 'EROFS') throw error;
      await fs.mkdir(dirname(path), { recursive: true });
      const moved = await fs.rename(this.blob(id), path).catch(nullIfAbsent);
      // Another download of the same file may have moved it.
      if (moved === null && !(await this.has(id, commit, file))) throw error;
      await this.#write(this.#note(commit, file), id);
    }
  }

  async setMain(commit: string): Promise<void> {
    await this.#write(join(this.#folder, 'refs', 'main'), commit);
  }

  async #write(path: string, text: string): Promise<void> {
    await place(path, 'tmp', (beside) => fs.writeFile(beside, text));
  }
}

/** The name of this machine in names of files. Not asked for on import: Deno throws where it may not be. */
const hostId = (): string => createHash('sha1').update(hostname()).digest('hex').slice(0, 8);
/** What another machine has not written to for so long is left, in milliseconds. */
const LEFT_AFTER = 24 * 3600 * 1000;

/** Whether the process that wrote a file is no more. */
async function isLeft(path: string, host: string, pid: number): Promise<boolean> {
  if (host !== hostId()) {
    const info = await fs.stat(path).catch(nullIfAbsent);
    return info !== null && Date.now() - info.mtimeMs > LEFT_AFTER;
  }
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Makes `path` by what `write` makes beside it; whatever was there stays until then. */
async function place(path: string, ending: string, write: (beside: string) => Promise<void>): Promise<void> {
  const beside = `${path}.${randomUUID()}.${ending}`;
  await fs.mkdir(dirname(path), { recursive: true });
  try {
    await write(beside);
    await fs.rename(beside, path);
  } catch (error) {
    await fs.rm(beside, { force: true });
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
