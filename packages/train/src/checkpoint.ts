import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { TrainError } from './error.js';

/*
 * <outDir>/checkpoints/step-00001234/   the files given, state.json and manifest.json
 *                     /replaced-00001234   what step-00001234 was, for the moment in which it is written again
 *                     /.unfinished-…    being written or deleted; of no use to anyone
 *
 * The manifest is the last file written and the folder is renamed when all of it is on the disk. That the checkpoint
 * was the best one is part of the manifest, so that no moment exists in which the two could disagree.
 */
const STATE = 'state.json';
const MANIFEST = 'manifest.json';
const UNFINISHED = '.unfinished-';
const CHECKPOINT = /^(?:step|replaced)-\d{8,}$/;
const FILE_NAME = /^\w[\w.-]*$/;
/** Node hashes and reads at most 2 GiB at a time. */
const CHUNK = 2 ** 28;

const manifestContents = z.strictObject({
  step: z.int().min(0),
  /** When, in ISO 8601; grows from one checkpoint of a run to the next even where the clock does not. */
  written: z.iso.datetime(),
  /** Its score, where it was the best of the run when it was written. */
  best: z.number().nullable(),
  files: z.record(z.string().regex(FILE_NAME), z.strictObject({ bytes: z.int().min(0), sha256: z.string() })),
});
const manifestSchema = z.strictObject({ ...manifestContents.shape, sha256: z.string() });
type Manifest = z.infer<typeof manifestContents>;

export interface Checkpoint {
  readonly folder: string;
  readonly step: number;
  /** Its score, where it was the best of the run when it was written. */
  readonly best: number | null;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What `writeCheckpoint` was given, as JSON keeps it: not yet checked for what it should hold. */
  readonly state: unknown;
}

export interface WriteOptions {
  /** How many of the last checkpoints stay, this one included. The best one stays besides. */
  readonly keep: number;
  /** Where this is the best checkpoint of the run so far: its score. */
  readonly best?: number | undefined;
}

/**
 * Writes `<outDir>/checkpoints/step-00001234` and returns its path. It is there as a whole or not at all, and only
 * then are older ones deleted: all but the last `keep` and the best. One process at a time may write to an `outDir`.
 * @param state plain JSON; JSON has no NaN and no Infinity (they become null)
 * @throws TrainError `io` where the system refuses; the checkpoints that were there are as they were.
 */
export async function writeCheckpoint(
  outDir: string,
  step: number,
  files: ReadonlyMap<string, Uint8Array>,
  state: object,
  options: WriteOptions,
): Promise<string> {
  const parent = join(outDir, 'checkpoints');
  const name = String(step).padStart(8, '0');
  const folder = join(parent, `step-${name}`);
  const replaced = join(parent, `replaced-${name}`);
  const unfinished = join(parent, `${UNFINISHED}${randomUUID()}`);
  for (const file of files.keys()) {
    if (FILE_NAME.test(file) && file !== STATE && file !== MANIFEST) continue;
    throw new TrainError('bad-input', `a checkpoint cannot hold a file of the name ${JSON.stringify(file)}`);
  }
  try {
    await mkdir(parent, { recursive: true });
    await clearLeftovers(parent);
    const previous = await listCheckpoints(parent);
    await mkdir(unfinished);
    const manifest: Manifest = {
      step,
      written: new Date(Math.max(Date.now(), ...previous.map(({ time }) => time + 1))).toISOString(),
      best: options.best ?? null,
      files: {},
    };
    const all = new Map(files).set(STATE, Buffer.from(JSON.stringify(state, null, 2)));
    for (const [file, bytes] of all) {
      manifest.files[file] = { bytes: bytes.byteLength, sha256: hash(bytes) };
      await writeSynced(join(unfinished, file), bytes);
    }
    await writeSynced(join(unfinished, MANIFEST), Buffer.from(JSON.stringify(sealed(manifest), null, 2)));
    await sync(unfinished);
    if (previous.some((entry) => entry.folder === folder)) {
      await rename(folder, replaced);
    }
    await rename(unfinished, folder);
    await sync(parent);
    await discard(replaced);
    await prune(parent, options.keep);
    return folder;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
    throw systemError(`checkpoint ${folder} cannot be written`, error);
  }
}

/**
 * Reads the checkpoint in a folder and verifies the checksum of every file.
 * @throws TrainError `bad-checkpoint` that names the file that is damaged and how.
 */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  const manifest = await readManifest(folder);
  const files = new Map<string, Uint8Array>();
  for (const [file, { bytes: size, sha256 }] of Object.entries(manifest.files)) {
    const bytes = await readWhole(join(folder, file));
    if (bytes.byteLength !== size)
      throw damaged(folder, file, `has ${bytes.byteLength} bytes instead of ${size}`);
    if (hash(bytes) !== sha256) throw damaged(folder, file, 'is not what was written: its checksum differs');
    files.set(file, bytes);
  }
  const state = files.get(STATE);
  if (!state) throw damaged(folder, MANIFEST, `does not list ${STATE}`);
  files.delete(STATE);
  const { step, best } = manifest;
  return { folder, step, best, files, state: JSON.parse(Buffer.from(state).toString()) };
}

/**
 * The checkpoint of a run that was written last, or the one with the best score (the last where none has one).
 * A damaged one is named through `warn`, and the next newest is taken.
 * @throws TrainError `no-checkpoint` where no sound one is left.
 */
export async function findCheckpoint(
  outDir: string,
  which: 'latest' | 'best',
  warn: (message: string) => void,
): Promise<Checkpoint> {
  const parent = join(outDir, 'checkpoints');
  const entries = await listCheckpoints(parent);
  const best = which === 'best' ? bestOf(entries) : undefined;
  for (const { folder } of best ? [best, ...entries.filter((entry) => entry !== best)] : entries) {
    try {
      return await readCheckpoint(folder);
    } catch (error) {
      if (!(error instanceof TrainError)) throw error;
      warn(`skipped: ${error.message}`);
    }
  }
  throw new TrainError(
    'no-checkpoint',
    entries.length === 0
      ? `no checkpoint in ${parent}; \`dag train --outDir=${outDir}\` makes one`
      : `no sound checkpoint in ${parent}; \`dag train\` with another --outDir starts afresh`,
  );
}

/** The folders of a run's checkpoints, sound or damaged, the one written last first. */
export async function checkpointFolders(outDir: string): Promise<string[]> {
  return (await listCheckpoints(join(outDir, 'checkpoints'))).map(({ folder }) => folder);
}

/**
 * The checkpoint that a path means: a checkpoint folder itself, or the best (else the latest) of a run folder.
 * @throws TrainError `bad-checkpoint` or `no-checkpoint`
 */
export async function resolveCheckpoint(
  pathOrOutDir: string,
  warn: (message: string) => void,
): Promise<Checkpoint> {
  if (!(await exists(pathOrOutDir))) throw new TrainError('no-checkpoint', `${pathOrOutDir} does not exist`);
  const isCheckpoint =
    CHECKPOINT.test(basename(pathOrOutDir)) || (await exists(join(pathOrOutDir, MANIFEST)));
  if (!isCheckpoint) return findCheckpoint(pathOrOutDir, 'best', warn);
  return readCheckpoint(pathOrOutDir).catch((error: unknown) => {
    const parent = dirname(pathOrOutDir);
    if (!(error instanceof TrainError) || basename(parent) !== 'checkpoints') throw error;
    const wayOut = `the path ${dirname(parent)} takes its best sound one`;
    throw new TrainError(error.code, `${error.message}; ${wayOut}`, { cause: error });
  });
}

/** One of a checkpoint's files. @throws {TrainError} `bad-checkpoint` where it has none of that name. */
export function fileOf(checkpoint: Checkpoint, name: string): Uint8Array {
  const file = checkpoint.files.get(name);
  if (!file) throw new TrainError('bad-checkpoint', `${checkpoint.folder} has no ${name}`);
  return file;
}

/**
 * The run folder under `root` whose sound checkpoint was written last.
 * @throws TrainError `no-checkpoint` where there is none.
 */
export async function newestRun(root = 'runs'): Promise<string> {
  const names = await namesIn(root);
  const runs = await Promise.all(names.map((name) => listCheckpoints(join(root, name, 'checkpoints'))));
  for (const { folder } of runs.flat().toSorted(byNewest)) {
    const sound = await readCheckpoint(folder).then(
      () => true,
      () => false,
    );
    if (sound) return dirname(dirname(folder));
  }
  throw new TrainError('no-checkpoint', `no checkpoint in any folder of ${root}; \`dag train\` makes one`);
}

interface Entry {
  readonly folder: string;
  /** In milliseconds; −1 where the manifest is damaged. */
  readonly time: number;
  readonly best: number | null;
}

const byNewest = (a: Entry, b: Entry): number => b.time - a.time || (a.folder < b.folder ? 1 : -1);

/** `entries` are newest first: the last to have been the best is the best. */
const bestOf = (entries: readonly Entry[]): Entry | undefined => entries.find(({ best }) => best !== null);

/** The checkpoint folders, newest first; none where there is no such folder. */
async function listCheckpoints(parent: string): Promise<Entry[]> {
  const entries = (await namesIn(parent))
    .filter((name) => CHECKPOINT.test(name))
    .map(async (name): Promise<Entry> => {
      const folder = join(parent, name);
      const manifest = await readManifest(folder).catch(() => null);
      return { folder, time: manifest ? Date.parse(manifest.written) : -1, best: manifest?.best ?? null };
    });
  return (await Promise.all(entries)).sort(byNewest);
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return [];
    throw systemError(`${folder} cannot be listed`, error);
  });
}

async function readManifest(folder: string): Promise<Manifest> {
  const text = Buffer.from(await readWhole(join(folder, MANIFEST))).toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw damaged(folder, MANIFEST, 'is no JSON');
  }
  const { success, data } = manifestSchema.safeParse(json);
  if (!success) throw damaged(folder, MANIFEST, 'does not have the fields of a manifest');
  const { sha256, ...manifest } = data;
  if (sealed(manifest).sha256 !== sha256) {
    throw damaged(folder, MANIFEST, 'is not what was written: its checksum differs');
  }
  return manifest;
}

/** A manifest vouches for the other files, and its checksum for itself. */
const sealed = (manifest: Manifest): z.infer<typeof manifestSchema> => ({
  ...manifest,
  sha256: hash(Buffer.from(JSON.stringify(manifest))),
});

/** What a killed process was writing, deleting or replacing. */
async function clearLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (name.startsWith(UNFINISHED)) await rm(path, { recursive: true });
    if (!name.startsWith('replaced-')) continue;
    const successor = join(parent, name.replace('replaced-', 'step-'));
    await ((await exists(successor)) ? discard(path) : rename(path, successor));
  }
}

async function prune(parent: string, keep: number): Promise<void> {
  const entries = await listCheckpoints(parent);
  const kept = new Set([...entries.slice(0, keep), bestOf(entries)]);
  for (const entry of entries) {
    if (!kept.has(entry)) await discard(entry.folder);
  }
}

/** Renamed before it is deleted: a folder that is half deleted would be taken for a damaged checkpoint. */
async function discard(folder: string): Promise<void> {
  if (!(await exists(folder))) return;
  const unfinished = join(dirname(folder), `${UNFINISHED}${randomUUID()}`);
  await rename(folder, unfinished);
  await rm(unfinished, { recursive: true });
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

function hash(bytes: Uint8Array): string {
  const sha256 = createHash('sha256');
  for (let at = 0; at < bytes.byteLength; at += CHUNK) sha256.update(bytes.subarray(at, at + CHUNK));
  return sha256.digest('hex');
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable. */
async function sync(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The bytes of a file, at the start of a buffer of their own, so that typed arrays may be laid over them. */
async function readWhole(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path);
    try {
      const bytes = new Uint8Array((await file.stat()).size);
      let at = 0;
      for (let read = -1; at < bytes.byteLength && read !== 0; at += read) {
        read = (await file.read(bytes, at, Math.min(CHUNK, bytes.byteLength - at))).bytesRead;
      }
      return bytes.subarray(0, at);
    } finally {
      await file.close();
    }
  } catch (error) {
    const problem = systemCode(error) === 'ENOENT' ? 'is missing' : `cannot be read: ${String(error)}`;
    throw damaged(dirname(path), basename(path), problem);
  }
}

const damaged = (folder: string, file: string, problem: string): TrainError =>
  new TrainError('bad-checkpoint', `checkpoint ${folder} is damaged: ${file} ${problem}`);

function systemError(what: string, error: unknown): TrainError {
  if (error instanceof TrainError) return error;
  return new TrainError('io', `${what}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

const systemCode = (error: unknown): string =>
  z.object({ code: z.string() }).safeParse(error).data?.code ?? '';
