import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tokenizer, type TokenizerName } from '@dag/model';
import { z } from 'zod';
import { TrainError } from '../error.js';
import { requireRegular } from '../files/regular-file.js';
import type { Split } from '../predictor/stream.js';
import { TokenFile } from './token-file.js';

/** The files in a folder of prepared text: token files of two splits, and `meta.json`. */
export const TOKEN_FILES = { train: 'train.bin', 'held-out': 'val.bin' } as const satisfies Record<
  Split,
  string
>;
export const META_FILE = 'meta.json';
/** nanoGPT's file of character ids (a Python pickle). Such folders cannot be used. */
const NANOGPT_META_FILE = 'meta.pkl';

/** The fields of `meta.json` that are compared with the token files. */
const metaSchema = z.looseObject({
  tokenizer: z.enum(['gpt2', 'char']),
  tokens: z.looseObject({ train: z.number(), val: z.number() }).optional(),
  sha256: z.looseObject({ train: z.string(), val: z.string() }).optional(),
});
type Meta = z.infer<typeof metaSchema>;
/** The name of each split in `meta.json`. */
const META_FIELD = { train: 'train', 'held-out': 'val' } as const satisfies Record<Split, string>;

const opened = new Map<string, TokenFile>();

/**
 * Opens the tokens of one split of a folder that `dag prepare` or nanoGPT has prepared. Files stay open for later calls.
 *
 * @throws {TrainError} `bad-input` if the folder was prepared with another tokenizer; else as `TokenFile`
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

/** Checksums of larger files are not verified, only their number of tokens: reading them takes seconds or more. */
const LARGEST_HASHED = 2 ** 30;

/**
 * Verifies the token files of a folder by the checksums that `dag prepare` wrote, if there are any.
 *
 * @throws {TrainError} `bad-input` if a file differs; else as `openTokens`
 */
export function verifyTokens(folder: string, name: TokenizerName): void {
  for (const split of ['train', 'held-out'] as const) {
    const file = openTokens(folder, split, name);
    const sha256 = readMeta(folder, name)?.sha256?.[META_FIELD[split]];
    if (sha256 === undefined || statSync(file.path).size > LARGEST_HASHED) continue;
    if (file.sha256() !== sha256)
      throw notAsPrepared(file.path, `does not have the checksum that ${META_FILE} says`);
  }
}

const notAsPrepared = (path: string, problem: string): TrainError =>
  new TrainError('bad-input', `${path} ${problem}: it was truncated or replaced; prepare the text again`);

/**
 * Reads `meta.json` of a folder; null if there is none, as in nanoGPT's folders of GPT-2 tokens.
 * @throws {TrainError} `bad-input` if it was prepared with another tokenizer
 */
function readMeta(folder: string, name: TokenizerName): Meta | null {
  const path = join(folder, META_FILE);
  if (!existsSync(path)) {
    if (!existsSync(join(folder, NANOGPT_META_FILE))) return null;
    throw new TrainError(
      'bad-input',
      `${folder} has nanoGPT's character ids (${NANOGPT_META_FILE}), which no tokenizer here has; prepare its text with ` +
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
    // An editor may have added a byte order mark.
    return metaSchema.parse(JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, '')));
  } catch (error) {
    throw new TrainError(
      'bad-input',
      `${path} is not a meta.json of dag prepare; delete it, or prepare the text again`,
      { cause: error },
    );
  }
}
