import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tokenizer, type TokenizerName } from '@dag/model';
import { z } from 'zod';
import type { Split } from '../data/stream.js';
import { TrainError } from '../error.js';
import { TokenFile } from './token-file.js';

/** What a folder of prepared text holds: token files of two splits, and what they were made of. */
export const TOKEN_FILES = { train: 'train.bin', 'held-out': 'val.bin' } as const satisfies Record<
  Split,
  string
>;
export const META_FILE = 'meta.json';
/** nanoGPT's own characters and their ids, in Python's format. */
const NANOGPT_META_FILE = 'meta.pkl';

const metaSchema = z.looseObject({ tokenizer: z.enum(['gpt2', 'char']) });

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
    checkTokenizer(folder, name);
    opened.set(key, (file = new TokenFile(path, tokenizer(name).vocabSize)));
  }
  return file;
}

/** nanoGPT's folders of GPT-2 tokens say nothing, and are taken as they are. */
function checkTokenizer(folder: string, name: TokenizerName): void {
  const path = join(folder, META_FILE);
  if (!existsSync(path)) {
    if (!existsSync(join(folder, NANOGPT_META_FILE))) return;
    throw new TrainError(
      'bad-input',
      `${folder} has ids of its own for characters (${NANOGPT_META_FILE}); prepare its text with ` +
        `dag prepare <files> --tokenizer ${name}`,
    );
  }
  const prepared = readMeta(path).tokenizer;
  if (prepared === name) return;
  throw new TrainError(
    'bad-input',
    `${folder} was prepared with the tokenizer ${prepared}, the configuration has ${name}; set tokenizer to ` +
      `${prepared}, or prepare the text with dag prepare <files> --tokenizer ${name}`,
  );
}

function readMeta(path: string): z.infer<typeof metaSchema> {
  try {
    return metaSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new TrainError(
      'bad-input',
      `${path} is not what dag prepare writes; delete it, or prepare the text again`,
      {
        cause: error,
      },
    );
  }
}
