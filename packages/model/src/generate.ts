import { execute, narrow, reshape, scope, tensor, type Device, type Tensor } from '@dag/executor';
import { randomStream } from '@dag/expr';
import type { DagTensors } from '@dag/tensorize';
import { checkObject, checkText, named } from './arguments.js';
import { checkFinite, ModelError } from './error.js';
import { expressionOf } from './expression-of.js';
import type { ForwardOptions, GptConfig } from './gpt.js';
import type { KeyValueCache } from './key-value-cache.js';
import type { HardPlan } from './plan-predictor/hard-plan.js';
import { MOST_DEPTH, MOST_DIGITS, type RegisterLayout } from './plan-predictor/layout.js';
import type { HardPlanOptions } from './plan-predictor/read-options.js';
import { onHost } from './host-plan.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';
import { formOf, writeValue } from './value-form.js';

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
  /** Index in the generated text at which its digits begin. */
  readonly at: number;
  readonly value: number;
  /** The digits as they are written, which may be fewer than those of `value`: `3.33`, `1,200`. */
  readonly written: string;
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
  readonly config: Pick<GptConfig, 'blockSize'> & RegisterLayout;
  readonly tokenizer: Tokenizer;
  readonly device: Device;
  newCache(): KeyValueCache;
  forward(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    options: ForwardOptions,
  ): {
    hidden: Tensor;
    gate: Tensor | null;
    start: { query: Tensor; key: Tensor } | null;
    form: Tensor | null;
  };
  tokenLogits(hidden: Tensor): Float32Array;
  hardPlan(ids: Int32Array, hidden: Tensor, options: HardPlanOptions): HardPlan<Tensor>;
  readonly fitsAnyLayout: boolean;
}

const OPERAND = '(?:[-−–(] *){0,16}(?<![\\d.,])\\d+(?:[.,]\\d+)*(?: *\\))*';
/** An expression in symbols within a prompt, with one operator at least, or what opens a number. The bound keeps the search linear. */
const EXPRESSION = new RegExp(
  `(?:\\bwhat['’]s +)?${OPERAND}(?: *[-+*/×·⋅÷−–] *${OPERAND})+|[-+*/(]{2,16}(?=\\.?\\d)`,
  'gi',
);

/**
 * The gate is open where its logit is above this: from a probability of 25 % on. A result that is not computed is a guess; where a currency sign
 * may stand before it, or no result, the text is little worse for a value.
 */
const OPEN = Math.log(0.25 / 0.75);

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
  const read =
    tokenizer.name === 'char'
      ? prompt.replace(EXPRESSION, (expression) => tokenizer.read(expression))
      : prompt;
  // A blank belongs to the word or value after it.
  const begun = read.trim() === '' ? '' : (/ +$/.exec(read)?.[0] ?? '');
  const ids = tokenizer.encodeSigns(read.slice(0, read.length - begun.length));
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
        const { written: spaced, ...calculation } = calculated;
        const digits = spaced.trimStart();
        calculations.push({
          at: text.length + spaced.length - digits.length,
          written: digits,
          ...calculation,
        });
        next = tokenizer.encodeSigns(spaced);
        afterValue = '';
      } else {
        const logits = reader.logits();
        const drawNext = () => draw(logits, { temperature, topK, random: uniform(seed, draws++) });
        let token = drawNext();
        const isWrong = (piece: string): boolean =>
          goesOn(afterValue, piece) || (written.length === 0 && begun !== '' && !piece.startsWith(' '));
        for (; isWrong(tokenizer.decode([token])); token = drawNext()) logits[token] = -Infinity;
        if (token === tokenizer.endOfText) break;
        next = [token];
        if (afterValue !== null) afterValue += tokenizer.decode(next);
        if (afterValue !== '.') afterValue = null;
      }
      for (const id of next) written.push(id);
      text = tokenizer.decode(written);
      const end = stop === undefined ? -1 : text.indexOf(stop);
      if (end >= 0) return result(text.slice(0, end), calculations, begun);
      reader.read(next);
    }
    return result(text, calculations, begun);
  } finally {
    reader.close();
  }
}

/** What was generated behind the blanks with which the prompt ended. */
function result(text: string, calculations: readonly Calculation[], begun: string): Generated {
  let cut = 0;
  while (cut < begun.length && text[cut] === ' ') cut++;
  const kept = calculations.filter(({ at }) => at < text.length);
  return { text: text.slice(cut), calculations: kept.map((one) => ({ ...one, at: one.at - cut })) };
}

/** Whether a token after a value would extend its digits. */
const goesOn = (afterValue: string | null, token: string): boolean =>
  afterValue !== null && /^\.?\d/.test(afterValue + token);

/** The state of a model that reads token by token: a cache of the last `blockSize` tokens and their outputs. */
class Reader {
  private readonly model: WritingModel;
  private readonly cache: KeyValueCache;
  private readonly ids: number[] = [];
  /** For each token in the cache, its hidden state and its key of `start`; null where no expression begins with it. */
  private hidden: Float32Array[] = [];
  private keys: (Float32Array | null)[] = [];
  private query: Float32Array = new Float32Array(0);
  /** The text of the last token in the cache. */
  private last = '';
  /** Logits of the form of a value that follows next; null where none does. */
  private form: Float32Array | null = null;
  private lastLogits: Float32Array = new Float32Array(0);

  constructor(model: WritingModel) {
    this.model = model;
    this.cache = model.newCache();
  }

  read(ids: readonly number[]): void {
    const { blockSize } = this.model.config;
    for (const id of ids) this.ids.push(id);
    if (this.cache.length + ids.length > blockSize) {
      // Positions count from the first token in the cache. Dropping that one shifts all others, so they are read again.
      this.cache.clear();
      this.hidden = [];
      this.keys = [];
      this.last = '';
    }
    if (this.cache.length === 0) this.forward(this.ids.slice(-blockSize));
    else for (const id of ids) this.forward([id]);
  }

  private forward(ids: readonly number[]): void {
    const T = ids.length;
    scope(() => {
      const { hidden, gate, start, form } = this.model.forward(Int32Array.from(ids), [1, T], {
        cache: this.cache,
      });
      const states = floats(hidden);
      checkFinite(states, 'hidden states');
      this.hidden.push(...rowsOf(states, T));
      const [queries, keys] = start ? [start.query, start.key].map((x) => rowsOf(floats(x), T)) : [[], []];
      for (const row of [...queries!, ...keys!]) checkFinite(row, 'queries and keys of a start');
      this.query = queries!.at(-1) ?? this.query;
      ids.forEach((id, t) => {
        const token = this.model.tokenizer.decode([id]);
        const isWithin = isWithinNumber(this.last, token);
        this.keys.push(isWithin ? null : (keys![t] ?? null));
        this.last = token;
      });
      const isOpen = gate !== null && gate.dataSync()[T - 1]! > OPEN;
      this.form = isOpen && form ? rowsOf(floats(form), T).at(-1)! : null;
      this.lastLogits = this.model.tokenLogits(narrow(hidden, 1, T - 1, 1));
      return this.cache.tensors();
    });
  }

  /** (vocabSize of the tokenizer) logits of the next token. */
  logits(): Float32Array {
    return this.lastLogits;
  }

  /** Where the gate is open, the value of the expression that began last; else null. */
  calculate(): Computed | null {
    const { form } = this;
    const from = form ? startOf(this.query, this.keys) : -1;
    if (form === null || from < 0) return null;
    // Of an expression that begins with the window the beginning may be missing.
    if (from === 0 && this.ids.length > this.hidden.length) return null;
    const calculated = executed(this.model, this.ids, this.hidden.slice(from), form);
    if (calculated === null) return null;
    // A later value belongs to a later expression.
    this.keys.fill(null);
    return calculated;
  }

  close(): void {
    this.cache.clear();
  }
}

/** An expression whose numbers are all percentages: so is its value, `100% - 80% = 20`, and the sign follows. */
const PERCENTAGES = /^(?:[^\d%]*\d[\d.,]* ?%)+[^\d%]*$/;

/** Codes of `FAULTS`: numbers or operators without room, and digits without room. */
const [NO_DEPTH, NO_DIGITS] = [1, 2];

/**
 * The value of the last tokens of `ids`, with the hidden state of each of them and the logits of its form; null where it is not finite, and where a
 * number has more digits than a plan holds.
 */
function executed(
  model: WritingModel,
  ids: readonly number[],
  states: readonly Float32Array[],
  form: Float32Array,
): Computed | null {
  const L = states.length;
  const C = states[0]!.length;
  const rows = new Float32Array(L * C);
  states.forEach((state, i) => rows.set(state, i * C));
  const read = Int32Array.from(ids.slice(-L));
  let { depth, digits } = model.config;
  for (;;) {
    const layout = model.fitsAnyLayout ? { layout: { depth, digits } } : {};
    const plan = scope(() => {
      const hidden = tensor(rows, [1, L, C], { device: model.device });
      return onHost(model.hardPlan(read, hidden, { at: [L - 1], ...layout }));
    });
    const fault = plan.fault?.[0];
    if (fault === NO_DEPTH && depth < MOST_DEPTH) depth = Math.min(MOST_DEPTH, 2 * depth);
    else if (fault === NO_DIGITS && digits < MOST_DIGITS) digits = MOST_DIGITS;
    else if (fault === NO_DEPTH || fault === NO_DIGITS) return null;
    else {
      const { V_mag, V_sign, O, G } = plan;
      const tensors = { depth, size: 1, V_mag, V_sign, O, G };
      const value = execute(tensors)[0]!;
      if (!Number.isFinite(value)) return null;
      const isPercentage = PERCENTAGES.test(model.tokenizer.decode([...read]));
      // Twelve digits, without what a sum of fractions of 100 leaves in the last ones.
      const shown = isPercentage ? Number((100 * value).toPrecision(12)) : value;
      const written = writeValue(shown, formOf(form, shown));
      return { value, written, expression: expressionOf(tensors), tensors };
    }
  }
}

/** What a model would write before a token; `written` may begin with a blank. */
export type Computed = Omit<Calculation, 'at'>;

/** See `DagGpt.computedIn`. */
export function computedIn(
  model: WritingModel,
  ids: readonly number[],
  results: ReadonlySet<number>,
): Map<number, Computed> {
  const { blockSize } = model.config;
  const computed = new Map<number, Computed>();
  // Each window but the first reads half a block of tokens once more.
  for (let from = 0, known = 0; known < ids.length; from += Math.ceil(blockSize / 2)) {
    const window = ids.slice(from, from + blockSize);
    const [gates, queries, keys, forms, states] = scope(() => {
      const { hidden, gate, start, form } = model.forward(Int32Array.from(window), [1, window.length], {});
      if (!gate || !start || !form) return [];
      return [gate, start.query, start.key, form, hidden].map((x) => rowsOf(floats(x), window.length));
    });
    const begun: (Float32Array | null)[] = keys ? [...keys] : [];
    const texts = window.map((id) => model.tokenizer.decode([id]));
    for (let t = 1; t < begun.length; t++) if (isWithinNumber(texts[t - 1]!, texts[t]!)) begun[t] = null;
    for (let t = 0; gates && t < gates.length; t++) {
      const first = gates[t]![0]! > OPEN ? startOf(queries![t]!, begun.slice(0, t + 1)) : -1;
      // Of an expression that begins with a window the beginning may be missing.
      if (first < 0 || (first === 0 && from > 0)) continue;
      if (from + t >= known) {
        const calculated = executed(model, window.slice(0, t + 1), states!.slice(first, t + 1), forms![t]!);
        if (calculated !== null) computed.set(from + t + 1, calculated);
      }
      // A later result belongs to a later calculation.
      if (results.has(from + t + 1)) begun.fill(null, 0, t + 1);
    }
    known = from + window.length;
  }
  return computed;
}

/** The token with which the expression of a value begins, by the query of the last token: that of the largest logit, the last of several; −1 where there is no key. */
export function startOf(query: Float32Array, keys: readonly (Float32Array | null)[]): number {
  let best = { token: -1, logit: -Infinity };
  keys.forEach((key, token) => {
    if (key === null) return;
    const logit = key.reduce((sum, k, i) => sum + k * query[i]!, 0);
    if (logit >= best.logit) best = { token, logit };
  });
  return best.token;
}

/** Whether a token goes on with the digits of the one before it; no expression begins with it. */
const isWithinNumber = (before: string, token: string): boolean =>
  /[\d.]$/.test(before) && /^[\d.]/.test(token);

/** The n rows of a matrix. */
const rowsOf = (flat: Float32Array, n: number): Float32Array[] =>
  Array.from({ length: n }, (_, t) => flat.slice((t * flat.length) / n, ((t + 1) * flat.length) / n));

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
