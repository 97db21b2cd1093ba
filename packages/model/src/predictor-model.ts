import {
  embedding,
  execute,
  noGrad,
  recordStep,
  scope,
  tensor,
  type DagTensorFields,
  type Device,
  type Tensor,
} from '@dag/executor';
import type { DagTensors } from '@dag/tensorize';
import { checkList, checkObject, checkText, named } from './arguments.js';
import { ModelError } from './error.js';
import { doubtOf } from './doubt.js';
import { expressionOf } from './expression-of.js';
import {
  checkConfigObject,
  Gpt,
  ParameterBuilder,
  type ForwardOptions,
  type GptConfig,
  type ModelOptions,
  type Parameters,
} from './gpt.js';
import { checkDecisions, PlanPredictor, type PlanPredictorConfig } from './plan-predictor/plan-predictor.js';
import type { Prediction, ReadOptions } from './plan-predictor/readout.js';
import { tokenFeatures, type TokenFeatures } from './plan-predictor/registers.js';
import { encodeTexts, isReadable } from './encode-texts.js';
import { tokenizer, type Tokenizer, type TokenizerName, type TokenRecord } from './tokenizer/tokenizer.js';
import { decodeWeights, weightPieces, type SaveOptions } from './weights.js';
import { joined } from './safetensors/format.js';
import { type FileBytes } from './safetensors/tensor.js';

export interface PredictorConfig extends Omit<GptConfig, 'vocabSize'>, PlanPredictorConfig {
  readonly tokenizer: TokenizerName;
}

/** Tokens as the model reads them. */
export interface PredictorInputs extends TokenFeatures {
  /** (B, T) ids, of dtype i32. */
  readonly tokens: Tensor;
}

type TextInputs = Readonly<Record<'tokens' | 'count' | 'minus' | 'point' | 'digits' | 'at', Tensor>>;

type PredictOptions = ForwardOptions & ReadOptions;

/** What the model made of a text. */
export interface PredictedValue {
  readonly text: string;
  /** The value of the predicted plan, executed. */
  readonly value: number;
  /** The plan as an expression; empty where none can say it. */
  readonly expression: string;
  /** The plan: one graph with every choice made. */
  readonly tensors: DagTensors;
  /** Why the value may be wrong, in one sentence: see `PredictorModel.doubt`; null where nothing speaks against it. */
  readonly doubt: string | null;
}

/** Backbone and plan predictor: reads an expression, and at every token writes the program that computes it. */
export class PredictorModel {
  readonly config: PredictorConfig;
  readonly tokenizer: Tokenizer;
  readonly parameters: Parameters;
  private readonly gpt: Gpt;
  private readonly predictor: PlanPredictor;
  /** The plan of one text. Texts of a length are read without the JavaScript around kernels, from the third one on. */
  private readonly readOne = recordStep(({ tokens, at, ...features }: TextInputs) =>
    noGrad(() => {
      const most = features.digits.shape[3]!;
      return this.predictor.decide(this.gpt.forward(tokens), { ...features, most }, at);
    }),
  );

  /**
   * `seed` is that of the initial weights: the same one gives the same bits; null: zeros, for weights to come.
   * @throws {ModelError} `bad-config`.
   */
  constructor(config: PredictorConfig, options: ModelOptions = {}) {
    checkConfigObject(config);
    checkObject('options such as { seed: 1 }', options);
    const { seed = 0, device, check } = options;
    const build = new ParameterBuilder(seed, device, check);
    this.config = config;
    this.tokenizer = tokenizer(config.tokenizer);
    this.gpt = new Gpt({ ...config, vocabSize: this.tokenizer.vocabSize }, build);
    this.predictor = new PlanPredictor(config, config.nEmbd, build);
    this.parameters = build.parameters;
  }

  /** tokens (B, T), row-major ids → what the predictor says at every token. Token t depends on no later one. */
  forward(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    options: PredictOptions = {},
  ): Prediction {
    return this.forwardInputs(this.inputs(tokens, shape), options);
  }

  /**
   * The plan at every token with every choice made, V_mag, V_sign (B, T, 2D), O (B, T, D, 2D), G (B, T, D) in double; with `at` that at one
   * token of each row. See `PlanPredictor.hardPlan`.
   *
   * @throws {ModelError} `not-finite` where the weights give no finite numbers.
   */
  hardPlan(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    options: ReadOptions = {},
  ): DagTensorFields {
    return noGrad(() => {
      const hidden = this.gpt.forward(this.ids(tokens, shape));
      return this.predictor.hardPlan(hidden, this.records(tokens), options);
    });
  }

  /** tokens (B, T), row-major ids, as tensors: what changes from call to call of a recorded step is made outside of it. */
  inputs(tokens: Int32Array, shape: readonly [B: number, T: number]): PredictorInputs {
    return {
      tokens: this.ids(tokens, shape),
      ...tokenFeatures(this.records(tokens), shape, this.config, this.parameters.get('wte.weight')!),
    };
  }

  private ids(tokens: Int32Array, shape: readonly [B: number, T: number]): Tensor {
    checkList('token ids as an array', tokens);
    checkList('the shape (B, T) of the tokens', shape);
    return tensor(tokens, shape, { dtype: 'i32', device: this.parameters.get('wte.weight')!.device });
  }

  private records(tokens: Int32Array): TokenRecord[] {
    return Array.from(tokens, (id) => this.tokenizer.record(id));
  }

  /** As `forward`. */
  forwardInputs(inputs: PredictorInputs, options: PredictOptions = {}): Prediction {
    checkObject('inputs, as `inputs` makes them,', inputs);
    checkObject('options such as { at: [3] }', options);
    const { tokens, ...features } = inputs;
    const { at, ...rest } = options;
    return this.predictor.forward(this.gpt.forward(tokens, rest), features, { at });
  }

  /** The plan at every token; see `PlanPredictor.plan`. */
  plan(prediction: Prediction): DagTensorFields {
    return this.predictor.plan(prediction);
  }

  /**
   * The hard plan of each text as a whole: graph i is that of texts[i]. × · ÷ − are read as * / -.
   *
   * @throws {ModelError} `bad-input` for an empty text or one of more than `blockSize` tokens, `not-finite` where weights
   *   give no finite numbers.
   */
  predictPlans(texts: readonly string[]): DagTensors {
    const { tokens, shape, last } = encodeTexts(texts, this.tokenizer, this.config.blockSize);
    if (texts.length > 1)
      return scope(() => hostPlan(this.hardPlan(tokens, shape, { at: last }), this.config.depth));
    const { plan, decisions } = scope(() => {
      const { count, minus, point, digits } = this.predictor.hardFeatures(this.records(tokens), shape);
      const ids = this.ids(tokens, shape);
      const at = tensor(Float64Array.from(last), [1], { device: ids.device });
      return this.readOne({ tokens: ids, count, minus, point, digits, at });
    });
    checkDecisions(decisions);
    return hostPlan(plan, this.config.depth);
  }

  /** Reads a text, writes its program and runs it. @throws {ModelError} `bad-input`, as `predictPlans`. */
  predict(text: string): PredictedValue {
    const tensors = this.predictPlans([text]);
    const value = execute(tensors)[0]!;
    return { text, value, expression: expressionOf(tensors), tensors, doubt: this.doubt(text, value) };
  }

  /**
   * Why a value that this model gave for a text may be wrong: `fromText` of `@dag/expr` refuses the text or reads another value,
   * or it has more numbers or digits than the registers hold. Where it also has a character or token that training never met,
   * the sentence names that instead. null where `fromText` reads the same value.
   */
  doubt(text: string, value: number): string | null {
    checkText('a text', text);
    if (typeof value !== 'number')
      throw new ModelError('bad-input', `doubt: a value is a number, given ${named(value)}`);
    return doubtOf(text, value, this);
  }

  /** Of each token whether training met it: embeddings of those that it never met may be all zero, as in the shipped model. */
  wereTrained(tokens: readonly number[]): boolean[] {
    const weight = this.parameters.get('wte.weight')!;
    checkList('token ids as an array', tokens);
    // Refuses what is no token.
    for (const id of tokens) this.tokenizer.record(id);
    const ids = Int32Array.from(tokens);
    const rows = scope(() =>
      noGrad(() =>
        embedding(weight, tensor(ids, [1, ids.length], { dtype: 'i32', device: weight.device })).dataSync(),
      ),
    );
    const width = rows.length / ids.length;
    return tokens.map((_, i) => rows.subarray(i * width, (i + 1) * width).some((w) => w !== 0));
  }

  /** Whether `predict` takes this text: it is not empty and has at most `blockSize` tokens. */
  reads(text: string): boolean {
    return isReadable(text, this.tokenizer, this.config.blockSize);
  }

  /**
   * Weights and configuration as a safetensors file. Embeddings that are all zero, as those of tokens that a model was
   * never trained on may be, are left out; `wte.rows` then has the ids of the others.
   */
  save(options?: SaveOptions): Uint8Array {
    return joined([...this.savePieces(options)]);
  }

  /** The bytes of `save` one tensor after another, for models whose file is larger than one array can be. */
  savePieces(options?: SaveOptions): Iterable<Uint8Array> {
    return weightPieces(this.parameters, this.config, options);
  }

  /**
   * The model that `save` wrote.
   *
   * @throws {ModelError} `bad-file` where weights are missing, too many or of other shapes than its configuration says,
   *   `not-finite` where one is no finite number.
   */
  static load(file: FileBytes, options: { device?: Device } = {}): PredictorModel {
    return decodeWeights(
      file,
      'PredictorModel.save',
      (config: PredictorConfig, check) => new PredictorModel(config, { ...options, seed: null, check }),
    );
  }
}

/** Plans (N, 1, …) as the tensor format. */
export function hostPlan({ V_mag, V_sign, O, G }: DagTensorFields, depth: number): DagTensors {
  const read = (x: Tensor): Float64Array => Float64Array.from(x.dataSync());
  return { depth, size: G.size / depth, V_mag: read(V_mag), V_sign: read(V_sign), O: read(O), G: read(G) };
}
