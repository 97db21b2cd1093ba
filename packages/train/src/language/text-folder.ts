import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tokenizer, type TokenizerName } from '@dag/model';
import { z } from 'zod';
import { TrainError } from '../error.js';
import { requireRegular } from '../files/regular-file.js';
import type { Split } from '../predictor/stream.js';
import { TokenFile } from './token-file.js';

/** What a folder of prepared text holds: token files of two splits, and what they were made of. */
export const TOKEN_FILES = { train: 'train.bin', 'held-out': 'val.bin' } as const satisfies Record<
  Split,
  string
>;
export const META_FILE = 'meta.json';
/** nanoGPT's own characters and their ids, in Python's format. */
const NANOGPT_META_FILE = 'meta.pkl';

/** What `dag prepare` writes, so far as it is compared with the token files. */
const metaSchema = z.looseObject({
  tokenizer: z.enum(['gpt2', 'char']),
  tokens: z.looseObject({ train: z.number(), val: z.number() }).optional(),
  sha256: z.looseObject({ train: z.string(), val: z.string() }).optional(),
});
type Meta = z.infer<typeof metaSchema>;
/** The fields of a split in it. */
const META_FIELD = { train: 'train', 'held-out': 'val' } as const satisfies Record<Split, string>;

const opened = new Map<string, TokenFile>();

/**
 * The tokens of one split of a folder that `dag prepare` or nanoGPT has prepared. A file stays open for the next call.
 *
 * @throws {TrainError} `bad-input` where the folder was prepared with another tokenizer; else as `TokenFile`
 */
export function openTokens(folder: string, split: Split, name: TokenizerName): TokenFile {
  const path = join(folder, TOKEN_FILES[split]);
  const key = `${name} ${path}`;
  let file = opened.get(key);
  if (file === undefined) {
    const meta = readMeta(folder, name);
    file = new TokenFile(path, tokenizer(name).vocabSize);
    const tokens = meta?.tokens?.[META_FIELD[split]] ?? file.length;
    if (tokens !== file.length) {
      file.close();
      throw notAsPrepared(path, `has ${file.length} tokens, ${META_FILE} says ${tokens}`);
    }
    opened.set(key, file);
  }
  return file;
}

/** Larger files are compared by their size alone: reading them takes seconds, and their disk may be slow. */
const LARGEST_HASHED = 2 ** 30;

/**
 * Compares the token files of a folder with the checksums that `dag prepare` wrote, where there are any.
 *
 * @throws {TrainError} `bad-input` where one of them is not what was written; else as `openTokens`
 */
export function verifyTokens(folder: string, name: TokenizerName): void {
  for (const split of ['train', 'held-out'] as const) {
    const file = openTokens(folder, split, name);
    const sha256 = readMeta(folder, name)?.sha256?.[META_FIELD[split]];
    if (sha256 === undefined || statSync(file.path).size > LARGEST_HASHED) continue;
    if (file.sha256() !== sha256)
      throw notAsPrepared(file.path, `has another checksum than ${META_FILE} says`);
  }
}

const notAsPrepared = (path: string, problem: string): TrainError =>
  new TrainError('bad-input', `${path} ${problem}: it was cut, replaced or renamed; prepare the text again`);

/**
 * What a folder says of its tokens; null for nanoGPT's folders of GPT-2 tokens, which say nothing and are taken as they are.
 * @throws {TrainError} `bad-input` where it was prepared with another tokenizer
 */
function readMeta(folder: string, name: TokenizerName): Meta | null {
  const path = join(folder, META_FILE);
  if (!existsSync(path)) {
    if (!existsSync(join(folder, NANOGPT_META_FILE))) return null;
    throw new TrainError(
      'bad-input',
      `${folder} has ids of its own for characters (${NANOGPT_META_FILE}); prepare its text with ` +
        `dag prepare <files> --tokenizer ${name}`,
    );
  }
  const meta = parseMeta(path);
  if (meta.tokenizer === name) return meta;
  throw new TrainError(
    'bad-input',
    `${folder} was prepared with the tokenizer ${meta.tokenizer}, the configuration has ${name}; set tokenizer to ` +
      `${meta.tokenizer}, or prepare the text with dag prepare <files> --tokenizer ${name}`,
  );
}

function parseMeta(path: string): Meta {
  try {
    requireRegular(path);
    // An editor may have put a byte order mark before it.
    return metaSchema.parse(JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, '')));
  } catch (error) {
    throw new TrainError(
      'bad-input',
      `${path} is not what dag prepare writes; delete it, or prepare the text again`,
      { cause: error },
    );
  }
}
