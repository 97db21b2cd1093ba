import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { tokenizer, type Tokenizer, type TokenizerName } from '@dag/model';
import { requireArguments } from '../arguments.js';
import { TrainError } from '../error.js';
import { makeFolder } from '../files/make-folder.js';
import { unreadable } from '../files/utf8.js';
import { WholeFile } from '../files/whole-file.js';
import { characterStart, encodeFile, type Section } from './encode-file.js';
import { nextTurn } from '../next-turn.js';
import { readAnnotated } from './annotated-text.js';
import { CALCULATIONS_FILE, readDocuments, type Places } from './calculations-file.js';
import { META_FILE, TOKEN_FILES } from './text-folder.js';

/** Options of `prepareText`. */
export interface PrepareOptions {
  /** Text files in UTF-8, and folders: every `.txt` and `.md` file in them, at any depth. */
  readonly inputs: readonly string[];
  /** A file of texts with marked results, behind the others: see `readDocuments`. */
  readonly calculations?: string;
  /** Folder for `train.bin`, `val.bin` and `meta.json`; created if missing. */
  readonly out: string;
  readonly tokenizer: TokenizerName;
  /** Share of the text, from its end, that goes to `val.bin`: above 0 and below 1. */
  readonly val: number;
  /** Replace these files if `out` has them; default: throw. */
  readonly force?: boolean;
  /** Called with the bytes read so far and the bytes of all files. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** The contents of `meta.json`. */
export interface PreparedText {
  readonly tokenizer: TokenizerName;
  readonly vocabSize: number;
  /** Ids in each file. */
  readonly tokens: { readonly train: number; readonly val: number };
  /** SHA-256 of each file, in hexadecimal. */
  readonly sha256: { readonly train: string; readonly val: string };
  /** Number of characters that are not in the vocabulary of the tokenizer `char`. */
  readonly unknown: number;
  /** The text files in order, with their sizes. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Results in texts with marked ones whose calculation stands before them, and the others. */
  readonly calculations?: { readonly train: PreparedResults; readonly val: PreparedResults };
}

/** How many results texts have. */
export interface PreparedResults {
  /** Those whose calculation stands before them, and the others. */
  readonly read: number;
  readonly others: number;
}

/**
 * Tokenizes text for training into files of uint16 ids, as nanoGPT does. Files are concatenated in the given order, those of
 * a folder sorted by path. Each is a document, followed by `<|endoftext|>` with GPT-2's tokens, or by a newline with
 * characters (unless it ends in one). `val.bin` has the last share of all bytes, in whichever document that begins. Texts
 * may be larger than memory. The files appear when all of them are written.
 *
 * Of texts with marked results, `calculations.json` has the places and expressions; the last share of them goes to `val.bin`.
 *
 * @throws {TrainError} `bad-input` for a share outside its range, text that is not UTF-8, and too little or no text;
 * `busy-directory` if `out` has such files already; `io` if the system refuses
 */
export async function prepareText(options: PrepareOptions): Promise<PreparedText> {
  requireArguments('prepareText', {
    options: [options, { inputs: ['a string'], out: 'a string', tokenizer: 'a string' }],
  });
  const { inputs, out, val, force = false, calculations } = options;
  const tokens = tokenizer(options.tokenizer);
  if (!(val > 0 && val < 1))
    throw new TrainError(
      'bad-input',
      `the share of val.bin is ${val}; expected a number above 0 and below 1`,
    );
  const files = inputs.length > 0 || calculations === undefined ? await findFiles(inputs) : [];
  const parts = files.length > 0 ? await split(files, val) : { train: [], val: [] };
  const documents = calculations === undefined ? [] : await readDocuments(calculations);
  const sources = [...files];
  if (calculations !== undefined)
    sources.push({ path: calculations, bytes: (await status(calculations)).size });
  const trained = Math.floor(documents.length * (1 - val));
  if (documents.length > 0 && (trained === 0 || trained === documents.length))
    throw new TrainError(
      'bad-input',
      `${calculations} has too few texts to be split into train.bin and val.bin: ${documents.length} (a share of ${val})`,
    );
  const names = [TOKEN_FILES.train, TOKEN_FILES['held-out'], META_FILE];
  if (calculations !== undefined) names.push(CALCULATIONS_FILE);
  const targets = names.map((name) => join(out, name));
  const existing = targets.find((path) => existsSync(path));
  if (existing !== undefined && !force) {
    throw new TrainError(
      'busy-directory',
      `${existing} exists already; use another folder, or --force to replace it`,
    );
  }
  // A link has the identity of what it leads to.
  const identity = async (path: string): Promise<string> => {
    const { dev, ino } = await status(path);
    return `${dev} ${ino}`;
  };
  const read = new Set(await Promise.all(sources.map(({ path }) => identity(path))));
  for (const path of targets)
    if (existsSync(path) && read.has(await identity(path)))
      throw new TrainError('bad-input', `${path} is one of the texts; use another folder`);
  const open: WholeFile[] = [];
  try {
    try {
      makeFolder(out);
    } catch (error) {
      throw new TrainError('io', `${out} cannot be written: ${(error as Error).message}`, { cause: error });
    }
    for (const path of targets) open.push(await WholeFile.create(path));
    const [trainFile, valFile, metaFile, placesFile] = open as [WholeFile, WholeFile, WholeFile, WholeFile?];
    const report = progress(files, options.onProgress);
    const train = await writeTokens(trainFile, parts.train, documents.slice(0, trained), tokens, report);
    const heldOut = await writeTokens(valFile, parts.val, documents.slice(trained), tokens, report);
    const results = ({ calculations: read, others }: Places): PreparedResults => ({
      ...{ read: read.length, others: others.length },
    });
    const prepared: PreparedText = {
      tokenizer: tokens.name,
      vocabSize: tokens.vocabSize,
      tokens: { train: train.count, val: heldOut.count },
      sha256: { train: train.sha256, val: heldOut.sha256 },
      unknown: train.unknown + heldOut.unknown,
      files: sources,
      ...(placesFile ? { calculations: { train: results(train.places), val: results(heldOut.places) } } : {}),
    };
    await placesFile?.append(JSON.stringify({ train: train.places, val: heldOut.places }));
    await metaFile.append(`${JSON.stringify(prepared, null, 2)}\n`);
    // meta.json comes last: if the process ends between these, meta.json does not match the token files, and training refuses them.
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
  // Empty files are skipped.
  const texts = files.filter(({ bytes }) => bytes > 0);
  if (texts.length > 0) return texts;
  throw new TrainError(
    'bad-input',
    `${inputs.join(', ') || 'nothing'}: contains no text; expected files in UTF-8, or folders of .txt and .md files`,
  );
}

/** The path of a file itself, or of the .txt and .md files in a folder, sorted. */
async function filesOf(input: string): Promise<string[]> {
  const found = await status(input);
  if (found.isDirectory()) return (await filesIn(input)).sort();
  if (found.isFile()) return [input];
  throw notAText(input);
}

/** The .txt and .md files in a folder, at any depth. Links to folders are not followed: they may form a cycle or leave the folder. */
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

/** Pipes are refused because they have no size and can be read only once. */
const notAText = (path: string): TrainError =>
  new TrainError('bad-input', `${path} is a pipe or a device; write the text to a file first`);

const status = (path: string) =>
  stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });

/** A part of a document. `ends`: it includes the end of the document, where an end mark is written. */
interface Part extends Section {
  readonly ends: boolean;
}

/** Splits the bytes of all files, in order, into train and the last share `val`, at a character boundary. */
async function split(files: readonly SourceFile[], val: number): Promise<{ train: Part[]; val: Part[] }> {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const parts: { train: Part[]; val: Part[] } = { train: [], val: [] };
  // As nanoGPT: int(n * 0.9).
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
    `a text of ${total} bytes is too short to be split into train.bin and val.bin (a share of ${val})`,
  );
}

const END_OF_TEXT = 50256;

/** Writes parts of text files, then documents with marked results, whose places it returns. */
async function writeTokens(
  file: WholeFile,
  parts: readonly Part[],
  documents: readonly string[],
  tokens: Tokenizer,
  report: (bytes: number) => void,
): Promise<{ count: number; unknown: number; sha256: string; places: Places }> {
  const unknownId = tokens.name === 'char' ? tokens.encode('\uFFFD')[0] : undefined;
  const newline = tokens.encode('\n')[0];
  const hash = createHash('sha256');
  let count = 0;
  let unknown = 0;
  let last: number | undefined;
  const write = async (ids: readonly number[]): Promise<void> => {
    const bytes = new Uint8Array(Uint16Array.from(ids).buffer);
    hash.update(bytes);
    await file.append(bytes);
    for (const id of ids) if (id === unknownId) unknown++;
    count += ids.length;
    last = ids.at(-1) ?? last;
  };
  const end = async (): Promise<void> => {
    if (tokens.name === 'gpt2') await write([END_OF_TEXT]);
    else if (last !== newline) await write([newline!]);
  };
  for (const part of parts) {
    last = undefined;
    for await (const { ids, bytes } of encodeFile(part, tokens)) {
      await write(ids);
      report(bytes);
    }
    if (part.ends) await end();
  }
  const places: Places = { calculations: [], others: [] };
  for (const document of documents) {
    const { ids, calculations, others } = readAnnotated(document, tokens.name);
    const at = count;
    places.calculations.push(
      ...calculations.map((one) => ({
        ...one,
        ...{ start: at + one.start, value: at + one.value, end: at + one.end },
      })),
    );
    places.others.push(...others.map(({ value, end }) => ({ value: at + value, end: at + end })));
    await write(ids);
    await end();
    if (count % 4096 < ids.length) await nextTurn();
  }
  return { count, unknown, sha256: hash.digest('hex'), places };
}

function progress(
  files: readonly SourceFile[],
  onProgress: PrepareOptions['onProgress'],
): (bytes: number) => void {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  return (bytes) => onProgress?.((done += bytes), total);
}
