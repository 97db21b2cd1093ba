import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { FileBytes } from '@dag/model';
import { z } from 'zod';
import { TrainError } from '../error.js';
import { isAbsent, systemCode, systemError } from '../files/system-error.js';
import { damaged, readStored, readStoredText, writeStored } from './stored-file.js';

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
/** A manifest has a line for each of a handful of files. */
const MAX_MANIFEST_BYTES = 2 ** 20;

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

/** Whether a path is that of a checkpoint within the folder of a run, by its names. */
export const isCheckpointFolder = (path: string): boolean =>
  CHECKPOINT.test(basename(path)) && basename(dirname(path)) === 'checkpoints';

/** A checkpoint that was read: its folder, its files by name, and its state. */
export interface Checkpoint {
  readonly folder: string;
  readonly step: number;
  /** Its score, where it was the best of the run when it was written. */
  readonly best: number | null;
  /** By name, with their bytes: one array, or from 1 GiB on pieces of a file in order. */
  readonly files: ReadonlyMap<string, FileBytes>;
  /** What `writeCheckpoint` was given, as JSON keeps it: not yet checked for what it should hold. */
  readonly state: unknown;
}

export interface WriteOptions {
  /** How many of the last checkpoints stay, this one included. The best one stays besides. */
  readonly keep: number;
  /** Where this is the best checkpoint of the run so far: its score. */
  readonly best?: number | undefined;
  /** Called with what failed and does no harm, such as deleting an old checkpoint. */
  readonly warn?: (message: string) => void;
  /** Called when all is written, before the checkpoint takes its place; what it throws leaves all as it was. */
  readonly beforeRename?: () => void;
}

/**
 * Writes `<outDir>/checkpoints/step-00001234` and returns its path. It is there as a whole or not at all, and only
 * then are older ones deleted: all but the last `keep`, the best, and those whose manifest cannot be read. One process
 * at a time may write to an `outDir`.
 * @param files by name, with their bytes or pieces of them in order, which are taken one after another
 * @param state plain JSON; JSON has no NaN and no Infinity (they become null)
 * @throws TrainError `io` where the system refuses; the checkpoints that were there are as they were.
 */
export async function writeCheckpoint(
  outDir: string,
  step: number,
  files: ReadonlyMap<string, Uint8Array | Iterable<Uint8Array>>,
  state: object,
  { keep, best, warn = () => undefined, beforeRename }: WriteOptions,
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
    await clearLeftovers(parent, warn);
    const previous = (await listCheckpoints(parent)).entries;
    await mkdir(unfinished);
    const manifest: Manifest = {
      step,
      written: new Date(Math.max(Date.now(), ...previous.map(({ time }) => time + 1))).toISOString(),
      best: best ?? null,
      files: {},
    };
    const all = new Map(files).set(STATE, Buffer.from(JSON.stringify(state, null, 2)));
    for (const [file, contents] of all)
      manifest.files[file] = await writeStored(join(unfinished, file), piecesOf(contents));
    await writeStored(join(unfinished, MANIFEST), [Buffer.from(JSON.stringify(sealed(manifest), null, 2))]);
    await sync(unfinished);
    beforeRename?.();
    if (await exists(folder)) await rename(folder, replaced);
    await rename(unfinished, folder);
    await sync(parent);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
    throw systemError(`checkpoint ${folder} cannot be written`, error);
  }
  await discard(replaced, warn);
  await prune(parent, keep, warn);
  return folder;
}

function piecesOf(contents: Uint8Array | Iterable<Uint8Array>): Iterable<Uint8Array> {
  return ArrayBuffer.isView(contents) ? [contents] : contents;
}

/**
 * Reads the checkpoint in a folder and verifies the checksum of every file.
 * @throws TrainError `bad-checkpoint` that names the file that is damaged and how, `io` where the system refuses to read.
 */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  const manifest = await readManifest(folder);
  const files = new Map<string, FileBytes>();
  for (const [file, digest] of Object.entries(manifest.files))
    files.set(file, await readStored(join(folder, file), digest));
  const state = files.get(STATE);
  if (!state) throw damaged(join(folder, MANIFEST), `does not list ${STATE}`);
  files.delete(STATE);
  const { step, best } = manifest;
  return { folder, step, best, files, state: parseState(join(folder, STATE), state) };
}

function parseState(path: string, bytes: FileBytes): unknown {
  try {
    return JSON.parse(Buffer.concat([...piecesOf(bytes)]).toString());
  } catch {
    throw damaged(path, 'is no JSON');
  }
}

/**
 * The checkpoint of a run that was written last, or the one with the best score (the last where none has one).
 * A damaged one is named through `warn`, and the next newest is taken.
 * @throws TrainError `no-checkpoint` where no sound one is left, `io` where the system refuses to read one.
 */
export async function findCheckpoint(
  outDir: string,
  which: 'latest' | 'best',
  warn: (message: string) => void,
): Promise<Checkpoint> {
  const parent = join(outDir, 'checkpoints');
  const { entries, unreadable } = await listCheckpoints(parent);
  for (const error of unreadable) skip(error, warn);
  const best = which === 'best' ? bestOf(entries) : undefined;
  for (const { folder } of best ? [best, ...entries.filter((entry) => entry !== best)] : entries) {
    try {
      return await readCheckpoint(folder);
    } catch (error) {
      skip(error, warn);
    }
  }
  throw new TrainError(
    'no-checkpoint',
    entries.length + unreadable.length === 0
      ? `no checkpoint in ${parent}; \`dag train --outDir=${outDir}\` makes one`
      : `no sound checkpoint in ${parent}; \`dag train\` with another --outDir starts afresh`,
  );
}

/** Warns of a damaged checkpoint. Throws where the system could not read one: it may be sound, and the newest. */
function skip(error: unknown, warn: (message: string) => void): void {
  if (!(error instanceof TrainError)) throw error;
  if (error.code === 'io')
    throw new TrainError(
      'io',
      `${error.message}; try again, or move this checkpoint out of its folder to take another one`,
      { cause: error },
    );
  warn(`skipped: ${error.message}`);
}

/** The folders of a run's checkpoints, sound or damaged, the one of the last step first. */
export async function checkpointFolders(outDir: string): Promise<string[]> {
  const parent = join(outDir, 'checkpoints');
  return (await checkpointNames(parent)).map((name) => join(parent, name)).toReversed();
}

/** The step of the last checkpoint of a run, by its name; 0 where there is none. */
export async function lastStep(outDir: string): Promise<number> {
  const names = await checkpointNames(join(outDir, 'checkpoints'));
  return Math.max(0, ...names.map((name) => Number(name.slice(name.indexOf('-') + 1))));
}

/**
 * The checkpoint that a path means: a checkpoint folder itself, or the best (else the latest) of a run folder.
 * @throws TrainError `bad-checkpoint`, `no-checkpoint` or `io`
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
export function fileOf(checkpoint: Checkpoint, name: string): FileBytes {
  const file = checkpoint.files.get(name);
  if (!file) throw new TrainError('bad-checkpoint', `${checkpoint.folder} has no ${name}`);
  return file;
}

/**
 * The run folder under `root` whose sound checkpoint was written last.
 * @param warn Called with each checkpoint of other runs that cannot be read: it may be newer.
 * @throws TrainError `no-checkpoint` where there is none.
 */
export async function newestRun(
  root = 'runs',
  warn: (message: string) => void = () => undefined,
): Promise<string> {
  const entries: Entry[] = [];
  const skipped = new Map<TrainError, string>();
  for (const name of await namesIn(root)) {
    const run = join(root, name);
    const found = await listCheckpoints(join(run, 'checkpoints'));
    entries.push(...found.entries);
    for (const error of found.unreadable) skipped.set(error, run);
  }
  for (const { folder } of entries.toSorted(byNewest)) {
    const run = dirname(dirname(folder));
    try {
      await readCheckpoint(folder);
    } catch (error) {
      if (!(error instanceof TrainError)) throw error;
      skipped.set(error, run);
      continue;
    }
    for (const [{ message }, other] of skipped) if (other !== run) warn(`skipped: ${message}`);
    return run;
  }
  throw new TrainError('no-checkpoint', `no checkpoint in any folder of ${root}; \`dag train\` makes one`);
}

interface Entry {
  readonly folder: string;
  /** In milliseconds. */
  readonly time: number;
  readonly best: number | null;
}

const byNewest = (a: Entry, b: Entry): number => b.time - a.time || (a.folder < b.folder ? 1 : -1);

/** `entries` are newest first: the last to have been the best is the best. */
const bestOf = (entries: readonly Entry[]): Entry | undefined => entries.find(({ best }) => best !== null);

/**
 * The checkpoints of a folder, newest first, and why the manifests of others cannot be read: when those were written is
 * not known. None where there is no such folder.
 */
async function listCheckpoints(parent: string): Promise<{ entries: Entry[]; unreadable: TrainError[] }> {
  const entries: Entry[] = [];
  const unreadable: TrainError[] = [];
  // One after another: all at once are more files than a process may open.
  for (const name of await checkpointNames(parent)) {
    const folder = join(parent, name);
    try {
      const { written, best } = await readManifest(folder);
      entries.push({ folder, time: Date.parse(written), best });
    } catch (error) {
      if (!(error instanceof TrainError)) throw error;
      // One that is gone was deleted by its run meanwhile.
      if (await exists(folder)) unreadable.push(error);
    }
  }
  return { entries: entries.sort(byNewest), unreadable };
}

async function checkpointNames(parent: string): Promise<string[]> {
  return (await namesIn(parent)).filter((name) => CHECKPOINT.test(name)).sort();
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw systemError(`${folder} cannot be listed`, error);
  });
}

async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST);
  const text = await readStoredText(path, MAX_MANIFEST_BYTES);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw damaged(path, 'is no JSON');
  }
  const { success, data } = manifestSchema.safeParse(json);
  if (!success) throw damaged(path, 'does not have the fields of a manifest');
  const { sha256, ...manifest } = data;
  if (sealed(manifest).sha256 !== sha256)
    throw damaged(path, 'is not what was written: its checksum differs');
  return manifest;
}

/** A manifest vouches for the other files, and its checksum for itself. */
const sealed = (manifest: Manifest): z.infer<typeof manifestSchema> => ({
  ...manifest,
  sha256: createHash('sha256').update(JSON.stringify(manifest)).digest('hex'),
});

/** What a killed process was writing, deleting or replacing. */
async function clearLeftovers(parent: string, warn: (message: string) => void): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (name.startsWith(UNFINISHED)) await remove(path, warn);
    if (!name.startsWith('replaced-')) continue;
    const successor = join(parent, name.replace('replaced-', 'step-'));
    await ((await exists(successor)) ? discard(path, warn) : rename(path, successor));
  }
}

/** Deletes old checkpoints, but none that cannot be read: it may be the newest, or the best. */
async function prune(parent: string, keep: number, warn: (message: string) => void): Promise<void> {
  try {
    const { entries, unreadable } = await listCheckpoints(parent);
    for (const { message } of unreadable) warn(`kept: ${message}`);
    const kept = new Set([...entries.slice(0, keep), bestOf(entries)]);
    for (const entry of entries) {
      if (!kept.has(entry)) await discard(entry.folder, warn);
    }
  } catch (error) {
    warn(cannotBeDeleted(parent, error));
  }
}

/** Renamed before it is deleted: a folder that is half deleted would be taken for a damaged checkpoint. */
async function discard(folder: string, warn: (message: string) => void): Promise<void> {
  const unfinished = join(dirname(folder), `${UNFINISHED}${randomUUID()}`);
  try {
    await rename(folder, unfinished);
  } catch (error) {
    if (!isAbsent(error)) warn(cannotBeDeleted(dirname(folder), error));
    return;
  }
  await remove(unfinished, warn);
}

/** What cannot be deleted now is tried again with the next checkpoint; the run needs none of it. */
async function remove(folder: string, warn: (message: string) => void): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch((error: unknown) =>
    warn(cannotBeDeleted(dirname(folder), error)),
  );
}

/** The same words at each try, so that a run warns once. */
const cannotBeDeleted = (parent: string, error: unknown): string =>
  `an old checkpoint in ${parent} cannot be deleted (${systemCode(error) || String(error)}); the run goes on`;

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw systemError(`${path} cannot be looked at`, error);
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
