import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { tokenizer, type Tokenizer, type TokenizerName } from '@dag/model';
import { TrainError } from '../error.js';
import { unreadable } from '../files/utf8.js';
import { WholeFile } from '../files/whole-file.js';
import { characterStart, encodeFile, type Section } from './encode-file.js';
import { META_FILE, TOKEN_FILES } from './text-folder.js';

/** Options of `prepareText`. */
export interface PrepareOptions {
  /** Text files in UTF-8, and folders: every `.txt` and `.md` file in them, at any depth. */
  readonly inputs: readonly string[];
  /** Folder for `train.bin`, `val.bin` and `meta.json`; made where there is none. */
  readonly out: string;
  readonly tokenizer: TokenizerName;
  /** Share of the text, its end, that goes to `val.bin`: above 0 and below 1. */
  readonly val: number;
  /** Replace what `out` holds of these files; otherwise that is an error. */
  readonly force?: boolean;
  /** Called with the bytes that are read so far, and those of all files. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What was prepared, as `meta.json` says it. */
export interface PreparedText {
  readonly tokenizer: TokenizerName;
  readonly vocabSize: number;
  /** Ids in each file. */
  readonly tokens: { readonly train: number; readonly val: number };
  /** SHA-256 of each file, in hexadecimal. */
  readonly sha256: { readonly train: string; readonly val: string };
  /** Characters that the tokenizer does not have; its ids say nothing of them. */
  readonly unknown: number;
  /** The texts in their order, and their bytes. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

/**
 * Prepares text for training: token ids as uint16, as nanoGPT does. Files follow one another as they are given, those of
 * a folder in the order of their paths. Each is a document: GPT-2's `<|endoftext|>` follows it, and with characters a
 * newline, unless it ends in one. `val.bin` is the last share of all bytes, in whichever document it begins. Texts may be
 * larger than memory. The files appear when all of them are written.
 *
 * @throws {TrainError} `bad-input` for a share outside its range, text that is not UTF-8, and too little or no text;
 * `busy-directory` where `out` has such files already; `io` where the system refuses
 */
export async function prepareText(options: PrepareOptions): Promise<PreparedText> {
  const { inputs, out, val, force = false } = options;
  const tokens = tokenizer(options.tokenizer);
  if (!(val > 0 && val < 1))
    throw new TrainError('bad-input', `the share of val.bin is ${val}; above 0 and below 1 is expected`);
  const files = await findFiles(inputs);
  const parts = await split(files, val);
  const held = [TOKEN_FILES.train, TOKEN_FILES['held-out'], META_FILE].map((name) => join(out, name));
  const existing = held.find((path) => existsSync(path));
  if (existing !== undefined && !force) {
    throw new TrainError(
      'busy-directory',
      `${existing} is there already; give another folder, or --force to replace it`,
    );
  }
  const open: WholeFile[] = [];
  try {
    await mkdir(out, { recursive: true }).catch((error: unknown) => {
      throw new TrainError('io', `${out} cannot be written: ${(error as Error).message}`, { cause: error });
    });
    for (const path of held) open.push(await WholeFile.create(path));
    const [trainFile, valFile, metaFile] = open as [WholeFile, WholeFile, WholeFile];
    const report = progress(files, options.onProgress);
    const train = await writeTokens(trainFile, parts.train, tokens, report);
    const heldOut = await writeTokens(valFile, parts.val, tokens, report);
    const prepared: PreparedText = {
      tokenizer: tokens.name,
      vocabSize: tokens.vocabSize,
      tokens: { train: train.count, val: heldOut.count },
      sha256: { train: train.sha256, val: heldOut.sha256 },
      unknown: train.unknown + heldOut.unknown,
      files,
    };
    await metaFile.append(`${JSON.stringify(prepared, null, 2)}\n`);
    // meta.json last: should the process end between these, it does not fit the token files, and they are refused.
    for (const file of open) await file.finish();
    return prepared;
  } catch (error) {
    for (const file of open) await file.discard();
    throw error;
  }
}

type SourceFile = PreparedText['files'][number];

async function findFiles(inputs: readonly string[]): Promise<SourceFile[]> {
  const paths = (await Promise.all(inputs.map(filesOf))).flat();
  const files = await Promise.all(paths.map(async (path) => ({ path, bytes: (await status(path)).size })));
  // An empty file is no document.
  const texts = files.filter(({ bytes }) => bytes > 0);
  if (texts.length > 0) return texts;
  throw new TrainError(
    'bad-input',
    `${inputs.join(', ') || 'nothing'}: no text in it; files in UTF-8 are expected, or folders of .txt and .md files`,
  );
}

/** A file itself, or the .txt and .md files of a folder in the order of their paths. */
async function filesOf(input: string): Promise<string[]> {
  const found = await status(input);
  if (found.isDirectory()) return (await filesIn(input)).sort();
  if (found.isFile()) return [input];
  throw notAText(input);
}

/** Links to folders are not followed: they may lead in a circle, or out of the folder. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(folder, error);
  });
  const paths: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) for (const one of await filesIn(path)) paths.push(one);
    else if (/\.(?:txt|md)$/i.test(entry.name)) {
      const found = await status(path);
      if (found.isFile()) paths.push(path);
      else if (!found.isDirectory()) throw notAText(path);
    }
  }
  return paths;
}

/** A pipe has no size, and what is read from it is gone. */
const notAText = (path: string): TrainError =>
  new TrainError('bad-input', `${path} is a pipe or a device; a file is expected, so write the text to one`);

const status = (path: string) =>
  stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });

/** A part of a document; its end is marked where it has it. */
interface Part extends Section {
  readonly ends: boolean;
}

/** The first bytes of all files and the last share of them, at a whole character. */
async function split(files: readonly SourceFile[], val: number): Promise<{ train: Part[]; val: Part[] }> {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const parts: { train: Part[]; val: Part[] } = { train: [], val: [] };
  // As nanoGPT has it: int(n * 0.9).
  let rest = Math.floor(total * (1 - val));
  for (const { path, bytes } of files) {
    const at = rest <= 0 ? 0 : rest >= bytes ? bytes : await characterStart(path, rest);
    if (at > 0) parts.train.push({ path, start: 0, end: at, ends: at === bytes });
    if (at < bytes) parts.val.push({ path, start: at, end: bytes, ends: true });
    rest -= bytes;
  }
  if (parts.train.length > 0 && parts.val.length > 0) return parts;
  throw new TrainError(
    'bad-input',
    `a text of this length (bytes: ${total}) is too short to be split into train.bin and, of ${val} of it, val.bin`,
  );
}

const END_OF_TEXT = 50256;

async function writeTokens(
  file: WholeFile,
  parts: readonly Part[],
  tokens: Tokenizer,
  report: (bytes: number) => void,
): Promise<{ count: number; unknown: number; sha256: string }> {
  const unknownId = tokens.name === 'char' ? tokens.encode('\uFFFD')[0] : undefined;
  const newline = tokens.encode('\n')[0];
  const hash = createHash('sha256');
  let count = 0;
  let unknown = 0;
  for (const part of parts) {
    let last: number | undefined;
    const write = async (ids: readonly number[]): Promise<void> => {
      const bytes = new Uint8Array(Uint16Array.from(ids).buffer);
      hash.update(bytes);
      await file.append(bytes);
      count += ids.length;
      last = ids.at(-1) ?? last;
    };
    for await (const { ids, bytes } of encodeFile(part, tokens)) {
      for (const id of ids) if (id === unknownId) unknown++;
      await write(ids);
      report(bytes);
    }
    if (!part.ends) continue;
    if (tokens.name === 'gpt2') await write([END_OF_TEXT]);
    else if (last !== newline) await write([newline!]);
  }
  return { count, unknown, sha256: hash.digest('hex') };
}

function progress(
  files: readonly SourceFile[],
  onProgress: PrepareOptions['onProgress'],
): (bytes: number) => void {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  return (bytes) => onProgress?.((done += bytes), total);
}
