import { randomStream, type Random } from '@dag/expr';
import { execute } from '@dag/executor';
import { PLACE_CLASSES, placesOf, tokenizer } from '@dag/model';
import { STREAM, requireArguments } from '../arguments.js';
import type { Expressions } from '../config/expressions.js';
import type { LanguageTrainConfig } from '../config/language.js';
import { TrainError } from '../error.js';
import { prefixTargets, writePrefixTargets, type PrefixTargets } from '../predictor/prefix-targets.js';
import { tokenTexts, type PrefixBatch, type Split, type StreamConfig } from '../predictor/stream.js';
import type { AnnotatedText } from './annotated-text.js';
import { targetsOfPieces } from './calculation-targets.js';
import { drawRunningLine } from './running-line.js';
import { placesIn, type Places } from './calculations-file.js';
import { openTokens } from './text-folder.js';
import type { TokenFile } from './token-file.js';
import { drawWorkedLine, type WorkedLine } from './worked-line.js';

/** The settings that determine the batches of a language model's stream: B = `batchSize` rows of T = `blockSize` tokens. */
export interface LanguageStreamConfig extends Omit<StreamConfig, 'accumulate' | 'data'> {
  readonly data: LanguageData;
  /** For a GPT without calculating branch: values are ordinary text, and there are no targets of expressions. */
  readonly plain?: boolean;
  /** Whether batches are padded to few shapes, because a step of each shape is recorded by itself; padding takes no part in losses. */
  readonly fewShapes?: boolean;
}

/**
 * `data` of a language model's configuration (see `dag train --help`). `text` is a folder with `train.bin` and `val.bin`, as `dag prepare`
 * or nanoGPT makes it; empty for worked arithmetic only.
 */
export type LanguageData = Expressions &
  Pick<LanguageTrainConfig['data'], 'text' | 'arithmetic'> &
  Partial<Pick<LanguageTrainConfig['data'], 'running'>>;

/** Rows of text, with or without worked arithmetic (`12.5 * 4 = 50`), whose values the executor writes. */
export interface LanguageBatch {
  readonly shape: readonly [B: number, T: number];
  /** (B, T) token ids; 0 after the end of a row. */
  readonly tokens: Int32Array;
  /**
   * (B, T) the next token; −1 (masked) where the next token belongs to a value, which the executor writes, or is inside an
   * expression that the model does not learn to write, and at the end of a row.
   */
  readonly targets: Int32Array;
  /** Number of tokens with a target, with padding. */
  readonly targetRows: number;
  /** (B, T) 1 where the executor's value is written next. */
  readonly gate: Uint8Array;
  /**
   * (B, T) mask of `gate`: 0 inside a value (all of its tokens but the last), before a result whose calculation the row does not have, and
   * after the end of a row.
   */
  readonly gateKnown: Uint8Array;
  /** The calculations, one per row; null if the batch has none. */
  readonly expressions: WorkedExpressions | null;
}

/**
 * M calculations of up to L tokens each, from the first token to the one before the value, as a batch (M, L) of prefixes. M and L
 * include padding.
 */
export interface WorkedExpressions extends PrefixBatch {
  /** (M, L) index of each token among the B·T tokens; after the end of an expression its last token is repeated. */
  readonly index: Int32Array;
  /** (M) column of the last token, where the gate is 1; −1 for padding rows. */
  readonly last: Int32Array;
  /** (M) the value that is written, that of the whole expression; NaN for padding rows. */
  readonly written: Float64Array;
  /** (M, n) 1 for the classes of decimals by which the value is written as it is; all 0 for padding rows. */
  readonly places: Uint8Array;
  /** (M) whether its thousands are separated by commas; −1 where it has none. (M) whether a blank precedes it; −1 for padding rows. */
  readonly grouped: Int8Array;
  readonly spaced: Int8Array;
}

/** First index of the random streams of rows; the streams of examples have smaller indices. */
const FIRST_ROW = { train: 2 ** 52, 'held-out': 2 ** 52 + 2 ** 51 } as const satisfies Record<Split, number>;

/**
 * Batch `index` of a split: a pure function of the configuration, the split and the index. The held-out split has the text of
 * `val.bin` and the expressions that are held out of every stream.
 *
 * A row is a window of the text at a random offset, with the calculations that `dag prepare` found in it, or, with probability `arithmetic`,
 * alternates lines of worked arithmetic, a share `running` of them as people write them in sentences, and pieces of text. A line that does not fit into the rest of the row is replaced by text, or by padding if
 * there is no text.
 *
 * @param plans Whether to make the plans of the expressions' prefixes and their values.
 * @throws {TrainError} `io` or `bad-input` if the text cannot be read, is shorter than a row, or was prepared with another
 * tokenizer; `bad-config` if a row has no room for a line, or the registers for an expression
 */
export function languageBatch(
  config: LanguageStreamConfig,
  split: Split,
  index: number,
  plans = true,
): LanguageBatch {
  requireArguments('languageBatch', { config: [config, STREAM], index: [index, 'a whole number from 0'] });
  const { batchSize: B, blockSize: T } = config;
  const batch = {
    shape: [B, T] as const,
    tokens: new Int32Array(B * T),
    targets: new Int32Array(B * T).fill(-1),
    gate: new Uint8Array(B * T),
    gateKnown: new Uint8Array(B * T),
  };
  const placed: Placed[] = [];
  drawRows(config, split, index).forEach((row, b) => {
    row.write(batch, b * T, config.plain ?? false);
    for (const one of row.placed) placed.push({ ...one, first: b * T });
  });
  const isPlain = config.plain || placed.length === 0;
  const targetRows = batch.targets.reduce((n, id) => n + Number(id >= 0), 0);
  return {
    ...batch,
    targetRows: config.fewShapes ? Math.min(B * T, fewSizes(targetRows, 4)) : targetRows,
    expressions: isPlain ? null : expressionTargets(placed, config, plans),
  };
}

/** The worked lines of training batch `index`. @throws {TrainError} as `languageBatch`. */
export function trainedLines(config: LanguageStreamConfig, index: number): readonly WorkedLine[] {
  requireArguments('trainedLines', { config: [config, STREAM], index: [index, 'a whole number from 0'] });
  return drawRows(config, 'train', index).flatMap(({ placed }) => placed.flatMap(({ line }) => line ?? []));
}

function drawRows(config: LanguageStreamConfig, split: Split, index: number): Row[] {
  const { batchSize: B, blockSize: T, seed, data } = config;
  const text = data.text === '' ? null : openTokens(data.text, split, config.tokenizer);
  if (text !== null && text.length <= T) {
    throw new TrainError(
      'bad-input',
      `${text.path} has ${text.length} tokens, but a row needs model.blockSize + 1, which is ${T + 1}; prepare more text, or ` +
        'use a smaller model.blockSize',
    );
  }
  return Array.from({ length: B }, (_, b) => {
    const random = randomStream(seed, FIRST_ROW[split] + index * B + b);
    const row = new Row(T + 1);
    const source = text && { text, places: placesIn(data.text, split) };
    if (source !== null && !random.chance(data.arithmetic)) row.putText(source, T + 1, random);
    else fillMixed(row, source, config, split, random);
    return row;
  });
}

/** A calculation in a row: its expression has tokens start … value − 1, its result value … end − 1. */
interface Placed {
  readonly start: number;
  readonly value: number;
  readonly end: number;
  readonly ids: readonly number[];
  readonly result: number;
  /** The tokens of the result. */
  readonly resultIds: readonly number[];
  /** Whether its expression is a next-token target too. */
  readonly isWritten: boolean;
  /** Of worked arithmetic its line; null in running text. */
  readonly line: WorkedLine | null;
  /** Index of the first token of its row in the batch. */
  readonly first: number;
}

/** A text with the results in it. */
interface Source {
  readonly text: TokenFile;
  readonly places: Places;
}

/** The tokens of a row, up to `size`: one more than the model reads, because each token is the target of the one before. */
class Row {
  readonly ids: number[] = [];
  readonly placed: Placed[] = [];
  /** Results whose calculation the row does not have. `isOwn`: the language model writes them. */
  readonly #others: { readonly value: number; readonly end: number; readonly isOwn: boolean }[] = [];
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  get room(): number {
    return this.#size - this.ids.length;
  }

  put(ids: Iterable<number>): void {
    for (const id of ids) this.ids.push(id);
  }

  /** Puts a text with its calculations. */
  putCalculated({ ids, calculations }: AnnotatedText, isWritten: boolean): void {
    const by = this.ids.length;
    for (const { start, value, end, result } of calculations)
      this.placed.push({
        ...{ start: start + by, value: value + by, end: end + by, result, isWritten, line: null, first: 0 },
        ...{ ids: ids.slice(start, value), resultIds: ids.slice(value, end) },
      });
    this.put(ids);
  }

  putLine(line: WorkedLine, newline: number, isWritten: boolean): void {
    const { promptIds, valueIds, value: result } = line;
    const start = this.ids.length;
    const value = start + promptIds.length;
    const end = value + valueIds.length;
    this.placed.push({
      ...{ start, value, end, ids: promptIds, result, resultIds: valueIds, isWritten, line, first: 0 },
    });
    for (const ids of [promptIds, valueIds, [newline]]) this.put(ids);
  }

  /** A window of the text at a uniformly random offset. */
  putText({ text, places }: Source, count: number, random: Random): void {
    const offsets = Math.max(1, text.length - count + 1);
    // Two draws: a text may have more than 2³² tokens.
    const from = (random.below(2 ** 20) * 2 ** 32 + random.below(2 ** 32)) % offsets;
    const ids = Array.from(text.read(from, count));
    const by = this.ids.length - from;
    const to = from + count;
    const within = <P extends { value: number; end: number }>(all: readonly P[]): P[] => {
      const first = firstWhere(all, ({ end }) => end > from);
      return all.slice(
        first,
        firstWhere(all, ({ value }) => value >= to),
      );
    };
    for (const { start, value, end, result } of within(places.calculations)) {
      if (start < from || end > to) this.#others.push({ value: value + by, end: end + by, isOwn: false });
      else
        this.placed.push({
          ...{ start: start + by, value: value + by, end: end + by, result, isWritten: true, line: null },
          ...{ ids: ids.slice(start - from, value - from), resultIds: ids.slice(value - from, end - from) },
          first: 0,
        });
    }
    for (const { value, end } of within(places.others))
      this.#others.push({ value: value + by, end: end + by, isOwn: true });
    this.put(ids);
  }

  /** Writes the row into a batch from token `first` on; the last of `size` tokens is only a target. */
  write(batch: Omit<LanguageBatch, 'expressions' | 'targetRows'>, first: number, plain: boolean): void {
    const { tokens, targets, gate, gateKnown } = batch;
    const length = Math.min(this.ids.length, this.#size - 1);
    tokens.set(this.ids.slice(0, length), first);
    targets.set(this.ids.slice(1), first);
    gateKnown.fill(1, first, first + length);
    for (const { start, value, end, isWritten } of this.placed) {
      if (!isWritten) targets.fill(-1, first + Math.max(0, start - 1), first + value - 1);
      if (plain) continue;
      gate[first + value - 1] = 1;
      targets.fill(-1, first + value - 1, first + end - 1);
      gateKnown.fill(0, first + value, first + end - 1);
    }
    if (plain) return;
    for (const { value, end, isOwn } of this.#others) {
      const [from, to] = [Math.max(0, value - 1), Math.min(length, end - 1)];
      gateKnown.fill(0, first + from, first + to);
      if (!isOwn) targets.fill(-1, first + from, first + to);
    }
  }
}

/** Index of the first element with a property that all after it have too; the length if there is none. */
function firstWhere<T>(all: readonly T[], has: (one: T) => boolean): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (has(all[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Lengths of a piece of text in tokens, and most lines between two pieces: short, so that a row has several of each. */
const [SHORTEST_PIECE, LONGEST_PIECE] = [8, 64];
const MOST_LINES = 8;
const MOST_DRAWS = 8;
/** Share of lines whose expression is a next-token target too. Few, because random digits teach little and cost as much as words. */
const WRITTEN_SHARE = 1 / 8;
/** Share of expressions that continue the line of the text before them, if it ends in a letter or one of `,.:;)`. */
const INLINE_SHARE = 1 / 4;

function fillMixed(
  row: Row,
  source: Source | null,
  config: LanguageStreamConfig,
  split: Split,
  random: Random,
): void {
  const tokens = tokenizer(config.tokenizer);
  const newline = tokens.encode('\n')[0]!;
  const putText = (count: number): void => {
    if (source !== null) row.putText(source, count, random);
  };
  // If a line does not fit, text fills the rest of the row. Without text, try other lines before padding.
  const drawFitting = (before: '' | ' '): WorkedLine | null => {
    for (let draw = 0; draw < (source === null ? MOST_DRAWS : 1); draw++) {
      const line = drawWorkedLine(config, split, random, before);
      if (line.promptIds.length + line.valueIds.length + 1 <= row.room) return line;
    }
    return null;
  };
  if (random.chance(0.5)) putText(Math.min(row.room, drawPiece(random)));
  while (row.room > 0) {
    const last = row.ids.at(-1);
    const beginsLine = last === undefined || last === newline;
    const isInline = !beginsLine && /[a-z,.:;)]$/i.test(tokens.decode([last])) && random.chance(INLINE_SHARE);
    if (!beginsLine && !isInline) row.put([newline]);
    for (let lines = 1 + random.below(MOST_LINES), n = 0; n < lines && row.room > 0; n++) {
      if (config.data.running && random.chance(config.data.running)) {
        const line = drawRunningLine(random, config.tokenizer);
        if (line.ids.length > row.room) return putText(row.room);
        row.putCalculated(line, random.chance(WRITTEN_SHARE));
        continue;
      }
      const line = drawFitting(isInline && n === 0 ? ' ' : '');
      if (line === null) return putText(row.room);
      row.putLine(line, newline, random.chance(WRITTEN_SHARE));
    }
    putText(Math.min(row.room, drawPiece(random)));
  }
}

const drawPiece = (random: Random): number =>
  SHORTEST_PIECE + random.below(LONGEST_PIECE - SHORTEST_PIECE + 1);

/** M and L are rounded up to multiples of this, to have few different batch shapes. */
const SIZE_STEP = 8;
const roundUp = (size: number, step = SIZE_STEP): number => Math.ceil(size / step) * step;

/** The next of few sizes: of such multiples, `count` of them from one power of two to the next, so that less than 1/`count` is added above 32. */
const fewSizes = (size: number, count: number): number =>
  roundUp(size, Math.max(SIZE_STEP, 2 ** Math.floor(Math.log2(size)) / count));

function expressionTargets(
  placed: readonly Placed[],
  config: LanguageStreamConfig,
  plans: boolean,
): WorkedExpressions {
  const padded = (size: number, count: number): number =>
    config.fewShapes ? fewSizes(size, count) : roundUp(size);
  const longest = placed.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  // The longest of many expressions varies more than their number. None is longer than a row, for which the branch has positions.
  const [M, L] = [padded(placed.length, 4), Math.min(config.blockSize, padded(longest, 2))];
  const index = new Int32Array(M * L);
  const last = new Int32Array(M).fill(-1);
  const written = new Float64Array(M).fill(Number.NaN);
  const form = {
    places: new Uint8Array(M * PLACE_CLASSES),
    grouped: new Int8Array(M).fill(-1),
    spaced: new Int8Array(M).fill(-1),
  };
  const targets = prefixTargets(M * L, config, plans);
  placed.forEach(({ first, start, ids, result, resultIds, line }, m) => {
    written[m] = result;
    last[m] = ids.length - 1;
    for (let l = 0; l < L; l++) index[m * L + l] = first + start + Math.min(l, last[m]!);
    const text = tokenizer(config.tokenizer).decode(resultIds);
    form.places.set(placesOf(text, result), m * PLACE_CLASSES);
    if (Math.abs(result) >= 1000) form.grouped[m] = Number(text.includes(','));
    form.spaced[m] = Number(text.startsWith(' '));
    const pieces = tokenTexts(ids, config.tokenizer);
    if (line === null) {
      writeDecisions(targets, m * L, pieces);
      return;
    }
    writePrefixTargets(targets, m * L, pieces, config, true);
    if (targets.valid[m * L + last[m]!] === 1) return;
    throw new TrainError(
      'bad-config',
      `'${line.text}' does not fit into the registers of model.depth ${config.depth} and model.digits ${config.digits}; ` +
        'use larger values, or smaller data.numbers, data.maxDigits and data.maxDecimals',
    );
  });
  const values = targets.plan && execute(targets.plan);
  return { shape: [M, L], index, last, written, ...form, values, ...targets };
}

/** Writes what the tokens of a calculation in running text decide, from row `first` on. Its prefixes have no plans. */
function writeDecisions(targets: PrefixTargets, first: number, pieces: readonly string[]): void {
  const own = targetsOfPieces(pieces);
  if (!own) return;
  for (const name of ['classes', 'nestings', 'completes'] as const)
    targets.decisions[name].set(own[name], first);
  targets.decided.fill(1, first, first + pieces.length);
}
