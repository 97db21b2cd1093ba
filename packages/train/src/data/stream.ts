import { completePrefix, generateText, normalize, parse, wordsToText, type Expr } from '@dag/expr';
import { execute } from '@dag/executor';
import {
  createRegisterTargets,
  tokenizer,
  writeRegisterTargets,
  type RegisterLayout,
  type RegisterTargets,
  type TokenizerName,
} from '@dag/model';
import { tensorizeInto, zeroDag, type DagTensors } from '@dag/tensorize';
import { TrainError } from '../error.js';

/** What decides the examples of a stream. */
export interface StreamConfig extends RegisterLayout {
  readonly seed: number;
  readonly tokenizer: TokenizerName;
  readonly blockSize: number;
  readonly batchSize: number;
  readonly maxDigits: number;
  readonly maxDecimals: number;
  readonly style: 'spaced' | 'compact' | 'words' | 'mixed';
  readonly negatedGroups: number;
}

/** Expressions whose prefixes are all trained: B texts, padded to T tokens. */
export interface Batch {
  readonly texts: readonly string[];
  readonly shape: readonly [B: number, T: number];
  /** (B, T) ids; after the end of a text: 0. */
  readonly tokens: Int32Array;
  /** (B, T) 1 where the text up to this token can be completed to an expression, which the targets describe. */
  readonly valid: Uint8Array;
  /** B·T graphs; the zero DAG where not valid. */
  readonly plan: DagTensors;
  /** (B, T) what they execute to. */
  readonly values: Float64Array;
  readonly registers: RegisterTargets;
}

export type Split = 'train' | 'held-out';

/** One expression in this many is held out: its text in symbols alone decides, so no stream trains on it in any style. */
const HELD_OUT_ONE_IN = 16;
const MAX_DRAWS = 1000;

/**
 * Text `index` of the stream: a pure function of the configuration's seed and the index. Texts of the other split,
 * or longer than the block size, are drawn again.
 *
 * @throws {TrainError} `bad-config` where the block size has no room for such expressions.
 */
export function streamText(config: StreamConfig, split: Split, index: number): string {
  const { seed, depth, maxDigits, maxDecimals, style, negatedGroups, blockSize } = config;
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const text = generateText({
      seed,
      index: index + draw * 2 ** 32,
      depth,
      maxDigits,
      maxDecimals,
      style,
      negatedGroups,
    });
    const heldOut = hash(symbols(text, style)) % HELD_OUT_ONE_IN === 0;
    if (heldOut === (split === 'held-out') && tokenizer(config.tokenizer).encode(text).length <= blockSize)
      return text;
  }
  throw new TrainError(
    'bad-config',
    `none of ${MAX_DRAWS} expressions fits into model.blockSize ${blockSize}; use a larger one`,
  );
}

/** FNV-1a (Fowler, Noll & Vo), 32 bits, of the text without its spaces, and mixed so that all bits count. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (const c of text.replaceAll(' ', '')) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}

/** Batch `index` of the training stream: texts index·B … index·B + B − 1 with the targets of all their prefixes. */
export function trainingBatch(config: StreamConfig, index: number): Batch {
  const texts = Array.from({ length: config.batchSize }, (_, b) =>
    streamText(config, 'train', index * config.batchSize + b),
  );
  return batchOf(texts, config);
}

/** Lengths are rounded up to a multiple of this, so that batches have few different shapes. */
const LENGTH_STEP = 8;

/** Tokens and targets of every prefix of `texts`. */
export function batchOf(texts: readonly string[], config: StreamConfig): Batch {
  const tokens = tokenizer(config.tokenizer);
  const rows = texts.map((text) => tokens.encode(text));
  const longest = rows.reduce((most, ids) => Math.max(most, ids.length), 1);
  const T = Math.min(config.blockSize, Math.ceil(longest / LENGTH_STEP) * LENGTH_STEP);
  const B = texts.length;
  const ids = new Int32Array(B * T);
  const valid = new Uint8Array(B * T);
  const plan = zeroDag({ depth: config.depth, size: B * T });
  const registers = createRegisterTargets(B * T, config);
  rows.forEach((row, b) => {
    ids.set(row.slice(0, T), b * T);
    const read = prefixReader();
    for (let t = 0; t < Math.min(row.length, T); t++) {
      const text = symbols(tokens.decode(row.slice(0, t + 1)), config.style);
      const expr = read(text);
      if (!expr || !writeRegisterTargets(registers, b * T + t, text, expr.parsed, config)) continue;
      tensorizeInto(expr.normal, plan, b * T + t);
      valid[b * T + t] = 1;
    }
  });
  return { texts, shape: [B, T], tokens: ids, valid, plan, values: execute(plan), registers };
}

/** Digits and operators of a text that may be in words. */
function symbols(text: string, style: StreamConfig['style']): string {
  return (style === 'words' || style === 'mixed') && /[a-z]/.test(text) ? wordsToText(text) : text;
}

/** Reads prefixes of one text; neighbours often complete to the same expression, which is read once. */
function prefixReader(): (text: string) => { parsed: Expr; normal: Expr } | null {
  let lastText: string | null = null;
  let last: { parsed: Expr; normal: Expr } | null = null;
  return (text) => {
    const complete = completePrefix(text);
    if (complete === null) return null;
    if (complete !== lastText) {
      const parsed = parse(complete);
      lastText = complete;
      last = { parsed, normal: normalize(parsed) };
    }
    return last;
  };
}
