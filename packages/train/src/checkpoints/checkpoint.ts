import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { FileBytes } from '@dag/model';
import { z } from 'zod';
import { requireArguments } from '../arguments.js';
import { TrainError } from '../error.js';
import { isAbsent, systemCode, systemError } from '../files/system-error.js';
import { damaged, readStored, readStoredText, writeStored } from './stored-file.js';

/*
 * <outDir>/checkpoints/step-00001234/   the given files, state.json and manifest.json
 *                     /replaced-00001234   the previous step-00001234, while it is being replaced
 *                     /.unfinished-…    being written or deleted; never read
 *
 * The manifest is written last, and the folder is renamed into place once everything is on disk. The manifest also says
 * whether the checkpoint is the best one, so that this can never disagree with the files.
 */
const STATE = 'state.json';
const MANIFEST = 'manifest.json';
const UNFINISHED = '.unfinished-';
const CHECKPOINT = /^(?:step|replaced)-\d{8,}$/;
const FILE_NAME = /^\w[\w.-]*$/;
/** Largest size of a manifest, which has a few lines per file. */
const MAX_MANIFEST_BYTES = 2 ** 20;

const manifestContents = z.strictObject({
  step: z.int().min(0),
  /** Time of writing in ISO 8601. Increases from one checkpoint of a run to the next, even if the clock does not. */
  written: z.iso.datetime(),
  /** Its score, if it was the best of the run when it was written; else null. */
  best: z.number().nullable(),
  files: z.record(z.string().regex(FILE_NAME), z.strictObject({ bytes: z.int().min(0), sha256: z.string() })),
});
const manifestSchema = z.strictObject({ ...manifestContents.shape, sha256: z.string() });
type Manifest = z.infer<typeof manifestContents>;

/** Whether a path is, by its name, a checkpoint in the folder of a run. */
export const isCheckpointFolder = (path: string): boolean =>
  CHECKPOINT.test(basename(path)) && basename(dirname(path)) === 'checkpoints';

/** The files of a run and of its checkpoints; a report or an exported model may stand beside them. */
const STORED =
  /^(?:metrics\.jsonl|run\.lock|(?:checkpoints[/\\][^/\\]+[/\\])?(?:state\.json|manifest\.json|[^/\\]+\.safetensors))$/;

/** @throws {TrainError} `bad-input` if writing `file` would replace one of the files of the run or checkpoint in `folder`. */
export async function refuseStored(file: string, folder: string): Promise<void> {
  const place = await realpath(file).catch(() => null);
  const read = await realpath(folder).catch(() => null);
  if (place === null || read === null) return;
  const run = isCheckpointFolder(read) ? dirname(dirname(read)) : read;
  if (STORED.test(relative(run, place)))
    throw new TrainError(
      'bad-input',
      `${file} belongs to the model that is read; name another file to write`,
    );
}

/** A checkpoint that was read: its folder, its files by name, and its state. */
export interface Checkpoint {
  readonly folder: string;
  readonly step: number;
  /** Its score, if it was the best of the run when it was written; else null. */
  readonly best: number | null;
  /** Bytes by file name: one array, or for files above 1 GiB several pieces in order. */
  readonly files: ReadonlyMap<string, FileBytes>;
  /** The `state` given to `writeCheckpoint`, after a round trip through JSON; its contents are not checked. */
  readonly state: unknown;
}

/** Options of `writeCheckpoint`. */
export interface WriteOptions {
  /** How many of the latest checkpoints are kept, including this one. The best one is always kept. */
  readonly keep: number;
  /** The score of this checkpoint, if it is the best of the run so far. */
  readonly best?: number | undefined;
  /** Called with failures that do no harm, such as an old checkpoint that cannot be deleted. */
  readonly warn?: (message: string) => void;
  /** Called when everything is written, before the rename. If it throws, nothing changes. */
  readonly beforeRename?: () => void;
}

/**
 * Writes `<outDir>/checkpoints/step-00001234` and returns its path. The write is atomic: the checkpoint is complete or
 * absent. After that, older checkpoints are deleted, except the last `keep`, the best, and those whose manifest cannot be
 * read. Only one process at a time may write to an `outDir`.
 * @param files bytes by file name, or pieces of them in order, which are consumed one at a time
 * @param state plain JSON; NaN and Infinity become null
 * @throws TrainError `io` if the system refuses; existing checkpoints are then unchanged.
 */
export async function writeCheckpoint(
  outDir: string,
  step: number,
  files: ReadonlyMap<string, Uint8Array | Iterable<Uint8Array>>,
  state: object,
  options: WriteOptions,
): Promise<string> {
  requireArguments('writeCheckpoint', {
    outDir: [outDir, 'a string'],
    step: [step, 'a whole number from 0'],
    files: [files, 'a Map'],
    state: [state, 'an object'],
    options: [options, { keep: 'a number' }],
  });
  const { keep, best, warn = () => undefined, beforeRename } = options;
  const parent = join(outDir, 'checkpoints');
  const name = String(step).padStart(8, '0');
  const folder = join(parent, `step-${name}`);
  const replaced = join(parent, `replaced-${name}`);
  const unfinished = join(parent, `${UNFINISHED}${randomUUID()}`);
  for (const file of files.keys()) {
    if (FILE_NAME.test(file) && file !== STATE && file !== MANIFEST) continue;
    throw new TrainError('bad-input', `a checkpoint cannot have a file named ${JSON.stringify(file)}`);
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
 * Reads the checkpoint in a folder and verifies the checksum of every file. `resolveCheckpoint` reads that of a run.
 * @throws TrainError `no-checkpoint` where there is none, as in the folder of a run, `bad-checkpoint` with the damaged file and the damage,
 *   `io` if the system refuses to read.
 */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  requireArguments('readCheckpoint', { folder: [folder, 'a string'] });
  if (!(await isCheckpoint(folder)))
    throw new TrainError(
      'no-checkpoint',
      `${folder} is no checkpoint; resolveCheckpoint finds that of a run`,
    );
  const manifest = await readManifest(folder);
  const files = new Map<string, FileBytes>();
  for (const [file, digest] of Object.entries(manifest.files))
    files.set(file, await readStored(join(folder, file), digest));
  const state = files.get(STATE);
  if (!state) throw damaged(join(folder, MANIFEST), `does not list ${STATE}`);
  files.delete(STATE);
  const { step, best } = manifest;
  const text = Buffer.concat([...piecesOf(state)]).toString();
  return { folder, step, best, files, state: parseJson(join(folder, STATE), text) };
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(path, 'is not JSON');
  }
}

/**
 * Reads the newest checkpoint of a run, or the one with the best score (the newest if none has a score). Damaged
 * checkpoints are reported through `warn` and skipped in favour of the next newest.
 * @throws TrainError `no-checkpoint` if none is intact, `io` if the system refuses to read one.
 */
export async function findCheckpoint(
  outDir: string,
  which: 'latest' | 'best',
  warn: (message: string) => void,
): Promise<Checkpoint> {
  requireArguments('findCheckpoint', { outDir: [outDir, 'a string'], warn: [warn, 'a function'] });
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
      : `no intact checkpoint in ${parent}; \`dag train\` with another --outDir starts a new run`,
  );
}

/** Warns of a damaged checkpoint. Throws if the system could not read it: it may be intact, and the newest. */
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

/** The folders of a run's checkpoints, intact or damaged, latest step first. */
export async function checkpointFolders(outDir: string): Promise<string[]> {
  const parent = join(outDir, 'checkpoints');
  return (await checkpointNames(parent)).map((name) => join(parent, name)).toReversed();
}

/** The step of the last checkpoint of a run, by folder name; 0 if there is none. */
export async function lastStep(outDir: string): Promise<number> {
  const names = await checkpointNames(join(outDir, 'checkpoints'));
  return Math.max(0, ...names.map((name) => Number(name.slice(name.indexOf('-') + 1))));
}

/**
 * Reads the checkpoint at a path: a checkpoint folder, or a run folder, of which it takes the best checkpoint (the newest if
 * none has a score).
 * @throws TrainError `bad-checkpoint`, `no-checkpoint` or `io`
 */
export async function resolveCheckpoint(
  pathOrOutDir: string,
  warn: (message: string) => void,
): Promise<Checkpoint> {
  requireArguments('resolveCheckpoint', {
    pathOrOutDir: [pathOrOutDir, 'a string'],
    warn: [warn, 'a function'],
  });
  if (!(await exists(pathOrOutDir))) throw new TrainError('no-checkpoint', `${pathOrOutDir} does not exist`);
  if (!(await isCheckpoint(pathOrOutDir))) return findCheckpoint(pathOrOutDir, 'best', warn);
  return readCheckpoint(pathOrOutDir).catch((error: unknown) => {
    const parent = dirname(pathOrOutDir);
    if (!(error instanceof TrainError) || basename(parent) !== 'checkpoints') throw error;
    const wayOut = `use ${dirname(parent)} instead, to take the best intact checkpoint of the run`;
    throw new TrainError(error.code, `${error.message}; ${wayOut}`, { cause: error });
  });
}

/** Whether a folder is a checkpoint, intact or damaged. */
const isCheckpoint = async (folder: string): Promise<boolean> =>
  CHECKPOINT.test(basename(folder)) || exists(join(folder, MANIFEST));

/** A file of a checkpoint by name. @throws {TrainError} `bad-checkpoint` if there is none. */
export function fileOf(checkpoint: Checkpoint, name: string): FileBytes {
  const file = checkpoint.files.get(name);
  if (!file) throw new TrainError('bad-checkpoint', `${checkpoint.folder} has no ${name}`);
  return file;
}

/**
 * The run folder under `root` that has the newest intact checkpoint.
 * @param warn Called for each checkpoint of another run that cannot be read, because it may be newer.
 * @throws TrainError `no-checkpoint` if there is none.
 */
export async function newestRun(
  root = 'runs',
  warn: (message: string) => void = () => undefined,
): Promise<string> {
  requireArguments('newestRun', { root: [root, 'a string'], warn: [warn, 'a function'] });
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
  /** Time of writing, in milliseconds. */
  readonly time: number;
  readonly best: number | null;
}

const byNewest = (a: Entry, b: Entry): number => b.time - a.time || (a.folder < b.folder ? 1 : -1);

/** The best checkpoint of `entries` (newest first): the newest one that was the best when it was written. */
const bestOf = (entries: readonly Entry[]): Entry | undefined => entries.find(({ best }) => best !== null);

/**
 * The checkpoints in a folder, newest first, and the errors of those whose manifest cannot be read, so that their age is
 * unknown. Empty if there is no such folder.
 */
async function listCheckpoints(parent: string): Promise<{ entries: Entry[]; unreadable: TrainError[] }> {
  const entries: Entry[] = [];
  const unreadable: TrainError[] = [];
  // Sequentially: all at once could exceed the limit on open files.
  for (const name of await checkpointNames(parent)) {
    const folder = join(parent, name);
    try {
      const { written, best } = await readManifest(folder);
      entries.push({ folder, time: Date.parse(written), best });
    } catch (error) {
      if (!(error instanceof TrainError)) throw error;
      // If it no longer exists, its run has deleted it meanwhile.
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
  const json = parseJson(path, await readStoredText(path, MAX_MANIFEST_BYTES));
  const { success, data } = manifestSchema.safeParse(json);
  if (!success) throw damaged(path, 'does not have the fields of a manifest');
  const { sha256, ...manifest } = data;
  if (sealed(manifest).sha256 !== sha256) throw damaged(path, 'has the wrong checksum');
  return manifest;
}

/** A manifest with its own checksum; it has the checksums of all other files. */
const sealed = (manifest: Manifest): z.infer<typeof manifestSchema> => ({
  ...manifest,
  sha256: createHash('sha256').update(JSON.stringify(manifest)).digest('hex'),
});

/** Cleans up after a process that was killed while writing, deleting or replacing a checkpoint. */
async function clearLeftovers(parent: string, warn: (message: string) => void): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (name.startsWith(UNFINISHED)) await remove(path, warn);
    if (!name.startsWith('replaced-')) continue;
    const successor = join(parent, name.replace('replaced-', 'step-'));
    await ((await exists(successor)) ? discard(path, warn) : rename(path, successor));
  }
}

/** Deletes old checkpoints, but none whose manifest cannot be read: it may be the newest, or the best. */
async function prune(parent: string, keep: number, warn: (message: string) => void): Promise<void> {
  try {
    const { entries, unreadable } = await listCheckpoints(parent);
    for (const { message } of unreadable) warn(`not deleted: ${message}`);
    const kept = new Set([...entries.slice(0, keep), bestOf(entries)]);
    for (const entry of entries) {
      if (!kept.has(entry)) await discard(entry.folder, warn);
    }
  } catch (error) {
    warn(cannotBeDeleted(parent, error));
  }
}

/** Renames a checkpoint, then deletes it: a half deleted folder would look like a damaged checkpoint. */
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

/** Deletes a folder. A failure is only a warning: deleting is tried again at the next checkpoint. */
async function remove(folder: string, warn: (message: string) => void): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch((error: unknown) =>
    warn(cannotBeDeleted(dirname(folder), error)),
  );
}

/** The same message at each try, so that a run warns only once. */
const cannotBeDeleted = (parent: string, error: unknown): string =>
  `an old checkpoint in ${parent} cannot be deleted (${systemCode(error) || String(error)}); the run continues`;

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw systemError(`${path} cannot be accessed`, error);
  }
}

/** Syncs a folder, so that renames in it are durable. */
async function sync(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
