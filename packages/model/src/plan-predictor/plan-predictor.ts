import {
  add,
  cast,
  embedding,
  noGrad,
  reshape,
  tensor,
  type DagTensorFields,
  type Tensor,
} from '@dag/executor';
import { checkFinite, ModelError } from '../error.js';
import { checkObject, named } from '../arguments.js';
import { checkBuilder, checkConfigObject, type ParameterBuilder } from '../gpt.js';
import type { TokenRecord } from '../tokenizer/tokenizer.js';
import { batchOf, checkAt, checkFeatures, checkPrediction } from './check-prediction.js';
import { TensorOps } from './array-ops.js';
import { readHardPlan, readingConstants, type HardPlan } from './hard-plan.js';
import { hardFeatures, writeHardRegisters, writingConstants, type HardFeatures } from './hard-registers.js';
import { hardLinearPlan, LinearReadout } from './linear-readout.js';
import { checkLayout, type RegisterLayout } from './layout.js';
import { atTokens } from './ops.js';
import { readPlan } from './read-plan.js';
import {
  checkRecords,
  RegisterWriter,
  type ReadOptions,
  type Registers,
  type TokenFeatures,
} from './registers.js';

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
  private readonly ops: TensorOps;
  /** Of the hard readout of registers. */
  private readonly constants: {
    readonly writing: ReturnType<typeof writingConstants<Tensor>>;
    readonly reading: ReturnType<typeof readingConstants<Tensor>>;
  } | null;

  constructor(config: PlanPredictorConfig, width: number, build: ParameterBuilder) {
    checkConfigObject(config);
    checkBuilder(build);
    checkLayout(config);
    const { depth, readout } = config;
    this.config = config;
    const ops = new TensorOps(build.device);
    this.ops = ops;
    this.constants =
      readout === 'registers'
        ? { writing: writingConstants(ops, config), reading: readingConstants(ops, config) }
        : null;
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

  /** The plan at every token: V_mag, V_sign (B, T, 2D), O (B, T, D, 2D), G (B, T, D). Differentiable. */
  plan(prediction: Prediction): DagTensorFields {
    checkPrediction(prediction, this.config);
    return prediction.readout === 'linear' ? prediction.plan : readPlan(prediction.registers, this.config);
  }

  /**
   * The plan at every token with every choice made: in double, exact when executed, without a gradient. Tokens decide before their
   * decisions are summed: a doubt at one token is none at those after it.
   *
   * @param records Of the tokens, row-major.
   * @throws {ModelError} `not-finite` where the weights give no finite numbers.
   */
  hardPlan(hidden: Tensor, records: readonly TokenRecord[], options: ReadOptions = {}): DagTensorFields {
    checkObject('options such as { at: [3] }', options);
    const { at } = options;
    const [B, T] = batchOf('hidden states', hidden) as [number, number];
    checkRecords(records, [B, T]);
    if (at !== undefined) checkAt(at, hidden);
    const features = this.hardFeatures(records, [B, T]);
    const { plan, decisions } = noGrad(() => this.decide(hidden, features, at ? this.ops.f64(at) : null));
    checkDecisions(decisions);
    const shaped = (x: Tensor): Tensor => reshape(x, [B, -1, ...x.shape.slice(1)]);
    const { V_mag, V_sign, O, G } = plan;
    return { V_mag: shaped(V_mag), V_sign: shaped(V_sign), O: shaped(O), G: shaped(G) };
  }

  /** What `decide` reads beside hidden states. */
  hardFeatures(records: readonly TokenRecord[], shape: readonly [number, number]): HardFeatures<Tensor> {
    return hardFeatures(records, shape, this.config, this.ops.like);
  }

  /**
   * The plans of N tokens, V_mag, V_sign (N, 2D), O (N, D, 2D), G (N, D), and what they were decided by, which `checkDecisions` is to
   * check once it can be read.
   *
   * @param at (B) of f64, of each row the token that is asked: N = B; null: all, N = B·T.
   */
  decide(
    hidden: Tensor,
    features: HardFeatures<Tensor>,
    at: Tensor | null,
  ): { plan: HardPlan<Tensor>; decisions: readonly Tensor[] } {
    const { head, config, ops } = this;
    const [B, T] = hidden.shape as [number, number];
    if (head instanceof LinearReadout) {
      const outputs = head.outputs(at ? rowsAt(hidden, at) : hidden);
      const flat = (x: Tensor): Tensor => cast(reshape(x, [-1, x.shape[2]!]), 'f64');
      const { V_mag, V_sign, O, G } = outputs;
      const rows = { V_mag: flat(V_mag), V_sign: flat(V_sign), O: flat(O), G: flat(G) };
      return { plan: hardLinearPlan(ops, rows, config.depth), decisions: [V_mag, V_sign, O, G] };
    }
    const { writing, reading } = this.constants!;
    const decisions = head.outputs(hidden);
    const isUpTo = at ? ops.atLeast(reshape(at, [B, 1, 1]), ops.f64([...Array(T).keys()], [T, 1])) : null;
    const registers = writeHardRegisters(ops, writing, cast(decisions, 'f64'), features, config, isUpTo);
    return { plan: readHardPlan(ops, reading, registers, config), decisions: [decisions] };
  }
}

/** @throws {ModelError} `not-finite`: of NaN no choice can be made. */
export function checkDecisions(decisions: readonly Tensor[]): void {
  for (const x of decisions) checkFinite(x.dataSync(), 'decisions of the plan predictor');
}

/** Of x (B, T, C) row `at[b]` of each b: (B, 1, C). */
function rowsAt(x: Tensor, at: Tensor): Tensor {
  const [B, T, C] = x.shape as [number, number, number];
  const first = tensor(
    Float64Array.from({ length: B }, (_, b) => b * T),
    [B],
    { device: x.device },
  );
  return reshape(embedding(reshape(x, [B * T, C]), cast(add(at, first), 'i32')), [B, 1, C]);
}
