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
import { formatValue, randomStream } from '@dag/expr';
import type { DagTensors } from '@dag/tensorize';
import { checkObject, checkText, named } from './arguments.js';
import { checkFinite, ModelError } from './error.js';
import { expressionOf } from './expression-of.js';
import type { ForwardOptions, GptConfig } from './gpt.js';
import { KeyValueCache } from './key-value-cache.js';
import type { ReadOptions } from './plan-predictor/read-options.js';
import { hostPlan } from './host-plan.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

/** Options of `DagGpt.generate`. */
export interface GenerateTextOptions {
  /** Maximum of generated tokens, from 1; 100 by default. A value that has begun is written whole. */
  readonly maxNewTokens?: number;
  /** Divides the logits, from 0; 1 by default. 0 always takes the likeliest token. */
  readonly temperature?: number;
  /** Draws from this many of the likeliest tokens only, from 1; from all by default. */
  readonly topK?: number;
  /** Seed of the draws, 0 by default. The same seed generates the same text. */
  readonly seed?: number;
  /** Generation ends where the generated text contains this text, which is cut off. */
  readonly stop?: string;
}

/** A value in a generated text that the executor computed. */
export interface Calculation {
  /** Index in the generated text at which its decimal form begins. */
  readonly at: number;
  readonly value: number;
  /** The plan as an expression; '' where it has none (`expressionOf`). */
  readonly expression: string;
  /** The hard plan, one graph. */
  readonly tensors: DagTensors;
}

/** The result of `DagGpt.generate`. */
export interface Generated {
  /** The text after the prompt. */
  readonly text: string;
  /** The computed values in it, in order. */
  readonly calculations: readonly Calculation[];
}

/** The part of a `DagGpt` that generation uses. */
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

const OPERAND = '(?:[-−–(] *){0,16}(?<![\\d.,])\\d+(?:[.,]\\d+)*(?: *\\))*';
/** An expression in symbols within a prompt, with one operator at least, or what opens a number. The bound keeps the search linear. */
const EXPRESSION = new RegExp(
  `(?:\\bwhat['’]s +)?${OPERAND}(?: *[-+*/×·⋅÷−–] *${OPERAND})+|[-+*/(]{2,16}(?=\\.?\\d)`,
  'gi',
);

/** See `DagGpt.generate`. */
export function generate(model: WritingModel, prompt: string, options: GenerateTextOptions = {}): Generated {
  checkObject('options such as { temperature: 0 }', options);
  const { maxNewTokens = 100, temperature = 1, topK, seed = 0, stop, ...others } = options;
  for (const name in others)
    throw new ModelError(
      'bad-input',
      `generate: there is no option ${named(name)}; options are maxNewTokens, temperature, topK, seed, stop`,
    );
  checkOptions({ maxNewTokens, temperature, topK });
  if (stop !== undefined) checkText('a text to stop at', stop);
  const { tokenizer } = model;
  checkText('a prompt', prompt);
  const ids = tokenizer.encode(prompt.replace(EXPRESSION, (expression) => tokenizer.read(expression)));
  if (ids.length === 0) throw new ModelError('bad-input', 'generate: the prompt is empty');
  const reader = new Reader(model);
  const written: number[] = [];
  const calculations: Calculation[] = [];
  let text = '';
  let draws = 0;
  /** The text since the last value, while a following digit would still extend that number; else null. */
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

/** Whether a token after a value would extend its digits. */
const goesOn = (afterValue: string | null, token: string): boolean =>
  afterValue !== null && /^\.?\d/.test(afterValue + token);

/** The state of a model that reads token by token: a cache of the last `blockSize` tokens and their outputs. */
class Reader {
  private readonly model: WritingModel;
  private readonly cache: KeyValueCache;
  private readonly ids: number[] = [];
  /** For each token in the cache, its hidden state and its logit of `start`. */
  private hidden: Float32Array[] = [];
  private starts: number[] = [];
  /** The text of the last token in the cache. */
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
      // Positions count from the first token in the cache. Dropping that one shifts all others, so they are read again.
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
        // No expression begins inside a number.
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

  /** (vocabSize of the tokenizer) logits of the next token, without those of padding. */
  logits(): Float32Array {
    return this.lastLogits.subarray(0, this.model.tokenizer.vocabSize);
  }

  /** Where the gate is open, the value of the expression that began last; else null. */
  calculate(): Omit<Calculation, 'at'> | null {
    const from = this.isOpen ? lastStart(this.starts) : -1;
    if (from < 0) return null;
    // A later value belongs to a later expression.
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

/** Starts below this probability are ignored, even where the gate is open. */
const LEAST_PROBABILITY = 1 / 32;

/**
 * The token that is most probably the last start of an expression: the i that maximises s_i · Π_{j > i} (1 − s_j), where s is the
 * sigmoid of the logits; −1 where no start is probable. A start need not be likely by itself: only the text after a number
 * shows whether it began an expression.
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

/** Random number `index` of a stream, in [0, 1). */
const uniform = (seed: number, index: number): number => randomStream(seed, index).below(2 ** 32) / 2 ** 32;

/** Draws a token from softmax(logits / temperature) over the topK likeliest tokens. */
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
  // Rounding may leave a remainder of the sum after the last token.
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
