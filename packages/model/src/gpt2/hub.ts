import type { HubApiError, PathInfo } from '@huggingface/hub';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { ModelError } from '../error.js';
import { messageOf } from '../safetensors/header.js';
import { blobHash, CachedRepository, isBlobId, isCommit } from './hub-cache.js';

export interface DownloadProgress {
  readonly file: string;
  /** Bytes so far. */
  readonly received: number;
  /** Bytes of the whole file. */
  readonly total: number;
}

export interface HubOptions {
  /** The hub or a mirror of it; left out, `HF_ENDPOINT`, or else https://huggingface.co. */
  readonly hubUrl?: string;
  /** Left out, the usual one: `HF_HUB_CACHE`, or else `hub` in `HF_HOME`, or else ~/.cache/huggingface/hub. */
  readonly cacheDir?: string;
  /** Called for each piece of a file that is downloaded. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Ends what is under way, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * The folder with these files of a repository on the Hugging Face hub. Where the cache has all of them, and with the
 * right hashes, nothing is asked of the network; else they are downloaded into it.
 *
 * @throws {ModelError} `download`.
 */
export async function hubFolder(
  repository: string,
  files: readonly string[],
  options: HubOptions,
): Promise<string> {
  // Loaded here: most who import this package download nothing.
  const hub = await import('@huggingface/hub');
  const { signal, cacheDir = hub.getHFHubCachePath() } = options;
  const hubUrl = (options.hubUrl ?? (process.env['HF_ENDPOINT'] || hub.HUB_URL)).replace(/\/+$/, '');
  const folder = join(cacheDir, hub.getRepoFolderName({ type: 'model', name: repository }));
  const cache = new CachedRepository(folder, signal);
  try {
    const found = await cache.find(files);
    if (found !== null) return found;

    const from = { hubUrl, fetch: fetchWith(signal) };
    const main = { name: repository, revision: 'main', additionalFields: ['sha' as const] };
    const { sha: commit } = await hub.modelInfo({ ...from, ...main });
    if (!isCommit(commit)) throw new Error(`${hubUrl} names no commit of ${repository}`);
    const at = { ...from, repo: repository, revision: commit };
    const infos = await hub.pathsInfo({ ...at, paths: [...files] });
    for (const file of files) {
      const url = `${hubUrl}/${repository}/resolve/${commit}/${file}`;
      const { id, size } = identify(infos, file, url);
      if (!(await cache.isWhole(cache.blob(id)))) {
        // Not by Xet: its addresses are the hub's own, also where a mirror is asked.
        const content = await hub.downloadFile({ ...at, path: file, xet: false });
        if (content === null) throw new Error(`${url} is missing`);
        await cache.addBlob(id, (path) => receive(content, path, { file, url, id, size }, options));
      }
      await cache.link(id, commit, file);
    }
    await cache.setMain(commit);
    return cache.snapshot(commit);
  } catch (cause) {
    signal?.throwIfAborted();
    const [problem, wayOut] = explain(cause, hubUrl);
    const byHand = `download ${files.join(' and ')} of ${repository} by hand and give the folder they are in`;
    throw new ModelError('download', `${repository}: ${problem}. ${wayOut}, or ${byHand}.`, { cause });
  }
}

/** No answer; the message says why. */
class Unreachable extends Error {}

function fetchWith(signal: AbortSignal | undefined): typeof fetch {
  return async (input, init) => {
    try {
      return await fetch(input, signal ? { ...init, signal } : init);
    } catch (error) {
      // `fetch failed`; its cause says why, or where several addresses were tried a code alone.
      const { message, code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
      throw new Unreachable(message || code, { cause: error });
    }
  };
}

/** A file on the hub. */
interface RemoteFile {
  readonly file: string;
  readonly url: string;
  /** The name of its blob. */
  readonly id: string;
  readonly size: number;
}

/** What the hub says of a file, as far as it is used. */
function identify(infos: readonly PathInfo[], file: string, url: string): { id: string; size: number } {
  const info = infos.find(({ path }) => path === file);
  if (!info) throw new Error(`${url} is missing: the repository has no such file`);
  const { oid: id, size } = info.lfs ?? info;
  if (!isBlobId(id) || !Number.isSafeInteger(size))
    throw new Error(`${url}: the hub says no size and hash of it`);
  return { id, size };
}

/** Writes what arrives to `path` and checks that it is the whole file. */
async function receive(
  content: Blob,
  path: string,
  { file, url, id, size }: RemoteFile,
  { onProgress, signal }: HubOptions,
): Promise<void> {
  const hash = blobHash(id, size);
  let received = 0;
  async function* counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      received += chunk.length;
      if (received > size) return;
      hash.update(chunk);
      onProgress?.({ file, received, total: size });
      yield chunk;
    }
  }
  try {
    const bytes = Readable.fromWeb(content.stream() as ReadableStream);
    await pipeline(bytes, counted, createWriteStream(path, { flags: 'wx' }), signal ? { signal } : {});
  } catch (cause) {
    if (isOfFiles(cause)) throw cause;
    throw new Error(`${url} broke off after ${received} of ${size} bytes (${messageOf(cause)})`, { cause });
  }
  if (received > size) throw new Error(`${url} has more than the ${size} bytes that the hub says`);
  if (received < size) throw new Error(`${url} ended after ${received} of ${size} bytes`);
  const given = hash.digest('hex');
  if (given !== id) throw new Error(`${url} has the hash ${given}, the hub says ${id}`);
}

/** An error of the file system. */
function isOfFiles(error: unknown): boolean {
  const { code, path } = error as NodeJS.ErrnoException;
  return code !== undefined && path !== undefined;
}

/** What went wrong, and what else to do about it than to download by hand. */
function explain(error: unknown, hubUrl: string): readonly [problem: string, wayOut: string] {
  const message = messageOf(error);
  if (error instanceof Unreachable)
    return [
      `${hubUrl} cannot be reached (${message})`,
      'Run it once with a network, set HF_ENDPOINT to a mirror',
    ];
  const { statusCode, url } = error as Partial<HubApiError>;
  if (statusCode !== undefined)
    return [`${url} answered ${statusCode}`, `Set HF_ENDPOINT if ${hubUrl} is not the hub you mean`];
  if (isOfFiles(error))
    return [`the cache cannot be used (${message})`, 'Set HF_HUB_CACHE to a folder that can be written'];
  return [message, 'Try again'];
}
