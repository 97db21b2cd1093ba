import type { DagTensorFields, Tensor } from '@dag/executor';
import { ModelError } from '../error.js';
import { checkObject, named } from '../arguments.js';
import { checkBuilder, checkConfigObject, type ParameterBuilder } from '../gpt.js';
import { checkAt, checkFeatures, checkPrediction } from './check-prediction.js';
import { hardenPlan, LinearReadout } from './linear-readout.js';
import { checkLayout, type RegisterLayout } from './layout.js';
import { atTokens } from './ops.js';
import { readPlan } from './read-plan.js';
import { harden, RegisterWriter, type ReadOptions, type Registers, type TokenFeatures } from './registers.js';

/** `registers`: tokens write registers, and the plan is read from them. `linear`: one linear layer for each field. */
export type Readout = 'registers' | 'linear';

export interface PlanPredictorConfig extends RegisterLayout {
  readonly readout: Readout;
}

/** What the predictor says at every token, before a plan is read from it. */
export type Prediction =
  | { readonly readout: 'registers'; readonly registers: Registers }
  | { readonly readout: 'linear'; readonly plan: DagTensorFields };

/** Reads a plan for the prefix at every token from causal hidden states, in one pass. */
export class PlanPredictor {
  readonly config: PlanPredictorConfig;
  private readonly head: RegisterWriter | LinearReadout;

  constructor(config: PlanPredictorConfig, width: number, build: ParameterBuilder) {
    checkConfigObject(config);
    checkBuilder(build);
    checkLayout(config);
    const { depth, readout } = config;
    this.config = config;
    switch (readout) {
      case 'registers':
        this.head = new RegisterWriter('plan.decide', width, config, build);
        break;
      case 'linear':
        this.head = new LinearReadout('plan', width, depth, build);
        break;
      default:
        throw new ModelError(
          'bad-config',
          `readout is 'registers' or 'linear', given ${named(readout satisfies never)}`,
        );
    }
  }

  /** hidden (B, T, C) of the tokens that `features` describes. */
  forward(hidden: Tensor, features: TokenFeatures, options: ReadOptions = {}): Prediction {
    checkObject('options such as { hard: true }', options);
    const { at } = options;
    if (at !== undefined) checkAt(at, hidden);
    checkFeatures(features, hidden, this.config);
    return this.head instanceof RegisterWriter
      ? { readout: 'registers', registers: this.head.forward(hidden, features, options) }
      : { readout: 'linear', plan: this.head.forward(at ? atTokens(hidden, at) : hidden) };
  }

  /**
   * The plan at every token: V_mag, V_sign (B, T, 2D), O (B, T, D, 2D), G (B, T, D). Soft: differentiable;
   * hard: every choice made, in double, exact when executed, no gradient.
   */
  plan(prediction: Prediction, options: { hard?: boolean } = {}): DagTensorFields {
    checkObject('options such as { hard: true }', options);
    checkPrediction(prediction, this.config);
    const { hard = false } = options;
    if (prediction.readout === 'linear') return hard ? hardenPlan(prediction.plan) : prediction.plan;
    const registers = hard ? harden(prediction.registers) : prediction.registers;
    return readPlan(registers, this.config, { hard });
  }
}
