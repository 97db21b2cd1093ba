import { noGrad, reshape, type DagTensorFields, type Tensor } from '@dag/executor';
import { checkObject, named } from '../arguments.js';
import { checkFinite, ModelError } from '../error.js';
import { checkBuilder, checkConfigObject, type ParameterBuilder, type Parameters } from '../gpt.js';
import type { TokenRecord } from '../tokenizer/tokenizer.js';
import { TensorOps } from './array-ops.js';
import { batchOf, checkAt, checkFeatures } from './check-fields.js';
import { checkPrediction } from './check-prediction.js';
import { checkReadout } from './check-readout.js';
import type { HardPlan } from './hard-plan.js';
import { checkLayout, type RegisterLayout } from './layout.js';
import type { HardPlanOptions, ReadOptions } from './read-options.js';
import type { Prediction, Readout } from './readout.js';
import { isAdded, readoutOf } from './readouts.js';
import { tokenFeatures, type TokenFeatures } from './token-features.js';

/** Configuration of a `PlanPredictor`: the layout, and the readout that predicts. */
export interface PlanPredictorConfig extends RegisterLayout {
  /** Name of a `Readout`: `decisions`, `linear`, or one registered by `addReadout`. */
  readonly readout: string;
}

/** Predicts the plan of the prefix at every token from causal hidden states, in one pass. */
export class PlanPredictor {
  readonly config: PlanPredictorConfig;
  private readonly readout: Readout;
  private readonly predict: ReturnType<Readout['make']>;
  private readonly parameters: Parameters;
  private readonly device: ParameterBuilder['device'];

  /**
   * @param width C, the width of the hidden states.
   * @param build Makes the weights of the readout.
   * @throws {ModelError} `bad-config` for an invalid layout or an unknown readout; the errors of `checkReadout` for a readout of
   *   `addReadout`.
   */
  constructor(config: PlanPredictorConfig, width: number, build: ParameterBuilder) {
    checkConfigObject(config);
    checkBuilder(build);
    checkLayout(config);
    this.config = config;
    this.readout = readoutOf(config.readout);
    this.predict = this.readout.make(width, config, build);
    this.parameters = build.parameters;
    this.device = build.device;
    if (typeof this.predict !== 'function')
      throw new ModelError(
        'bad-input',
        `make of the readout '${config.readout}' returns the function that predicts, given ${named(this.predict)}`,
      );
    if (isAdded(config.readout))
      checkReadout(this.readout, width, config, {
        predict: this.predict,
        parameters: this.parameters,
        device: this.device,
      });
  }

  /**
   * Predicts the fields of the readout, (B, T, …) or (B, 1, …) with `at`. Differentiable.
   *
   * @param hidden (B, T, C) hidden states of the tokens that `features` describes.
   * @throws {ModelError} `shape` if features and hidden states differ in (B, T); `bad-input` for an `at` outside of the tokens.
   */
  forward(hidden: Tensor, features: TokenFeatures, options: ReadOptions = {}): Prediction {
    checkObject('options such as { at: [3] }', options);
    const { at } = options;
    if (at !== undefined) checkAt(at, hidden);
    checkFeatures(features, hidden);
    return { readout: this.readout.name, fields: this.predict(hidden, features, { at }) };
  }

  /** The plan of a prediction at every token: V_mag, V_sign (B, T, 2D), O (B, T, D, 2D), G (B, T, D). Differentiable. */
  plan(prediction: Prediction): DagTensorFields {
    checkPrediction(prediction, this.config);
    return readoutOf(prediction.readout).plan(prediction.fields, this.config);
  }

  /**
   * The hard plan at every token, in f64 and without a gradient: exact when executed. Each token makes its decisions before they are
   * summed, so an uncertain decision does not blur the tokens after it.
   *
   * @param records (B·T) records of the tokens, row-major.
   * @throws {ModelError} `not-finite` where the outputs that decide are not finite; `shape` and `bad-input` as `forward`.
   */
  hardPlan(hidden: Tensor, records: readonly TokenRecord[], options: HardPlanOptions = {}): HardPlan<Tensor> {
    checkObject('options such as { at: [3] }', options);
    const { at, layout = this.config } = options;
    checkLayout(layout);
    const [B, T] = batchOf('hidden states', hidden) as [number, number];
    if (at !== undefined) checkAt(at, hidden);
    const asked = at ? new TensorOps(this.device).f64(at) : null;
    const { plan, decisions } = noGrad(() =>
      this.decide(hidden, this.features(records, [B, T], layout), asked, layout),
    );
    checkDecisions(decisions);
    const shaped = (x: Tensor): Tensor => reshape(x, [B, at ? 1 : T, ...x.shape.slice(1)]);
    const fields = Object.entries(plan).map(([name, x]: [string, Tensor]) => [name, shaped(x)]);
    return Object.fromEntries(fields) as HardPlan<Tensor>;
  }

  /** Whether the layout may be another one in each call. */
  get fitsAnyLayout(): boolean {
    return this.readout.fitsAnyLayout ?? false;
  }

  /** Features of B·T tokens for `decide`. */
  features(
    records: readonly TokenRecord[],
    shape: readonly [number, number],
    layout: RegisterLayout = this.config,
  ): TokenFeatures {
    return tokenFeatures(records, shape, layout, { device: this.device });
  }

  /**
   * The hard plans of N tokens, V_mag, V_sign (N, 2D), O (N, D, 2D), G (N, D), and the tensors from which decisions were made. Pass those
   * to `checkDecisions` once they can be read.
   *
   * @param at (B) of f64: token index per row at which to predict, N = B; null: at all tokens, N = B·T.
   */
  decide(
    hidden: Tensor,
    features: TokenFeatures,
    at: Tensor | null,
    layout: RegisterLayout = this.config,
  ): { plan: HardPlan<Tensor>; decisions: readonly Tensor[] } {
    const ops = new TensorOps(this.device, this.parameters, at);
    return { plan: this.readout.harden(ops, hidden, features, layout), decisions: ops.decisions };
  }
}

/** @throws {ModelError} `not-finite` if a tensor that decisions were made from has NaN or infinite elements. */
export function checkDecisions(decisions: readonly Tensor[]): void {
  for (const x of decisions) checkFinite(x.dataSync(), 'decisions of the plan predictor');
}
