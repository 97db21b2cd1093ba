import {
  execute,
  narrow,
  reshape,
  scope,
  tensor,
  type DagTensorFields,
  type Device,
  type Tensor,
} from '@dag/executor';
import { asTyped, formatValue, randomStream } from '@dag/expr';
import type { DagTensors } from '@dag/tensorize';
import { checkObject, checkText, named } from './arguments.js';
import { checkFinite, ModelError } from './error.js';
import { expressionOf } from './expression-of.js';
import type { ForwardOptions, GptConfig } from './gpt.js';
import { KeyValueCache } from './key-value-cache.js';
import type { ReadOptions } from './plan-predictor/readout.js';
import { hostPlan } from './predictor-model.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

export interface GenerateTextOptions {
  /** Most tokens that are written, ≥ 1; 100 where left out. A value is written whole. */
  readonly maxNewTokens?: number;
  /** Logits are divided by it, ≥ 0; 0: always the likeliest token. 1 where left out. */
  readonly temperature?: number;
  /** Only this many of the likeliest tokens are drawn from; left out: all. */
  readonly topK?: number;
  /** Of the draws: the same seed writes the same text. 0 where left out. */
  readonly seed?: number;
  /** Where what was written contains this text, it ends before it. */
  readonly stop?: string;
}

/** A value that the executor computed and the model wrote. */
export interface Calculation {
  /** Where its decimal form begins in the generated text. */
  readonly at: number;
  readonly value: number;
  /** The plan as an expression; empty where none can say it. */
  readonly expression: string;
  /** The plan: one graph with every choice made. */
  readonly tensors: DagTensors;
}

export interface Generated {
  /** What was written after the prompt. */
  readonly text: string;
  readonly calculations: readonly Calculation[];
}

/** What writing takes of a model; a `DagGpt` is one. */
interface WritingModel {
  readonly config: Pick<GptConfig, 'blockSize' | 'nLayer'> & { readonly depth: number };
  readonly tokenizer: Tokenizer;
  readonly device: Device;
  forward(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    options: ForwardOptions,
  ): { hidden: Tensor; gate: Tensor | null; start: Tensor | null };
  logits(hidden: Tensor): Tensor;
  hardPlan(ids: Int32Array, hidden: Tensor, options: ReadOptions): DagTensorFields;
}

/** See `DagGpt.generate`. */
export function generate(model: WritingModel, prompt: string, options: GenerateTextOptions = {}): Generated {
  checkObject('options such as { temperature: 0 }', options);
  const { maxNewTokens = 100, temperature = 1, topK, seed = 0, stop } = options;
  checkOptions({ maxNewTokens, temperature, topK });
  if (stop !== undefined) checkText('a text to stop at', stop);
  const { tokenizer } = model;
  checkText('a prompt', prompt);
  const ids = tokenizer.encode(asTyped(prompt));
  if (ids.length === 0) throw new ModelError('bad-input', 'generate: the prompt is empty');
  const reader = new Reader(model);
  const written: number[] = [];
  const calculations: Calculation[] = [];
  let text = '';
  let draws = 0;
  /** What was written after a value, as long as more of it would be read as a part of that number. */
  let afterValue: string | null = null;
  try {
    reader.read(ids);
    while (written.length < maxNewTokens) {
      const calculated = afterValue === null ? reader.calculate() : null;
      let next: number[];
      if (calculated) {
        calculations.push({ at: text.length, ...calculated });
        next = tokenizer.encode(formatValue(calculated.value));
        afterValue = '';
      } else {
        const logits = reader.logits();
        const drawNext = () => draw(logits, { temperature, topK, random: uniform(seed, draws++) });
        let token = drawNext();
        for (; goesOn(afterValue, tokenizer.decode([token])); token = drawNext()) logits[token] = -Infinity;
        if (token === tokenizer.endOfText) break;
        next = [token];
        if (afterValue !== null) afterValue += tokenizer.decode(next);
        if (afterValue !== '.') afterValue = null;
      }
      for (const id of next) written.push(id);
      text = tokenizer.decode(written);
      const end = stop === undefined ? -1 : text.indexOf(stop);
      if (end >= 0) return { text: text.slice(0, end), calculations };
      reader.read(next);
    }
    return { text, calculations };
  } finally {
    reader.close();
  }
}

/** Whether a token would be read as more digits of a value. */
const goesOn = (afterValue: string | null, token: string): boolean =>
  afterValue !== null && /^\.?\d/.test(afterValue + token);

/** What a model knows of the tokens it has read, as many of the last as it can hold. */
class Reader {
  private readonly model: WritingModel;
  private readonly cache: KeyValueCache;
  private readonly ids: number[] = [];
  /** Of each token in the cache: its hidden state, and the logit that an expression begins with it. */
  private hidden: Float32Array[] = [];
  private starts: number[] = [];
  /** The last token in the cache. */
  private last = '';
  private isOpen = false;
  private lastLogits: Float32Array = new Float32Array(0);

  constructor(model: WritingModel) {
    this.model = model;
    this.cache = new KeyValueCache(model.config.nLayer);
  }

  read(ids: readonly number[]): void {
    const { blockSize } = this.model.config;
    for (const id of ids) this.ids.push(id);
    if (this.cache.length + ids.length > blockSize) {
      // Positions count from the first token that is held: when that changes, all are read again.
      this.cache.clear();
      this.hidden = [];
      this.starts = [];
      this.last = '';
    }
    if (this.cache.length === 0) this.forward(this.ids.slice(-blockSize));
    else for (const id of ids) this.forward([id]);
  }

  private forward(ids: readonly number[]): void {
    const T = ids.length;
    scope(() => {
      const { hidden, gate, start } = this.model.forward(Int32Array.from(ids), [1, T], {
        cache: this.cache,
      });
      const rows = floats(hidden);
      checkFinite(rows, 'hidden states');
      const C = rows.length / T;
      for (let t = 0; t < T; t++) this.hidden.push(rows.slice(t * C, (t + 1) * C));
      const startLogits = start?.dataSync();
      checkFinite(startLogits ?? [], 'logits of a start');
      ids.forEach((id, t) => {
        const token = this.model.tokenizer.decode([id]);
        // No expression begins in the midst of a number.
        const isWithin = /[\d.]$/.test(this.last) && /^[\d.]/.test(token);
        if (startLogits) this.starts.push(isWithin ? -Infinity : startLogits[t]!);
        this.last = token;
      });
      this.isOpen = gate !== null && gate.dataSync()[T - 1]! > 0;
      this.lastLogits = floats(this.model.logits(narrow(hidden, 1, T - 1, 1)));
      checkFinite(this.lastLogits, 'logits');
      return this.cache.tensors();
    });
  }

  /** Of the next token, those of the padding left out. */
  logits(): Float32Array {
    return this.lastLogits.subarray(0, this.model.tokenizer.vocabSize);
  }

  /** The value of the expression that was begun last, where the gate is open. */
  calculate(): Omit<Calculation, 'at'> | null {
    const from = this.isOpen ? lastStart(this.starts) : -1;
    if (from < 0) return null;
    // An expression whose value is written is not the one that a later value is of.
    this.starts.fill(-Infinity);
    const states = this.hidden.slice(from);
    const L = states.length;
    const C = states[0]!.length;
    const rows = new Float32Array(L * C);
    states.forEach((state, i) => rows.set(state, i * C));
    const tensors = scope(() => {
      const hidden = tensor(rows, [1, L, C], { device: this.model.device });
      const plan = this.model.hardPlan(Int32Array.from(this.ids.slice(-L)), hidden, { at: [L - 1] });
      return hostPlan(plan, this.model.config.depth);
    });
    return { value: execute(tensors)[0]!, expression: expressionOf(tensors), tensors };
  }

  close(): void {
    this.cache.clear();
  }
}

/** Less probable starts are none, though the gate is open. */
const LEAST_PROBABILITY = 1 / 32;

/**
 * Which token most probably is the last one that begins an expression, by the logits of each: i with s_i · Π_{j > i} (1 − s_j); −1
 * where none does. At a number only what follows tells whether it begins one, so a start need not be probable by itself.
 */
export function lastStart(logits: readonly number[]): number {
  let best = { token: -1, log: Math.log(LEAST_PROBABILITY) };
  let noneAfter = 0;
  for (let token = logits.length - 1; token >= 0; token--) {
    const logit = logits[token]!;
    // ln(1 − s), as −softplus.
    noneAfter -= Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)));
    // ln s = logit + ln(1 − s).
    if (logit + noneAfter > best.log) best = { token, log: logit + noneAfter };
  }
  return best.token;
}

const floats = (x: Tensor): Float32Array => Float32Array.from(reshape(x, [x.size]).dataSync());

/** Number `index` of a stream, in [0, 1). */
const uniform = (seed: number, index: number): number => randomStream(seed, index).below(2 ** 32) / 2 ** 32;

/** A token drawn by softmax(logits / temperature), from the topK likeliest. */
function draw(
  logits: Float32Array,
  {
    temperature,
    topK = logits.length,
    random,
  }: { temperature: number; topK: number | undefined; random: number },
): number {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  if (temperature === 0) return logits.indexOf(most);
  const least = topK < logits.length ? logits.toSorted()[logits.length - topK]! : -Infinity;
  const weights = Float64Array.from(logits, (x) => (x < least ? 0 : Math.exp((x - most) / temperature)));
  let left = random * weights.reduce((a, b) => a + b, 0);
  for (let id = 0; id < weights.length; id++) {
    left -= weights[id]!;
    if (left < 0) return id;
  }
  // Rounding may leave a last crumb of the sum.
  return logits.indexOf(most);
}

function checkOptions({
  maxNewTokens,
  temperature,
  topK,
}: {
  maxNewTokens: number;
  temperature: number;
  topK: number | undefined;
}): void {
  const refuse = (what: string, given: unknown): never => {
    throw new ModelError('bad-input', `generate: ${what}, given ${named(given)}`);
  };
  const isCount = (n: number): boolean => Number.isInteger(n) && n >= 1;
  if (!isCount(maxNewTokens)) refuse('maxNewTokens is a whole number from 1', maxNewTokens);
  if (typeof temperature !== 'number' || !(temperature >= 0 && temperature < Infinity))
    refuse('temperature is a number from 0', temperature);
  if (topK !== undefined && !isCount(topK)) refuse('topK is a whole number from 1', topK);
}
