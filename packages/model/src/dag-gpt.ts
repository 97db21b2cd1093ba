import {
  add,
  cast,
  crossEntropy,
  embedding,
  mul,
  noGrad,
  reshape,
  select,
  split,
  tensor,
  type DagTensorFields,
  type Device,
  type Shape,
  type Tensor,
} from '@dag/executor';
import { checkList, checkObject, isTensor, named } from './arguments.js';
import { BranchReader, kindsOf } from './branch-reader.js';
import { checkFinite, ModelError } from './error.js';
import { fetchModel, type FetchOptions } from './fetch-weights.js';
import { KeyValueCache } from './key-value-cache.js';
import { KnownTokens } from './known-tokens.js';
import { computedIn, generate, type Computed, type Generated, type GenerateTextOptions } from './generate.js';
import {
  checkConfigObject,
  Gpt,
  Linear,
  ParameterBuilder,
  type ForwardOptions,
  type GptConfig,
  type ModelOptions,
  type Parameters,
} from './gpt.js';
import { PlanPredictor, type PlanPredictorConfig } from './plan-predictor/plan-predictor.js';
import type { HardPlan } from './plan-predictor/hard-plan.js';
import type { HardPlanOptions, ReadOptions } from './plan-predictor/read-options.js';
import type { Prediction } from './plan-predictor/readout.js';
import { tokenFeatures, type TokenFeatures } from './plan-predictor/token-features.js';
import {
  tokenizer,
  tokenizerWith,
  tokenTableFor,
  type Tokenizer,
  type TokenizerName,
  type TokenRecord,
} from './tokenizer/tokenizer.js';
import type { TokenTable } from './tokenizer/vocabulary.js';
import { FORM_OUTPUTS } from './value-form.js';
import { decodeWeights, SavedModel } from './weights.js';
import { type FileBytes } from './safetensors/tensor.js';

/** The configuration of a `DagGpt`: that of the backbone, of the plan predictor, and the tokenizer. */
export interface DagGptConfig extends Omit<GptConfig, 'vocabSize'>, PlanPredictorConfig {
  readonly tokenizer: TokenizerName;
  /** Rows of the embedding, V; by default the tokenizer's number of ids. Further rows are padding that is never generated. */
  readonly vocabSize?: number;
  /** Number of blocks of the calculating branch that read expressions only, for plans, which then do not train the backbone; 0 by default. */
  readonly branchLayers?: number;
  /** Number of blocks of the branch that read all of the text, for `gate`, `start` and `form`, which then do not train the backbone; 0 by default. */
  readonly textLayers?: number;
  /**
   * Ids, ascending, of the tokens with a row of their own in the embedding and the head; by default all. Other numbers share a row, and so do
   * other tokens; these are never generated. A small text has a fifth of GPT-2's tokens, and the head is most of the work of a small model.
   */
  readonly known?: readonly number[];
}

/** M expressions of up to L tokens, as indices into a batch of B·T tokens. */
export interface ExpressionRows {
  readonly shape: readonly [M: number, L: number];
  /** (M, L) indices 0 … B·T − 1. Entries after the end of an expression are padding with any such index. */
  readonly index: Int32Array;
}

/** The input tensors of a `DagGpt`: those of the text, and those of expressions where plans are predicted. */
export type DagGptInputs = TextInputs & (ExpressionInputs | { readonly index?: undefined });

/** The tokens of a text as tensors. */
export interface TextInputs {
  /** (B, T) rows of the embedding, of dtype i32. */
  readonly tokens: Tensor;
  /** (B, T) kinds of the tokens, of dtype i32, for blocks of the branch that read the text. */
  readonly kinds?: Tensor;
}

/** Expressions in a text as tensors, where plans of them are predicted. */
export interface ExpressionInputs extends ReadInputs {
  /** (M, L) indices of `ExpressionRows`, of dtype i32. */
  readonly index: Tensor;
}

/** What is read of the tokens of expressions (M, L) besides their hidden states. */
interface ReadInputs extends TokenFeatures {
  /** (M, L) kinds of the tokens, of dtype i32, for blocks of the branch that read expressions. */
  readonly expressionKinds?: Tensor;
}

/** N tokens at which the next one is predicted, padding included, in parts of at most 512. */
export interface NextTokens {
  /** (N) indices of the tokens 0 … B·T − 1, of dtype i32. */
  readonly nextAt: Tensor;
  /** (N) rows of the embedding that are right, −1 for padding, of dtype i32. */
  readonly next: Tensor;
  /** (parts) weight of the mean of each part in the loss, of dtype f64. */
  readonly nextShares: Tensor;
}

/** The result of `DagGpt.forward` for B rows of T tokens. */
export interface DagGptOutput {
  /** (B, T, C) hidden states of the backbone. */
  readonly hidden: Tensor;
  /** (B, T) logits that the value of the expression so far follows next; null at depth 0. */
  readonly gate: Tensor | null;
  /**
   * (B, T, d) each: the expression of a value that follows token t begins with token j by the logit query_t · key_j / √d; null at depth 0.
   */
  readonly start: { readonly query: Tensor; readonly key: Tensor } | null;
  /** (B, T, n) logits of how a value that follows next is written: decimals, commas, a blank; null at depth 0. */
  readonly form: Tensor | null;
  /** (M, L, …) predictions at the tokens of the given expressions; null without expressions. */
  readonly prediction: Prediction | null;
}

interface Branch {
  /** The blocks that read expressions, and those that read the text; null where there are none. */
  readonly readers: { readonly expressions: BranchReader | null; readonly text: BranchReader | null };
  readonly planner: PlanPredictor;
  readonly gate: Linear;
  readonly start: { readonly query: Linear; readonly key: Linear };
  readonly form: Linear;
}

/** Width of the queries and keys that find where an expression begins. */
const POINTER = 32;

/** A logit whose softmax probability and gradient are exactly 0. */
const NEVER = -1e9;

function paddingBias(tokens: number, vocabSize: number, device: Device | undefined): Tensor {
  const bias = Float32Array.from({ length: vocabSize }, (_, id) => (id < tokens ? 0 : NEVER));
  return tensor(bias, [vocabSize], device ? { device } : {});
}

/** The blocks of the branch. The random streams of dropout up to 3·nLayer are the backbone's. */
function branchReaders(
  expressionLayers: number,
  textLayers: number,
  config: GptConfig,
  build: ParameterBuilder,
): Branch['readers'] {
  if (expressionLayers + textLayers === 0) return { expressions: null, text: null };
  const kinds = kindsOf(build, config.nEmbd);
  const reader = (name: string, layers: number, site: number): BranchReader | null =>
    layers === 0 ? null : new BranchReader(name, kinds, layers, config, build, site);
  const site = 3 * config.nLayer + 1;
  return {
    expressions: reader('branch', expressionLayers, site),
    text: reader('branch.text', textLayers, site + 3 * expressionLayers + 1),
  };
}

/** (M, L) of hidden states (M, L, C). @throws {ModelError} `bad-input` for anything but such a tensor. */
function hiddenShape(hidden: Tensor): [M: number, L: number] {
  const [M, L, C] = isTensor(hidden) ? hidden.shape : [];
  if (M === undefined || L === undefined || C === undefined)
    throw new ModelError('bad-input', `expected hidden states as a tensor (M, L, C), given ${named(hidden)}`);
  return [M, L];
}

/** Logits are computed for at most 512 tokens at once, in multiples of 128: few sizes of tensors, whose memory is reused. */
const [HEAD_ROWS_STEP, MOST_HEAD_ROWS] = [128, 512];

/**
 * A GPT that calculates while it writes: language model, plan predictor and executor on one backbone. At each token a gate
 * decides what comes next: the value of the expression that began last, for which its plan is executed, or a token of the
 * language model, whose head is tied to the token embedding. At depth 0 it is a plain GPT.
 */
export class DagGpt extends SavedModel {
  readonly config: DagGptConfig;
  readonly tokenizer: Tokenizer;
  readonly parameters: Parameters;
  /** The same parameters in two groups: those of the GPT and those of the calculating branch. */
  readonly parts: readonly [backbone: Parameters, branch: Parameters];
  private readonly gpt: Gpt;
  private readonly branch: Branch | null;
  /** (V), added to logits: 0 for tokens, very low for padding. null where no row of the embedding is padding. */
  private readonly paddingBias: Tensor | null;
  private readonly known: KnownTokens | null;

  /**
   * Makes a model with random weights by `seed`, 0 by default. The same seed gives the same bits; null makes zeros. `tokens` are those that
   * `load` found in a file.
   *
   * @throws {ModelError} `bad-config` where a value is out of range.
   */
  constructor(config: DagGptConfig, options: ModelOptions & { readonly tokens?: TokenTable | null } = {}) {
    super();
    checkConfigObject(config);
    checkObject('options such as { seed: 1 }', options);
    const { seed = 0, device, check, tokens: table = null } = options;
    const build = new ParameterBuilder(seed, device, check);
    const { depth, nEmbd, branchLayers = 0, textLayers = 0 } = config;
    for (const [name, layers] of Object.entries({ branchLayers, textLayers }))
      if (!Number.isInteger(layers) || layers < 0 || (layers > 0 && depth === 0))
        throw new ModelError(
          'bad-config',
          `${name} is a whole number from 0, 0 at depth 0; given ${named(layers)}`,
        );
    this.config = config;
    this.tokenizer = config.known
      ? tokenizerWith(config.tokenizer, table ?? tokenTableFor(tokenizer(config.tokenizer), config.known))
      : tokenizer(config.tokenizer);
    this.known = config.known ? new KnownTokens(config.known, this.tokenizer) : null;
    const tokens = this.known?.size ?? this.tokenizer.vocabSize;
    const { vocabSize = tokens } = config;
    // An upper bound, because files leave rows of zeros out and no tensor in them confirms this number.
    if (!Number.isInteger(vocabSize) || vocabSize < tokens || vocabSize > 2 * tokens)
      throw new ModelError(
        'bad-config',
        `vocabSize is from ${tokens}, the rows of the tokens of '${config.tokenizer}', to twice as many, given ${named(vocabSize)}`,
      );
    const gpt = { ...config, vocabSize };
    this.gpt = new Gpt(gpt, build);
    this.paddingBias = vocabSize === tokens ? null : paddingBias(tokens, vocabSize, device);
    const backbone = new Map(build.parameters);
    this.branch =
      depth === 0
        ? null
        : {
            readers: branchReaders(branchLayers, textLayers, gpt, build),
            planner: new PlanPredictor(config, nEmbd, build),
            gate: new Linear('gate', nEmbd, 1, true, build),
            start: {
              query: new Linear('start.query', nEmbd, POINTER, true, build),
              key: new Linear('start.key', nEmbd, POINTER, true, build),
            },
            form: new Linear('form', nEmbd, FORM_OUTPUTS, true, build),
          };
    this.parameters = build.parameters;
    this.parts = [backbone, new Map([...build.parameters].filter(([name]) => !backbone.has(name)))];
  }

  /** The device of its weights. */
  get device(): Device {
    return this.parameters.get('wte.weight')!.device;
  }

  /** Makes the GPT's weights constants, so that training changes the calculating branch only. */
  freezeBackbone(): void {
    for (const p of this.parts[0].values()) p.requiresGrad = false;
  }

  /** An empty cache of keys and values for `forward`: of the backbone's blocks and those of the branch that read the text. */
  newCache(): KeyValueCache {
    return new KeyValueCache(this.layers);
  }

  private get layers(): number {
    return this.config.nLayer + (this.config.textLayers ?? 0);
  }

  /**
   * A forward pass over tokens (B, T), row-major. Outputs at token t depend on no later token.
   *
   * @param given Options of the pass, and `expressions`: where plans are predicted.
   * @throws {ModelError} `shape` and `bad-input` as `Gpt.forward`, `bad-token` for ids outside the vocabulary.
   */
  forward(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    given: ForwardOptions & { expressions?: ExpressionRows | null } = {},
  ): DagGptOutput {
    checkObject('options such as { dropoutSeed: 1 }', given);
    const { expressions = null, ...options } = given;
    return this.forwardInputs(this.inputs(tokens, shape, expressions), options);
  }

  /**
   * tokens (B, T), row-major ids, and where plans are predicted → input tensors. A recorded step takes them as arguments, because they change
   * in every call.
   */
  inputs(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    expressions: ExpressionRows | null = null,
  ): DagGptInputs {
    checkList('token ids as an array', tokens);
    const kinds = (): Int32Array => tokens.map((id) => this.tokenizer.record(id).kind);
    const text = {
      tokens: this.i32(this.known?.rows(tokens) ?? tokens, shape),
      ...(this.branch?.readers.text ? { kinds: this.i32(kinds(), shape) } : {}),
    };
    if (!expressions || !this.branch) return text;
    const index = this.i32(expressions.index, expressions.shape);
    const ids = expressions.index.map((i) => tokens[i]!);
    return { ...text, index, ...this.readInputs(ids, expressions.shape) };
  }

  /** `forward` with the input tensors of `inputs`. */
  forwardInputs(inputs: DagGptInputs, options: ForwardOptions = {}): DagGptOutput {
    checkObject('inputs, as `inputs` makes them,', inputs);
    checkObject('options such as { dropoutSeed: 1 }', options);
    const { tokens, kinds } = inputs;
    const { cache, dropoutSeed } = options;
    if (cache !== undefined && !(cache instanceof KeyValueCache && cache.blocks.length === this.layers))
      throw new ModelError('bad-input', `DagGpt: cache is one of \`newCache()\`, of ${this.layers} layers`);
    const hidden = this.gpt.forward(tokens, options);
    if (!this.branch) return { hidden, gate: null, start: null, form: null, prediction: null };
    const { gate, start, form, readers } = this.branch;
    const [B, T, C] = hidden.shape as [number, number, number];
    let read = hidden;
    if (readers.text) {
      if (!kinds) throw new ModelError('bad-input', 'the inputs have no kinds, which the branch reads');
      const position = cache ? cache.length - T : options.position;
      const caches = cache?.blocks.slice(this.config.nLayer);
      read = readers.text.forward(kinds, hidden.detach(), { dropoutSeed, position, caches });
    }
    return {
      hidden,
      form: form.forward(read),
      gate: reshape(gate.forward(read), [B, T]),
      start: { query: start.query.forward(read), key: start.key.forward(read) },
      prediction:
        inputs.index === undefined
          ? null
          : this.predict(inputs, embedding(reshape(hidden, [B * T, C]), inputs.index), { dropoutSeed }),
    };
  }

  private i32(values: Int32Array, shape: Shape): Tensor {
    return tensor(values, shape, { dtype: 'i32', device: this.device });
  }

  /**
   * hidden (…, C) → logits of the next token (…, V), one for each row of the embedding (`known` of the configuration). Those of padding are so
   * low that softmax gives 0.
   */
  logits(hidden: Tensor): Tensor {
    return this.gpt.logits(hidden, this.paddingBias);
  }

  /** (vocabSize of the tokenizer) logits of the next token by id, −∞ of those without a row. @param hidden (1, 1, C) */
  tokenLogits(hidden: Tensor): Float32Array {
    const rows = Float32Array.from(this.logits(hidden).dataSync());
    checkFinite(rows, 'logits');
    return this.known?.logitsById(rows) ?? rows.subarray(0, this.tokenizer.vocabSize);
  }

  /**
   * Cross-entropy of the next tokens, in nats, averaged over all targets: a tensor of one element. The head, most of the work
   * of a small model, is computed only where there is a target.
   *
   * @param hidden (B, T, C) of `forward`.
   * @param targets (B, T) ids of the next tokens; −1 for tokens that do not count.
   * @throws {ModelError} `bad-input` where no target counts, `bad-token` for ids outside the vocabulary.
   */
  textLoss(hidden: Tensor, targets: Int32Array): Tensor {
    return cast(this.nextLoss(hidden, this.nextTokens(targets)), 'f32');
  }

  /**
   * targets (B, T) as input tensors of `nextLoss`.
   *
   * @param options.of Number of targets to divide by: of all micro-batches of a step; by default of these.
   * @param options.size N, from the number of targets, the default, to B·T; it is rounded up to a multiple of 128, and at most 512 for each target.
   * @throws {ModelError} as `textLoss`.
   */
  nextTokens(
    targets: Int32Array,
    options: { readonly of?: number; readonly size?: number } = {},
  ): NextTokens {
    checkList('targets as an array of token ids', targets);
    checkObject('options such as { of: 100 }', options);
    for (const id of targets) {
      if (typeof id !== 'number')
        throw new ModelError('bad-input', `textLoss: a target is a token id, given ${named(id)}`);
      if (!Number.isInteger(id) || id >= this.tokenizer.vocabSize)
        throw new ModelError(
          'bad-token',
          `textLoss: targets are whole numbers below ${this.tokenizer.vocabSize}, given ${id}`,
        );
    }
    const counted = Int32Array.from(targets.keys()).filter((i) => targets[i]! >= 0);
    const n = counted.length;
    if (n === 0) throw new ModelError('bad-input', 'textLoss: no target is counted');
    const { of = n, size: least = n } = options;
    if (!Number.isInteger(least) || least < n || least > targets.length || !(Number.isFinite(of) && of > 0))
      throw new ModelError(
        'bad-input',
        `textLoss: size is a whole number from ${n} to ${targets.length}, of a number above 0; given ${named(least)} and ${named(of)}`,
      );
    // No more than has a target in each part.
    const size = Math.min(MOST_HEAD_ROWS * n, HEAD_ROWS_STEP * Math.ceil(least / HEAD_ROWS_STEP));
    const wanted = counted.map((i) => targets[i]!);
    const rows = this.known?.rows(wanted) ?? wanted;
    const [at, next] = [new Int32Array(size), new Int32Array(size).fill(-1)];
    const shares: number[] = [];
    // Each part has its share of the padding.
    for (let first = 0; first < size; first += MOST_HEAD_ROWS) {
      const last = Math.min(size, first + MOST_HEAD_ROWS);
      const [from, to] = [first, last].map((i) => Math.floor((i * n) / size)) as [number, number];
      at.set(counted.subarray(from, to), first);
      next.set(rows.subarray(from, to), first);
      shares.push((to - from) / of);
    }
    return {
      nextAt: this.i32(at, [size]),
      next: this.i32(next, [size]),
      nextShares: tensor(shares, [shares.length], { dtype: 'f64', device: this.device }),
    };
  }

  /** `textLoss` with the input tensors of `nextTokens`, of dtype f64. @param hidden (B, T, C) of `forward`. */
  nextLoss(hidden: Tensor, given: NextTokens): Tensor {
    checkObject('inputs, as `nextTokens` makes them,', given);
    const rows = reshape(hidden, [-1, this.config.nEmbd]);
    const [at, next] = [given.nextAt, given.next].map((x) => split(x, MOST_HEAD_ROWS)) as [
      Tensor[],
      Tensor[],
    ];
    if (next.length === 0) throw new ModelError('bad-input', 'nextLoss: there is no token');
    return next
      .map((rightRows, i) => {
        const loss = crossEntropy(this.logits(embedding(rows, at[i]!)), rightRows);
        return mul(cast(loss, 'f64'), select(given.nextShares, 0, i));
      })
      .reduce(add);
  }

  /**
   * The plan at every token of a prediction; see `PlanPredictor.plan`.
   *
   * @throws {ModelError} `bad-config` at depth 0.
   */
  plan(prediction: Prediction): DagTensorFields {
    return this.calculating().planner.plan(prediction);
  }

  /**
   * The plan at every token of expressions with every choice made; see `PlanPredictor.hardPlan`.
   *
   * @param ids (M·L) their tokens.
   * @param hidden (M, L, C) the hidden states there.
   */
  hardPlan(ids: Int32Array, hidden: Tensor, options: HardPlanOptions = {}): HardPlan<Tensor> {
    return noGrad(() => {
      const shape = hiddenShape(hidden);
      const records = this.recordsOf(ids, shape);
      const { expressionKinds } = this.expressionKinds(records, shape);
      const read = this.readBranch(expressionKinds, hidden);
      return this.calculating().planner.hardPlan(read, records, options);
    });
  }

  /** Whether the layout of `hardPlan` may be another one than the model's; false at depth 0. */
  get fitsAnyLayout(): boolean {
    return this.branch?.planner.fitsAnyLayout ?? false;
  }

  /**
   * Predicts at every token of M expressions of L tokens.
   *
   * @param ids (M·L) token ids, row-major.
   * @param hidden (M, L, C) hidden states of the backbone at these tokens.
   * @throws {ModelError} `bad-config` at depth 0, `bad-input` for other arguments, `bad-token` for ids outside the vocabulary.
   */
  readExpressions(
    ids: Int32Array,
    hidden: Tensor,
    given: Pick<ForwardOptions, 'dropoutSeed'> & ReadOptions = {},
  ): Prediction {
    checkObject('options such as { at: [3] }', given);
    this.calculating();
    return this.predict(this.readInputs(ids, hiddenShape(hidden)), hidden, given);
  }

  private predict(
    { expressionKinds, ...features }: ReadInputs,
    hidden: Tensor,
    { dropoutSeed, ...options }: Pick<ForwardOptions, 'dropoutSeed'> & ReadOptions,
  ): Prediction {
    const read = this.readBranch(expressionKinds, hidden, dropoutSeed);
    return this.calculating().planner.forward(read, features, options);
  }

  /** The input of the plan predictor: the backbone's hidden states, or the outputs of the branch's blocks. */
  private readBranch(
    kinds: Tensor | undefined,
    hidden: Tensor,
    dropoutSeed?: ForwardOptions['dropoutSeed'],
  ): Tensor {
    const { expressions } = this.calculating().readers;
    // Detached, so that the backbone is trained on text only, as if the branch were not there.
    if (!expressions) return hidden;
    if (!kinds)
      throw new ModelError('bad-input', 'the inputs have no expressionKinds, which the branch reads');
    return expressions.forward(kinds, hidden.detach(), { dropoutSeed });
  }

  private readInputs(ids: Int32Array, shape: readonly [M: number, L: number]): ReadInputs {
    const records = this.recordsOf(ids, shape);
    return {
      ...this.expressionKinds(records, shape),
      ...tokenFeatures(records, shape, this.config, { device: this.device }),
    };
  }

  private expressionKinds(
    records: readonly TokenRecord[],
    shape: Shape,
  ): Pick<ReadInputs, 'expressionKinds'> {
    if (!this.calculating().readers.expressions) return {};
    const kinds = Int32Array.from(records, ({ kind }) => kind);
    return { expressionKinds: this.i32(kinds, shape) };
  }

  private recordsOf(ids: Int32Array, [, L]: readonly [M: number, L: number]): TokenRecord[] {
    checkList('token ids as an array', ids);
    const records: TokenRecord[] = [];
    for (let at = 0; at < ids.length; at += Math.max(1, L))
      records.push(...this.tokenizer.records(ids.slice(at, at + L)));
    return records;
  }

  private calculating(): Branch {
    if (this.branch) return this.branch;
    throw new ModelError('bad-config', 'a DagGpt of depth 0 predicts no plans');
  }

  /**
   * Continues a text: the language model writes, and where the gate opens, the executor's value of the last expression, in the form that
   * the model predicts for it: digits, decimals, commas. A blank at the end of the prompt belongs to what is written after it. With the
   * tokenizer `char`, expressions in symbols within the prompt are read as `asRead` of @dag/expr writes them, `2 × 3` as `2 * 3`.
   *
   * @throws {ModelError} `bad-input` for an empty prompt and options outside their ranges, `not-finite` if the weights give no
   *   finite numbers.
   * @example model.generate('12.5 * 4 = ', { maxNewTokens: 20, temperature: 0 }).text
   */
  generate(prompt: string, options?: GenerateTextOptions): Generated {
    return noGrad(() => generate(this, prompt, options));
  }

  /**
   * What the executor would write before each token of a given text, by the index of that token: of all tokens those before which the gate is
   * open. `written` may begin with a blank.
   *
   * @param ids The tokens of the text, as `encodeSigns` of the tokenizer gives them.
   * @param results Indices at which results of the text begin; the calculation of one that would be written does not go on behind it.
   */
  computedIn(ids: readonly number[], results: ReadonlySet<number> = new Set()): Map<number, Computed> {
    // Throws for ids outside the vocabulary.
    this.tokenizer.records(ids);
    if (!(results instanceof Set))
      throw new ModelError('bad-input', `expected a Set of indices of tokens, given ${named(results)}`);
    return noGrad(() => computedIn(this, ids, results));
  }

  protected override tokensFor(): TokenTable | null {
    const { known } = this.config;
    return known ? tokenTableFor(this.tokenizer, known) : null;
  }

  /** Reads a file of `save`. @throws {ModelError} `bad-file` and `not-finite`, as `PredictorModel.load`. */
  static load(file: FileBytes, options: { device?: Device } = {}): DagGpt {
    return decodeWeights(
      file,
      'DagGpt',
      (config: DagGptConfig, check, tokens) => new DagGpt(config, { ...options, seed: null, check, tokens }),
    );
  }

  /** Fetches a file of `save` and reads it. @throws {ModelError} as `PredictorModel.fetch`. */
  static async fetch(url: string | URL, options: FetchOptions = {}): Promise<DagGpt> {
    return fetchModel(url, options, DagGpt.load);
  }
}
