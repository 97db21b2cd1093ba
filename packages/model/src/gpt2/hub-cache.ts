import { createHash, randomUUID, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
// Not by name: a test takes symbolic links away.
import fs from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

/** A partial file: its first `from` bytes are written, and `hash` was updated with them. */
export interface BegunFile {
  readonly path: string;
  readonly hash: Hash;
  readonly from: number;
}

/**
 * A repository in the cache of huggingface_hub, which other programs share: `blobs/<hash>` are the files,
 * `snapshots/<commit>/<file>` links to them, and `refs/main` has the commit. Where the file system has no symbolic links, the
 * files themselves are in `snapshots`, as huggingface_hub does it, and `.hashes/<commit>/<file>` has their hashes.
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
   * The folder of the cached main commit, if it has all these files and none is damaged; else null. Warns of each damaged file.
   * `isChecked`: whether the hashes of all files are known. A file that another program put there in place of a link has none.
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

  /** The hash of a file of a snapshot: the name of the blob that it links to, or the one in `.hashes`; null where unknown. */
  async #idOf(path: string, commit: string, file: string): Promise<string | null> {
    if (isBlobId(basename(path))) return basename(path);
    const noted = await fs.readFile(this.#note(commit, file), 'utf8').catch(nullIfAbsent);
    return isBlobId(noted) ? noted : null;
  }

  #note(commit: string, file: string): string {
    return join(this.#folder, '.hashes', commit, file);
  }

  /** Whether a snapshot has a file with this hash, as a link or as the file itself. */
  async has(id: string, commit: string, file: string): Promise<boolean> {
    const path = await fs.realpath(join(this.snapshot(commit), file)).catch(nullIfAbsent);
    if (path === null || !(await this.isWhole(path, id))) return false;
    if (basename(path) !== id) await this.#write(this.#note(commit, file), id);
    return true;
  }

  /** Whether a file exists and has this hash. */
  async isWhole(path: string, id: string): Promise<boolean> {
    const info = await fs.stat(path).catch(nullIfAbsent);
    if (!info?.isFile()) return false;
    const hash = blobHash(id, info.size);
    // null where another download has just moved it to a snapshot.
    if ((await this.#hashInto(hash, path).catch(nullIfAbsent)) === null) return false;
    return hash.digest('hex') === id;
  }

  async #hashInto(hash: Hash, path: string): Promise<Hash> {
    const stream = createReadStream(path, { highWaterMark: 1 << 20, signal: this.#signal });
    for await (const bytes of stream) hash.update(bytes as Buffer);
    return hash;
  }

  /**
   * Writes a blob by `write`, atomically. Resumes the partial file of a process that was killed, if there is one. Partial files
   * of running processes are left alone.
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

  /** Renames a partial file of a dead process to `beside`, and removes further ones of this blob. */
  async #takeOver(id: string, beside: string): Promise<void> {
    const folder = dirname(beside);
    let taken = false;
    for (const name of await fs.readdir(folder)) {
      const parts = new RegExp(`^${id}\\.[0-9a-f-]{36}\\.([^.]+)\\.(\\d+)\\.incomplete$`).exec(name);
      const path = join(folder, name);
      if (parts === null || !(await isLeft(path, parts[1]!, Number(parts[2])))) continue;
      // Where two processes find it, the rename succeeds in one.
      if (taken) await fs.rm(path, { force: true });
      else taken = (await fs.rename(path, beside).catch(nullIfAbsent)) !== null;
    }
  }

  /** Adds blob `id` to a snapshot: by a symbolic link, or by moving it where the file system has none. */
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

/** Identifies this machine in file names. Called late: reading the host name throws in Deno without permission. */
const hostId = (): string => createHash('sha1').update(hostname()).digest('hex').slice(0, 8);
/** Milliseconds without a write after which a partial file of another machine counts as abandoned. */
const LEFT_AFTER = 24 * 3600 * 1000;

/** Whether the process that wrote a partial file is dead. */
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

/** Replaces `path` atomically: `write` makes a file beside it, which is then renamed. */
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

/** Whether a value is the SHA-1 of a commit. */
export function isCommit(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{40}$/.test(value);
}

/** Whether a value is the name of a blob: the SHA-256 of a file in LFS, or git's SHA-1 of another file. */
export function isBlobId(value: unknown): value is string {
  return typeof value === 'string' && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(value);
}

/** A hash whose digest is `id` once it is updated with the `size` bytes of that blob. */
export function blobHash(id: string, size: number): Hash {
  return id.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

function nullIfAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
