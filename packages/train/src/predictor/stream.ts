import { fnv1a, generateTexts } from '@dag/expr';
import { execute } from '@dag/executor';
import { tokenizer, type RegisterLayout, type TokenizerName } from '@dag/model';
import type { DagTensors } from '@dag/tensorize';
import { STREAM, requireArguments } from '../arguments.js';
import type { Expressions } from '../config/expressions.js';
import type { PredictorTrainConfig } from '../config/predictor.js';
import { TrainError } from '../error.js';
import { operatorsOf, skeletonOf } from '../evaluation/skeleton.js';
import {
  decisionTargets,
  prefixTargets,
  writePrefixTargets,
  type DecisionTargets,
} from './prefix-targets.js';
import { labelledText } from './words-stream.js';

/** The settings that determine the examples of a stream. */
export interface StreamConfig extends RegisterLayout {
  readonly seed: number;
  readonly tokenizer: TokenizerName;
  readonly blockSize: number;
  readonly batchSize: number;
  /** Batches per step; the texts of a step are sorted by length into these, so that little is padding. Default 1. */
  readonly accumulate?: number;
  readonly data: StreamData;
}

/** `data` of a predictor's configuration (see `dag train --help`): which expressions are drawn, and how they are written. */
export type StreamData = Expressions &
  Partial<Pick<PredictorTrainConfig['data'], 'largest' | 'shiftEvery' | 'foreign'>>;

/** Targets of the prefixes of B texts, padded to T tokens. */
export interface PrefixBatch {
  readonly shape: readonly [B: number, T: number];
  /** (B, T) 1 where the text up to this token can be completed to an expression, to which the targets belong. */
  readonly valid: Uint8Array;
  /** B·T graphs; the zero DAG where not valid. Null if no loss reads plans. */
  readonly plan: DagTensors | null;
  /** (B, T) executed values of the plans; null if `plan` is. */
  readonly values: Float64Array | null;
  /** (B, T) 1 for the tokens whose decisions count: those of a text up to a mistake in it. */
  readonly decided: Uint8Array;
  /** (B·T) what each token decides. */
  readonly decisions: DecisionTargets;
}

/** Texts with the targets of all their prefixes. */
export interface TextBatch extends PrefixBatch {
  readonly texts: readonly string[];
  /** (B, T) token ids; 0 after the end of a text. */
  readonly tokens: Int32Array;
  /** Position of the first token of every text, 0 … blockSize − T. */
  readonly position: number;
}

/** A batch with plans and their values. */
export interface Batch extends TextBatch {
  readonly plan: DagTensors;
  readonly values: Float64Array;
}

/** Expressions for training, or those that no stream trains on. */
export type Split = 'train' | 'held-out';

/** One expression in this many is held out. Only its text in symbols decides, so no stream trains on it in any style. */
const HELD_OUT_ONE_IN = 16;
const MAX_DRAWS = 1000;

/**
 * Text `index` of the stream: a pure function of the configuration and the index. Texts of the other split or longer
 * than the block size are drawn again.
 *
 * @throws {TrainError} `bad-config` if such expressions do not fit into the block size.
 */
export function streamText(config: StreamConfig, split: Split, index: number): string {
  requireArguments('streamText', { config: [config, STREAM], index: [index, 'a whole number from 0'] });
  return streamExample(config, split, index).text;
}

/** A text with its token ids; `plain` is its expression in the style 'compact', which decides the split. */
export interface Example {
  readonly text: string;
  readonly plain: string;
  readonly ids: readonly number[];
  /** What its tokens decide, of the tokenizer `words`. */
  readonly targets?: DecisionTargets;
}

/** Example `index` of the stream; see `streamText`. */
export function streamExample(config: StreamConfig, split: Split, index: number): Example {
  const { seed, blockSize, data } = config;
  if (config.tokenizer === 'words')
    return wordsExample(config, split, index, split === 'train' ? (data.foreign ?? 0) : 0);
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

/** Held-out text `index` that is to be refused, of the tokenizer `words`. */
export const foreignExample = (config: StreamConfig, index: number): Example =>
  wordsExample(config, 'held-out', index, 1);

const tooLong = (blockSize: number): TrainError =>
  new TrainError(
    'bad-config',
    `none of ${MAX_DRAWS} expressions fits into model.blockSize ${blockSize}; use a larger one`,
  );

/** One text in so many has more numbers, up to twice as many, so that longer ones are not strange. */
const LONG_ONE_IN = 10;
/** Of these, the share of rows and lists of numbers alone, which people write the longest of. */
const ROWS = 0.4;

/** @param foreign Probability of a text that is to be refused. */
function wordsExample(config: StreamConfig, split: Split, index: number, foreign: number): Example {
  const { seed, blockSize, data } = config;
  const { maxDigits, maxDecimals } = data;
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const at = index + draw * 2 ** 32;
    const isLong = split === 'train' && index % LONG_ONE_IN === 0;
    const length = isLong
      ? { numbers: 2 * data.numbers, fewest: data.numbers + 1, rows: ROWS }
      : { numbers: data.numbers };
    const { text, ids, targets } = labelledText({
      ...{ seed, index: at, ...length, maxDigits, maxDecimals, foreign },
      phrases: 'trained',
    });
    if ((hash(text) % HELD_OUT_ONE_IN === 0) === (split === 'held-out') && ids.length <= blockSize)
      return { text, plain: text, ids, targets };
  }
  throw tooLong(blockSize);
}

/** @param plain The expression in the style 'compact', whatever the style of its text. */
function isHeldOut(plain: string, heldOutSkeletons = 0): boolean {
  if (hash(plain) % HELD_OUT_ONE_IN === 0) return true;
  if (heldOutSkeletons === 0) return false;
  const skeleton = skeletonOf(plain);
  return operatorsOf(skeleton) >= 2 && hash(skeleton) < heldOutSkeletons * 2 ** 32;
}

/** A 32-bit hash: FNV-1a with a finalizer, so that all bits are well mixed. */
function hash(text: string): number {
  let h = fnv1a(text);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}

/**
 * Batch `index` of the training stream with the targets of all prefixes. With `accumulate` n and `batchSize` B, batches
 * i·n … i·n + n − 1 contain the texts i·n·B … (i + 1)·n·B − 1, sorted from the shortest to the longest.
 */
export function trainingBatch(config: StreamConfig, index: number): Batch;
/**
 * The same, without the plans and their values where `plans` is false: these take most of the memory and time.
 *
 * @param plans Whether to make plans and their values.
 */
export function trainingBatch(config: StreamConfig, index: number, plans: boolean): TextBatch;
export function trainingBatch(config: StreamConfig, index: number, plans = true): TextBatch {
  requireArguments('trainingBatch', { config: [config, STREAM], index: [index, 'a whole number from 0'] });
  const { accumulate = 1, batchSize, blockSize, seed } = config;
  const { shiftEvery = 0 } = config.data;
  const step = Math.floor(index / accumulate);
  const from = (index % accumulate) * batchSize;
  const batch = encodedBatch(examplesOf(config, step).slice(from, from + batchSize), config, plans);
  if (shiftEvery === 0) return batch;
  const last = Math.min(blockSize - batch.shape[1], Math.floor(step / shiftEvery));
  return { ...batch, position: hash(`${seed} ${index}`) % (last + 1) };
}

/** The texts of micro-batch `index` of the training stream; with `accumulate`, of all those of a step together. */
export function trainedTexts(config: StreamConfig, index: number): Example[] {
  requireArguments('trainedTexts', { config: [config, STREAM], index: [index, 'a whole number from 0'] });
  const { batchSize } = config;
  return Array.from({ length: batchSize }, (_, b) => streamExample(config, 'train', index * batchSize + b));
}

const lastSteps = new WeakMap<StreamConfig, { step: number; examples: readonly Example[] }>();

/** The texts of a step, sorted by length. Those of the last step are cached per configuration: the next batch is usually of the same step. */
function examplesOf(config: StreamConfig, step: number): readonly Example[] {
  const last = lastSteps.get(config);
  if (last?.step === step) return last.examples;
  const { accumulate = 1 } = config;
  const batches = Array.from({ length: accumulate }, (_, i) => trainedTexts(config, step * accumulate + i));
  const examples = batches.flat();
  if (accumulate > 1) examples.sort((a, b) => a.ids.length - b.ids.length);
  lastSteps.set(config, { step, examples });
  return examples;
}

/** A batch of your own texts, with the targets of all their prefixes. */
export function batchOf(texts: readonly string[], config: StreamConfig): Batch {
  requireArguments('batchOf', { texts: [texts, ['a string']], config: [config, STREAM] });
  const examples = texts.map((text) => ({ text, ids: readTokens(text, config) }));
  return encodedBatch(examples, config, true) as Batch;
}

function readTokens(text: string, config: StreamConfig): number[] {
  const tokens = tokenizer(config.tokenizer);
  return tokens.encode(tokens.read(text));
}

/** Lengths are rounded up to a multiple of this, to have few different batch shapes. */
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
  const targets = prefixTargets(B * T, config, plans);
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
  const tokens = new Int32Array(B * T);
  const decided = new Uint8Array(B * T);
  const decisions = decisionTargets(B * T);
  examples.forEach(({ ids, targets }, b) => {
    tokens.set(ids.slice(0, T), b * T);
    decided.fill(1, b * T, b * T + Math.min(ids.length, T));
    for (const name of ['classes', 'nestings', 'completes'] as const)
      if (targets) decisions[name].set(targets[name].subarray(0, T), b * T);
  });
  return {
    ...{ texts: examples.map(({ text }) => text), shape: [B, T], tokens, position: 0, decisions },
    ...{ plan: null, values: null, valid: new Uint8Array(B * T), decided },
  };
}

const knownTexts = new Map<TokenizerName, Map<number, string>>();
const REPLACEMENT = '\uFFFD';

/** The text of each token. A character that is split over several tokens belongs to the last of them. */
export function tokenTexts(ids: readonly number[], name: TokenizerName): string[] {
  // Cached: decoding is slow, and a stream has few different tokens.
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
