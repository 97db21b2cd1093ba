import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ModelError } from '../error.js';
import { messageOf } from '../safetensors/header.js';
import { blobHash, CachedRepository, type BegunFile, isBlobId, isCommit } from './hub-cache.js';
import { HubClient, Refused, TRIES, Unreachable } from './hub-client.js';
import { hubEnvironment } from './hub-environment.js';

/** Progress of the download of one file. */
export interface DownloadProgress {
  /** Name of the file in the repository. */
  readonly file: string;
  /** Bytes received so far, those of an earlier attempt included. */
  readonly received: number;
  /** Size of the file in bytes. */
  readonly total: number;
}

/** Options of downloads from the Hugging Face hub. */
export interface HubOptions {
  /** URL of the hub or of a mirror; by default `HF_ENDPOINT`, else https://huggingface.co. */
  readonly hubUrl?: string;
  /** Folder of the cache; by default `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else ~/.cache/huggingface/hub. */
  readonly cacheDir?: string;
  /** Called for each piece of a file that arrives. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Aborts the download, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Returns the folder of the cache with these files of a repository on the Hugging Face hub. Files that are not in the cache, or
 * do not have their hashes, are downloaded first; else the network is not used.
 *
 * @throws {ModelError} `download` with what else can be done.
 */
export async function hubFolder(
  repository: string,
  files: readonly string[],
  options: HubOptions,
): Promise<string> {
  const { signal, cacheDir = hubEnvironment.cache() } = options;
  const hubUrl = options.hubUrl?.replace(/\/+$/, '') ?? hubEnvironment.url();
  const cache = new CachedRepository(join(cacheDir, `models--${repository.replaceAll('/', '--')}`), signal);
  let client: HubClient | undefined;
  try {
    const found = await cache.find(files);
    if (found?.isChecked) return found.folder;
    if (hubEnvironment.isOffline()) {
      if (found) return found.folder;
      throw new Offline('it is not in the cache, and HF_HUB_OFFLINE is set');
    }
    try {
      client = await HubClient.open(hubUrl, signal);
      return await download(client, cache, repository, files, { ...options, hubUrl });
    } catch (error) {
      // Files without a known hash are used unchecked where the hub, which knows it, cannot be reached.
      if (found && error instanceof Unreachable) return found.folder;
      throw error;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const [problem, wayOut] = explain(cause, hubUrl);
    const byHand = `download ${files.join(' and ')} of ${repository} by hand and give the folder they are in`;
    throw new ModelError('download', `${repository}: ${problem}. ${wayOut}, or ${byHand}.`, { cause });
  } finally {
    await client?.close();
  }
}

class Offline extends Error {}

/** Downloads the files of a repository's main commit that the cache does not have. */
async function download(
  client: HubClient,
  cache: CachedRepository,
  repository: string,
  files: readonly string[],
  options: HubOptions & { readonly hubUrl: string },
): Promise<string> {
  const { hubUrl } = options;
  const api = `/api/models/${repository}`;
  const { sha: commit } = asObject(await client.json(`${api}/revision/main`));
  if (!isCommit(commit)) throw new Error(`${hubUrl} names no commit of ${repository}`);
  const infos = await client.json(`${api}/paths-info/${commit}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ paths: files }),
  });
  for (const file of files) {
    const url = `${hubUrl}/${repository}/resolve/${commit}/${file}`;
    const remote = { file, url, ...identify(infos, file, url) };
    if (await cache.has(remote.id, commit, file)) continue;
    if (!(await cache.isWhole(cache.blob(remote.id), remote.id)))
      await cache.addBlob(remote.id, remote.size, (begun) => receive(client, begun, remote, options));
    await cache.link(remote.id, commit, file);
  }
  await cache.setMain(commit);
  return cache.snapshot(commit);
}

/** A file on the hub. */
interface RemoteFile {
  readonly file: string;
  readonly url: string;
  /** Name of its blob in the cache: its hash. */
  readonly id: string;
  readonly size: number;
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {};

/** Hash and size of a file, from the hub's answer. */
function identify(infos: unknown, file: string, url: string): { id: string; size: number } {
  const info = (Array.isArray(infos) ? infos : []).map(asObject).find(({ path }) => path === file);
  if (!info) throw new Error(`${url} is missing: the repository has no such file`);
  const { oid: id, size } = asObject(info['lfs'] ?? info);
  if (!isBlobId(id) || typeof size !== 'number' || !Number.isSafeInteger(size))
    throw new Error(`${url}: the hub's answer has no size and hash of it`);
  return { id, size };
}

/** Downloads a file, resumes where the connection breaks off, and checks the hash of the whole. */
async function receive(
  client: HubClient,
  { path, hash, from }: BegunFile,
  { file, url, id, size }: RemoteFile,
  { onProgress, signal }: HubOptions,
): Promise<void> {
  let received = from;
  let furthest = from;
  // Whether the bytes come from several answers, which may be of different versions of the file.
  let isPatched = from > 0;
  let hasRestarted = false;
  const restart = async (): Promise<void> => {
    await rm(path, { force: true });
    hash = blobHash(id, size);
    received = 0;
    isPatched = false;
  };
  /** Restarts once, where bytes of an earlier answer may be the reason; else throws. */
  const restartOr = async (wrong: WrongFile): Promise<void> => {
    if (hasRestarted || !isPatched) throw wrong;
    hasRestarted = true;
    await restart();
  };
  async function* counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      if (received + chunk.length > size)
        throw new WrongFile(`${url} has more than ${size} bytes, its size according to the hub`);
      received += chunk.length;
      hash.update(chunk);
      onProgress?.({ file, received, total: size });
      yield chunk;
    }
  }
  let tries = 0;
  for (;;) {
    if (received === size) {
      const given = hash.digest('hex');
      if (given === id) return;
      await restartOr(new WrongFile(`${url} has the hash ${given}, according to the hub ${id}`));
    }
    const begun = received;
    isPatched ||= begun > 0;
    try {
      // No compression: ranges count the bytes of the file.
      const headers = { 'Accept-Encoding': 'identity', Range: `bytes=${begun}-` };
      await client.read(
        url,
        { headers: begun > 0 ? headers : { 'Accept-Encoding': 'identity' } },
        (body, status) => {
          if (begun > 0 && status !== 206) throw new NoRange('the server does not send ranges');
          return pipeline(body, counted, createWriteStream(path, { flags: 'a' }), signal ? { signal } : {});
        },
      );
      if (received < size) throw new Error(`it ended after ${received} of ${size} bytes`);
    } catch (cause) {
      if (signal?.aborted || isOfFiles(cause) || cause instanceof Refused) throw cause;
      if (cause instanceof WrongFile) {
        await restartOr(cause);
        continue;
      }
      if (cause instanceof NoRange) {
        await restart();
        continue;
      }
      // Attempts that made much progress do not count.
      if (received - furthest > size / 100 && !(cause instanceof Unreachable)) tries = 0;
      furthest = Math.max(furthest, received);
      if (++tries >= TRIES)
        throw new Error(`${url} broke off after ${received} of ${size} bytes (${messageOf(cause)})`, {
          cause,
        });
    }
  }
}

/** The downloaded bytes do not have the size or hash of the file. */
class WrongFile extends Error {}
/** The server ignored the range that was asked for. */
class NoRange extends Error {}

/** Whether an error is one of the file system. Errors of writes have a code, but no path. */
function isOfFiles(error: unknown): boolean {
  const { code, path } = error as NodeJS.ErrnoException;
  return code !== undefined && (path !== undefined || OF_WRITES.includes(code));
}
const OF_WRITES = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS'];

/** What went wrong and a way out, for the message. */
function explain(error: unknown, hubUrl: string): readonly [problem: string, wayOut: string] {
  const message = messageOf(error);
  if (error instanceof Offline) return [message, 'Run it once with a network and without HF_HUB_OFFLINE'];
  if (error instanceof Unreachable)
    return [
      `${hubUrl} cannot be reached (${message})`,
      'Run it once with a network, set HTTPS_PROXY to your proxy or HF_ENDPOINT to a mirror',
    ];
  if (error instanceof Refused)
    return [
      message,
      error.status === 401 || error.status === 403
        ? 'Set HF_TOKEN to a token that may read it'
        : `Set HF_ENDPOINT if ${hubUrl} is not the hub you mean`,
    ];
  if (isOfFiles(error))
    return [`the cache cannot be used (${message})`, 'Set HF_HUB_CACHE to a folder that can be written'];
  return [message, 'Try again'];
}
