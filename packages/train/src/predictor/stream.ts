import { fnv1a, generateTexts } from '@dag/expr';
import { execute } from '@dag/executor';
import {
  createRegisterTargets,
  tokenizer,
  type RegisterLayout,
  type RegisterTargets,
  type TokenizerName,
} from '@dag/model';
import { zeroDag, type DagTensors } from '@dag/tensorize';
import type { Expressions } from '../config/expressions.js';
import type { PredictorTrainConfig } from '../config/predictor.js';
import { TrainError } from '../error.js';
import { operatorsOf, skeletonOf } from '../evaluation/skeleton.js';
import { writePrefixTargets } from './prefix-targets.js';
import { labelledText, type DecisionTargets } from './words-stream.js';

/** What decides the examples of a stream. */
export interface StreamConfig extends RegisterLayout {
  readonly seed: number;
  readonly tokenizer: TokenizerName;
  readonly blockSize: number;
  readonly batchSize: number;
  /** Batches of a step, which deal out its texts by length, so that little of each is padding; 1 where left out. */
  readonly accumulate?: number;
  readonly data: StreamData;
}

/** `data` of a predictor's configuration, whose keys `dag train --help` describes: what expressions are drawn, and how they are written. */
export type StreamData = Expressions & Partial<Pick<PredictorTrainConfig['data'], 'largest' | 'shiftEvery' | 'foreign'>>;

/** Targets of the prefixes of B texts, padded to T tokens. */
export interface PrefixBatch {
  readonly shape: readonly [B: number, T: number];
  /** (B, T) 1 where the text up to this token can be completed to an expression, which the targets describe. */
  readonly valid: Uint8Array;
  /** B·T graphs; the zero DAG where not valid. Null where no loss reads plans. */
  readonly plan: DagTensors | null;
  /** (B, T) what they execute to. */
  readonly values: Float64Array | null;
  readonly registers: RegisterTargets;
  /** (B·T) what each token decides, of the tokenizer `words`; else null. */
  readonly decisions?: DecisionTargets | null;
}

/** Expressions whose prefixes are all trained. */
export interface TextBatch extends PrefixBatch {
  readonly texts: readonly string[];
  /** (B, T) ids; after the end of a text: 0. */
  readonly tokens: Int32Array;
  /** Position of the first token of each text, up to blockSize − T. */
  readonly position: number;
}

/** The same with the targets of plans. */
export interface Batch extends TextBatch {
  readonly plan: DagTensors;
  readonly values: Float64Array;
}

/** Expressions that are trained on, or those that never are. */
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
  return streamExample(config, split, index).text;
}

/** A text with its tokens, and in the style 'compact', which decides the split. */
export interface Example {
  readonly text: string;
  readonly plain: string;
  readonly ids: readonly number[];
  /** What its tokens decide, of the tokenizer `words`. */
  readonly targets?: DecisionTargets;
}

/** The same, whole. */
export function streamExample(config: StreamConfig, split: Split, index: number): Example {
  const { seed, blockSize, data } = config;
  if (config.tokenizer === 'words') return wordsExample(config, split, index);
  const largest = split === 'train' ? (data.largest ?? 0) : 0;
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const { text, plain } = generateTexts({
      ...data,
      largest,
      seed,
      index: index + draw * 2 ** 32,
      depth: data.numbers,
    });
    if (isHeldOut(plain, data.heldOutSkeletons) !== (split === 'held-out')) continue;
    const ids = readTokens(text, config);
    if (ids.length <= blockSize) return { text, plain, ids };
  }
  throw tooLong(blockSize);
}

const tooLong = (blockSize: number): TrainError =>
  new TrainError(
    'bad-config',
    `none of ${MAX_DRAWS} expressions fits into model.blockSize ${blockSize}; use a larger one`,
  );

/** One text in so many has up to twice the numbers, so that longer ones are not strange. */
const LONG_ONE_IN = 40;

function wordsExample(config: StreamConfig, split: Split, index: number): Example {
  const { seed, blockSize, data } = config;
  const foreign = split === 'train' ? (data.foreign ?? 0) : 0;
  const { maxDigits, maxDecimals } = data;
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const at = index + draw * 2 ** 32;
    const numbers = split === 'train' && index % LONG_ONE_IN === 0 ? 2 * data.numbers : data.numbers;
    const { text, ids, targets } = labelledText({
      ...{ seed, index: at, numbers, maxDigits, maxDecimals, foreign },
      phrases: 'trained',
    });
    if ((hash(text) % HELD_OUT_ONE_IN === 0) === (split === 'held-out') && ids.length <= blockSize)
      return { text, plain: text, ids, targets };
  }
  throw tooLong(blockSize);
}

/** `plain`: the expression in the style 'compact', whatever the style of its text. */
function isHeldOut(plain: string, heldOutSkeletons = 0): boolean {
  if (hash(plain) % HELD_OUT_ONE_IN === 0) return true;
  if (heldOutSkeletons === 0) return false;
  const skeleton = skeletonOf(plain);
  return operatorsOf(skeleton) >= 2 && hash(skeleton) < heldOutSkeletons * 2 ** 32;
}

/** 32 bits, mixed so that all of them count. */
function hash(text: string): number {
  let h = fnv1a(text);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}

/**
 * Batch `index` of the training stream with the targets of all prefixes. With `accumulate` of n, the batches i·n …
 * i·n + n − 1 are the texts i·n·B … (i + 1)·n·B − 1 from the shortest to the longest.
 */
export function trainingBatch(config: StreamConfig, index: number): Batch;
/** @param plans Whether it has plans and their values, which are most of its size and of the time that it takes. */
export function trainingBatch(config: StreamConfig, index: number, plans: boolean): TextBatch;
export function trainingBatch(config: StreamConfig, index: number, plans = true): TextBatch {
  const { accumulate = 1, batchSize, blockSize, seed } = config;
  const { shiftEvery = 0 } = config.data;
  const step = Math.floor(index / accumulate);
  const from = (index % accumulate) * batchSize;
  const batch = encodedBatch(examplesOf(config, step).slice(from, from + batchSize), config, plans);
  if (shiftEvery === 0) return batch;
  const last = Math.min(blockSize - batch.shape[1], Math.floor(step / shiftEvery));
  return { ...batch, position: hash(`${seed} ${index}`) % (last + 1) };
}

const lastSteps = new WeakMap<StreamConfig, { step: number; examples: readonly Example[] }>();

/** The texts of a step. Of each configuration those of the last one are kept: the next batch is of the same step. */
function examplesOf(config: StreamConfig, step: number): readonly Example[] {
  const last = lastSteps.get(config);
  if (last?.step === step) return last.examples;
  const { accumulate = 1, batchSize } = config;
  const size = accumulate * batchSize;
  const examples = Array.from({ length: size }, (_, i) => streamExample(config, 'train', step * size + i));
  if (accumulate > 1) examples.sort((a, b) => a.ids.length - b.ids.length);
  lastSteps.set(config, { step, examples });
  return examples;
}

/** Tokens and targets of every prefix of `texts`. */
export function batchOf(texts: readonly string[], config: StreamConfig): Batch {
  const examples = texts.map((text) => ({ text, ids: readTokens(text, config) }));
  return encodedBatch(examples, config, true) as Batch;
}

function readTokens(text: string, config: StreamConfig): number[] {
  const tokens = tokenizer(config.tokenizer);
  return tokens.encode(tokens.read(text));
}

/** Lengths are rounded up to a multiple of this, so that batches have few different shapes. */
const LENGTH_STEP = 8;

function encodedBatch(
  examples: readonly Omit<Example, 'plain'>[],
  config: StreamConfig,
  plans: boolean,
): TextBatch {
  const longest = examples.reduce((most, { ids }) => Math.max(most, ids.length), 1);
  const T = Math.min(config.blockSize, Math.ceil(longest / LENGTH_STEP) * LENGTH_STEP);
  const B = examples.length;
  const tokens = new Int32Array(B * T);
  if (config.tokenizer === 'words') return wordsBatch(examples, T);
  const targets = {
    decisions: null,
    valid: new Uint8Array(B * T),
    plan: plans ? zeroDag({ depth: config.depth, size: B * T }) : null,
    registers: createRegisterTargets(B * T, config),
  };
  examples.forEach(({ ids }, b) => {
    const row = ids.slice(0, T);
    tokens.set(row, b * T);
    writePrefixTargets(targets, b * T, tokenTexts(row, config.tokenizer), config);
  });
  const texts = examples.map(({ text }) => text);
  const values = targets.plan && execute(targets.plan);
  return { texts, shape: [B, T], tokens, position: 0, values, ...targets };
}

/** Targets of texts that were drawn with them; none of others. */
function wordsBatch(examples: readonly Omit<Example, 'plain'>[], T: number): TextBatch {
  const B = examples.length;
  const uncounted = (): Int32Array => new Int32Array(B * T).fill(-1);
  const tokens = new Int32Array(B * T);
  const decisions = { classes: uncounted(), nestings: uncounted(), completes: uncounted() };
  examples.forEach(({ ids, targets }, b) => {
    tokens.set(ids.slice(0, T), b * T);
    for (const name of ['classes', 'nestings', 'completes'] as const)
      if (targets) decisions[name].set(targets[name].subarray(0, T), b * T);
  });
  return {
    ...{ texts: examples.map(({ text }) => text), shape: [B, T], tokens, position: 0, decisions },
    ...{ plan: null, values: null, registers: createRegisterTargets(0, { depth: 1, digits: 1 }) },
    valid: Uint8Array.from({ length: B * T }, (_, i) => Number(i % T < (examples[Math.floor(i / T)]?.ids.length ?? 0))),
  };
}

const knownTexts = new Map<TokenizerName, Map<number, string>>();
const REPLACEMENT = '\uFFFD';

/** The text of each token. A character that takes several tokens belongs to the last of them. */
export function tokenTexts(ids: readonly number[], name: TokenizerName): string[] {
  // Decoding is slow, and a stream has few different tokens.
  const known = knownTexts.get(name) ?? new Map<number, string>();
  knownTexts.set(name, known);
  const texts = ids.map((id) => {
    let text = known.get(id);
    if (text === undefined) known.set(id, (text = tokenizer(name).decode([id])));
    return text;
  });
  if (!texts.some((text) => text.includes(REPLACEMENT))) return texts;
  let before = '';
  return ids.map((_, t) => {
    const decoded = tokenizer(name).decode(ids.slice(0, t + 1));
    const whole = decoded.replace(/\uFFFD+$/, '');
    const text = whole.slice(before.length);
    before = whole;
    return text;
  });
}
