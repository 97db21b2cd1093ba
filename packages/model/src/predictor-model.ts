import {
  embedding,
  execute,
  noGrad,
  recordStep,
  scope,
  tensor,
  zeros,
  type DagTensorFields,
  type Device,
  type Tensor,
} from '@dag/executor';
import type { DagTensors } from '@dag/tensorize';
import { checkList, checkObject } from './arguments.js';
import { checkCalibration, type Calibration } from './calibration.js';
import { doubtOf } from './doubt.js';
import { joined, onHost } from './host-plan.js';
import { ModelError } from './error.js';
import { fetchModel, type FetchOptions } from './fetch-weights.js';
import type { PredictedPlans, PredictedValue } from './predicted-value.js';
import { judge, smallestPlan, type Judged } from './refusal.js';
import { MOST_DEPTH, MOST_DIGITS, type RegisterLayout } from './plan-predictor/layout.js';
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
import type { HardPlan } from './plan-predictor/hard-plan.js';
import { checkDecisions, PlanPredictor, type PlanPredictorConfig } from './plan-predictor/plan-predictor.js';
import type { ReadOptions } from './plan-predictor/read-options.js';
import type { Prediction } from './plan-predictor/readout.js';
import { tokenFeatures, type TokenFeatures } from './plan-predictor/token-features.js';
import { encodeTexts, isReadable, type EncodedTexts } from './encode-texts.js';
import { prefixPredictions, type PrefixPredictions } from './prefixes.js';
import { decisionsReadout, sureDecisions, type SureDecisions } from './plan-predictor/decisions-readout.js';
import {
  tokenizerWith,
  tokenTableFor,
  type Tokenizer,
  type TokenizerName,
  type TokenRecord,
} from './tokenizer/tokenizer.js';
import type { TokenTable } from './tokenizer/vocabulary.js';
import { decodeWeights, SavedModel } from './weights.js';
import { type FileBytes } from './safetensors/tensor.js';

/** The configuration of a `PredictorModel`: that of the backbone, of the plan predictor, the tokenizer, and the calibration. */
export interface PredictorConfig extends Omit<GptConfig, 'vocabSize'>, PlanPredictorConfig {
  readonly tokenizer: TokenizerName;
  /** Calibration of the confidence, for readouts that have one; confidences stay as they are where left out. */
  readonly calibration?: Calibration;
}

/** The input tensors of a `PredictorModel`: token ids, and the features of the tokens' records. */
export interface PredictorInputs extends TokenFeatures {
  /** (B, T) ids, of dtype i32. */
  readonly tokens: Tensor;
}

type TextInputs = PredictorInputs & {
  /** (1) index of the token whose plan is asked for. */
  readonly at: Tensor;
  /** (depth, digits) of the layout; its elements mean nothing. A recording is of inputs of certain shapes. */
  readonly layout: Tensor;
};

/** Texts whose plans are made at the same time have at most so many tokens and squares of depths, if they are more than one. */
const MOST_AT_ONCE = { tokens: 2 ** 13, squaredDepths: 2 ** 16 };
/** Texts of at most so many tokens, in layouts of at most such a depth, are read by recordings. They take memory by the product of both. */
const MOST_RECORDED = { tokens: 256, depth: 64 };
/** Recordings are of lengths that are multiples of this: few of them are kept. */
const RECORDED_STEP = 8;

/** Options of `PredictorModel.forward`: those of the backbone and those of the readout. */
export type PredictOptions = ForwardOptions & ReadOptions;

/**
 * Backbone and plan predictor: reads a text, and predicts at every token the plan that computes the text up to there.
 *
 * @example (await loadPretrained()).predict('two plus three').value // 5; loadPretrained is of @dag/train
 */
export class PredictorModel extends SavedModel {
  readonly config: PredictorConfig;
  readonly tokenizer: Tokenizer;
  readonly parameters: Parameters;
  private readonly gpt: Gpt;
  private readonly predictor: PlanPredictor;
  /** The prediction of one text. Texts of a length are read without the JavaScript around kernels, from the third one on. */
  private readonly readOne = recordStep(({ tokens, at, layout: { shape }, ...features }: TextInputs) => {
    const layout = { depth: shape[0]!, digits: shape[1]! };
    return noGrad(() => this.predictor.decide(this.gpt.forward(tokens), features, at, layout));
  });

  /**
   * Makes a model with random weights by `seed`, 0 by default. The same seed gives the same bits; null makes zeros. `tokens` are those that
   * `load` found in a file.
   *
   * @throws {ModelError} `bad-config` where a value is out of range.
   */
  constructor(config: PredictorConfig, options: ModelOptions & { readonly tokens?: TokenTable | null } = {}) {
    super();
    checkConfigObject(config);
    checkCalibration(config.calibration);
    checkObject('options such as { seed: 1 }', options);
    const { seed = 0, device, check, tokens = null } = options;
    const build = new ParameterBuilder(seed, device, check);
    this.config = config;
    this.tokenizer = tokenizerWith(config.tokenizer, tokens);
    this.gpt = new Gpt({ ...config, vocabSize: this.tokenizer.vocabSize }, build);
    this.predictor = new PlanPredictor(config, config.nEmbd, build);
    this.parameters = build.parameters;
  }

  /**
   * tokens (B, T), row-major ids → predictions at every token. Those at token t depend on no later token.
   *
   * @throws {ModelError} `bad-token` for ids outside the vocabulary, `shape` and `bad-input` as `Gpt.forward`.
   */
  forward(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    options: PredictOptions = {},
  ): Prediction {
    return this.forwardInputs(this.inputs(tokens, shape), options);
  }

  /**
   * The plan at every token with every choice made, V_mag, V_sign (B, T, 2D), O (B, T, D, 2D), G (B, T, D) in double; with `at` that at one
   * token of each row, and with `layout` that of a layout of your own. See `PlanPredictor.hardPlan`.
   *
   * @throws {ModelError} `not-finite` where the weights give no finite numbers.
   */
  hardPlan(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    options: ReadOptions & { readonly layout?: RegisterLayout } = {},
  ): HardPlan<Tensor> {
    return noGrad(() => {
      const hidden = this.gpt.forward(this.ids(tokens, shape));
      return this.predictor.hardPlan(hidden, this.records(tokens), options);
    });
  }

  /** tokens (B, T), row-major ids → input tensors. A recorded step takes them as arguments, because they change in every call. */
  inputs(tokens: Int32Array, shape: readonly [B: number, T: number]): PredictorInputs {
    return {
      tokens: this.ids(tokens, shape),
      ...tokenFeatures(this.records(tokens), shape, this.config, this.parameters.get('wte.weight')!),
    };
  }

  private ids(tokens: Int32Array, shape: readonly [B: number, T: number]): Tensor {
    checkList('token ids as an array', tokens);
    checkList('the shape (B, T) of the tokens', shape);
    const rows = Int32Array.from(tokens, (id) => this.tokenizer.row(id));
    return tensor(rows, shape, { dtype: 'i32', device: this.parameters.get('wte.weight')!.device });
  }

  private records(tokens: Int32Array): TokenRecord[] {
    return Array.from(tokens, (id) => this.tokenizer.record(id));
  }

  /** `forward` with the input tensors of `inputs`. */
  forwardInputs(inputs: PredictorInputs, options: PredictOptions = {}): Prediction {
    checkObject('inputs, as `inputs` makes them,', inputs);
    checkObject('options such as { at: [3] }', options);
    const { tokens, ...features } = inputs;
    const { at, ...rest } = options;
    return this.predictor.forward(this.gpt.forward(tokens, rest), features, { at });
  }

  /** The plan at every token of a prediction; see `PlanPredictor.plan`. */
  plan(prediction: Prediction): DagTensorFields {
    return this.predictor.plan(prediction);
  }

  /**
   * Predicts the hard plan of each whole text: N texts give N graphs. Texts are read as `Tokenizer.read` writes them. The depth is the
   * model's, or of a readout that `fitsAnyLayout` what the texts need.
   *
   * @throws {ModelError} `bad-input` for no text, an empty one or one of more than `blockSize` tokens (`reads` is false for both),
   *   `not-finite` if the weights give no finite numbers.
   */
  predictPlans(texts: readonly string[]): DagTensors {
    return this.read(texts).plan;
  }

  /** Predicts and executes the plans of N texts, and says which of them are refused. @throws {ModelError} as `predictPlans`. */
  predictTexts(texts: readonly string[]): PredictedPlans {
    if (!this.predictor.fitsAnyLayout) return unjudged(this.predictPlans(texts));
    const { plan, judged } = this.read(texts);
    if (!judged) return unjudged(plan);
    return {
      plans: plan,
      values: execute(plan),
      ...judge(
        texts.map((text) => this.tokenizer.read(text)),
        judged,
        this,
      ),
    };
  }

  /**
   * Predicts the plan of a text and executes it.
   *
   * @throws {ModelError} `unreadable` with the reason where the model refuses the text; as `predictPlans`.
   */
  predict(text: string): PredictedValue {
    const { plans, values, confidences, refusals } = this.predictTexts([text]);
    return predictedValue(text, {
      ...{ plans, value: values[0]!, confidence: confidences[0]!, refusal: refusals[0]! },
      doubt: (value) => this.doubt(text, value),
    });
  }

  /**
   * Predicts the plan at every token of a text: that of the text up to there. Plans are made when they are asked for.
   *
   * @throws {ModelError} as `predictPlans`.
   */
  predictPrefixes(text: string): PrefixPredictions {
    const { tokens, shape } = encodeTexts([text], this.tokenizer, this.config.blockSize);
    const ids = [...tokens];
    const decided = this.config.readout === decisionsReadout.name ? this.decided(tokens) : null;
    return prefixPredictions(ids, decided, this, (t) => {
      const { plan, judged } = this.readTokens({ tokens, shape, last: [t] });
      return { plan, judged: judged && judged[0]! };
    });
  }

  /** What the tokens of a text decide, and how surely. */
  private decided(tokens: Int32Array): SureDecisions {
    return scope(() =>
      noGrad(() => {
        const { fields } = this.forward(tokens, [1, tokens.length]);
        return sureDecisions(fields, this.records(tokens));
      }),
    );
  }

  /** The plans of whole texts, and what their readout says of them; null where it says nothing. */
  private read(texts: readonly string[]): { plan: DagTensors; judged: readonly Judged[] | null } {
    return this.readTokens(encodeTexts(texts, this.tokenizer, this.config.blockSize));
  }

  private readTokens({ tokens, shape, last }: EncodedTexts): {
    plan: DagTensors;
    judged: readonly Judged[] | null;
  } {
    let layout = this.predictor.fitsAnyLayout ? layoutFor(this.records(tokens), shape) : this.config;
    for (;;) {
      const hard = this.hardParts({ tokens, shape, last }, layout);
      const { V_mag, V_sign, O, G, fault, complete, confidence } = hard;
      // A layout is chosen for the numbers of a text; it may have more operators.
      const isTight = this.predictor.fitsAnyLayout && fault?.includes(1) && layout.depth < MOST_DEPTH;
      if (!isTight) {
        const { depth } = layout;
        const judged = fault && confidence && complete;
        return {
          plan: { depth, size: G.length / depth, V_mag, V_sign, O, G },
          judged: judged
            ? Array.from(fault, (code, i) => ({
                ...{ fault: code, complete: complete[i]!, confidence: confidence[i]! },
              }))
            : null,
        };
      }
      layout = { ...layout, depth: Math.min(MOST_DEPTH, 2 * layout.depth) };
    }
  }

  /** The hard plans of B texts, some at a time: what stands between tokens and plans takes memory by B·T, and by B times the square of the depth. */
  private hardParts(
    { tokens, shape: [B, T], last }: EncodedTexts,
    layout: RegisterLayout,
  ): HardPlan<Float64Array> {
    const most = Math.min(MOST_AT_ONCE.tokens / T, MOST_AT_ONCE.squaredDepths / layout.depth ** 2);
    const rows = Math.max(1, Math.floor(most));
    const parts = Array.from({ length: Math.ceil(B / rows) }, (_, part) => {
      const [from, to] = [part * rows, Math.min(B, (part + 1) * rows)];
      const some = tokens.subarray(from * T, to * T);
      return scope(() => onHost(this.hardPlans(some, [to - from, T], last.slice(from, to), layout)));
    });
    return parts.length === 1 ? parts[0]! : joined<HardPlan<Tensor>>(parts);
  }

  private hardPlans(
    tokens: Int32Array,
    shape: readonly [number, number],
    last: readonly number[],
    layout: RegisterLayout,
  ): HardPlan<Tensor> {
    const most = MOST_RECORDED;
    if (last.length > 1 || shape[1] > most.tokens || layout.depth > most.depth)
      return noGrad(() =>
        this.predictor.hardPlan(this.gpt.forward(this.ids(tokens, shape)), this.records(tokens), {
          ...{ at: last, layout },
        }),
      );
    // What follows a token changes nothing of its plan.
    const T = Math.min(this.config.blockSize, Math.ceil(shape[1] / RECORDED_STEP) * RECORDED_STEP);
    const padded = new Int32Array(T);
    padded.set(tokens);
    const features = this.predictor.features(this.records(padded), [1, T], layout);
    const ids = this.ids(padded, [1, T]);
    const { device } = ids;
    const { plan, decisions } = this.readOne({
      ...{ tokens: ids, ...features, at: tensor(Float64Array.from(last), [1], { device }) },
      layout: zeros([layout.depth, layout.digits], { device }),
    });
    checkDecisions(decisions);
    return plan;
  }

  /**
   * Why a value that this model predicted for a text may be wrong, in one sentence: `fromText` of `@dag/expr` refuses the text or
   * reads another value, or the text has more numbers than the layout has room for. If it also has a character or token
   * that training never met, the sentence names that instead. null if no reason is known.
   *
   * @throws {ModelError} `bad-input` where an argument has the wrong type.
   */
  doubt(text: string, value: number): string | null {
    return doubtOf(text, value, this);
  }

  /**
   * For each token id, whether training met it: whether its embedding has an element other than 0. Only files whose unused embeddings were
   * set to zero, such as the shipped model, have such embeddings.
   *
   * @throws {ModelError} `bad-token` for ids outside the vocabulary.
   */
  wereTrained(tokens: readonly number[]): boolean[] {
    const weight = this.parameters.get('wte.weight')!;
    checkList('token ids as an array', tokens);
    // Throws for ids outside the vocabulary.
    for (const id of tokens) this.tokenizer.record(id);
    const ids = Int32Array.from(tokens, (id) => this.tokenizer.row(id));
    const rows = scope(() =>
      noGrad(() =>
        embedding(weight, tensor(ids, [1, ids.length], { dtype: 'i32', device: weight.device })).dataSync(),
      ),
    );
    const width = rows.length / ids.length;
    return tokens.map((_, i) => rows.subarray(i * width, (i + 1) * width).some((w) => w !== 0));
  }

  protected override tokensFor(rows: readonly number[] | null): TokenTable | null {
    return rows && tokenTableFor(this.tokenizer, rows);
  }

  /** Whether `predict` accepts a text: it is a string of 1 … `blockSize` tokens. */
  reads(text: string): boolean {
    return isReadable(text, this.tokenizer, this.config.blockSize);
  }

  /**
   * Reads a file of `save`.
   *
   * @param file the bytes of the file, or its pieces in order.
   * @throws {ModelError} `bad-file` where weights are missing, unknown or of other shapes than the configuration says,
   *   `not-finite` where a weight is NaN or infinite, `bad-input` for what is no bytes.
   */
  static load(file: FileBytes, options: { device?: Device } = {}): PredictorModel {
    return decodeWeights(
      file,
      'PredictorModel',
      (config: PredictorConfig, check, tokens) =>
        new PredictorModel(config, { ...options, seed: null, check, tokens }),
    );
  }

  /**
   * Fetches a file of `save` and reads it.
   *
   * @throws {ModelError} `download` where the server cannot be reached or answers with an error status, `aborted` where `signal` was
   *   aborted, `bad-file` for an HTML page, and as `load`; what `ready` rejects with.
   * @example
   * import url from '@dag/model/weights/reading/model.safetensors?url'; // Vite; the README has other bundlers
   * const model = await PredictorModel.fetch(url, { ready: loadWasm() });
   */
  static async fetch(url: string | URL, options: FetchOptions = {}): Promise<PredictorModel> {
    return fetchModel(url, options, PredictorModel.load);
  }
}

/** Confidences and refusals of N texts by a readout that has no confidence: none is refused. */
export function unsaid(size: number): Pick<PredictedPlans, 'confidences' | 'refusals' | 'unsure'> {
  const nothing = Array<null>(size).fill(null);
  return { confidences: nothing, refusals: nothing, unsure: Array<boolean>(size).fill(false) };
}

/** The plans of such a readout, executed. */
function unjudged(plans: DagTensors): PredictedPlans {
  return { plans, values: execute(plans), ...unsaid(plans.size) };
}

/** What `predict` returns, or throws where the text is refused. */
export function predictedValue(
  text: string,
  predicted: {
    readonly plans: DagTensors;
    readonly value: number;
    readonly confidence: number | null;
    readonly refusal: string | null;
    readonly doubt: (value: number) => string | null;
  },
): PredictedValue {
  const { plans, value, confidence, refusal } = predicted;
  const tensors = confidence === null ? plans : smallestPlan(plans);
  const doubt = refusal ?? predicted.doubt(value);
  const reading = { text, value, expression: expressionOf(tensors), tensors, confidence, doubt };
  if (refusal !== null) throw new ModelError('unreadable', refusal, { reading });
  return reading;
}

/** Depths and digits of layouts are powers of two, and multiples of this: few of them are ever recorded. */
const SMALLEST_DEPTH = 4;
const DIGITS_STEP = 10;

/** A layout with room for the numbers of B·T tokens, row-major. */
function layoutFor(records: readonly TokenRecord[], [B, T]: readonly [number, number]): RegisterLayout {
  let [mostNumbers, mostDigits] = [1, 1];
  for (let b = 0; b < B; b++) {
    let [numbers, digits] = [0, 0];
    let goesOn = false;
    for (const record of records.slice(b * T, (b + 1) * T)) {
      const isDigits = record.digits.length > 0;
      if (isDigits) {
        if (!goesOn || record.begins) [numbers, digits] = [numbers + 1, 0];
        digits += record.digits.length;
        mostDigits = Math.max(mostDigits, digits);
      }
      goesOn = isDigits || (goesOn && record.point);
    }
    mostNumbers = Math.max(mostNumbers, numbers);
  }
  let depth = SMALLEST_DEPTH;
  while (depth < mostNumbers && depth < MOST_DEPTH) depth *= 2;
  const digits = Math.min(MOST_DIGITS, DIGITS_STEP * Math.ceil(mostDigits / DIGITS_STEP));
  return { depth, digits };
}
