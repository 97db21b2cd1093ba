import {
  add,
  affine,
  cast,
  clamp,
  executeDag,
  gather,
  greaterEqual,
  huber,
  log,
  mul,
  neg,
  reshape,
  stack,
  sub,
  sum,
  tensor,
  type DagTensorFields,
  type Tensor,
} from '@dag/executor';
import { binaryNll, meanOver, readoutOf, type Prediction, type TargetName, type Targets } from '@dag/model';
import { requireArguments } from '../arguments.js';
import { TrainError } from '../error.js';
import type { LossWeights, PlanLoss } from '../config/losses.js';
import type { PrefixBatch } from './stream.js';

/** The losses of a micro-batch, as tensors that carry a tape. */
export interface Losses {
  /** Weighted sum of the enabled losses, one element. */
  readonly total: Tensor;
  /** Each enabled loss, unweighted. */
  readonly parts: ReadonlyMap<string, Tensor>;
}

/** The values of the losses of a micro-batch: the total under the name `loss`, then each enabled loss. */
export interface LossValues {
  readonly names: readonly string[];
  /** (n) f64, in the order of `names`. */
  readonly values: Tensor;
}

/** Runs the backward pass from the total, which adds to the gradients of all parameters, and returns the loss values. */
export function learnFrom(losses: Losses): LossValues {
  requireArguments('learnFrom', { losses: [losses, { total: 'an object', parts: 'a Map' }] });
  const { total, parts } = losses;
  total.backward();
  const values = stack(
    [total, ...parts.values()].map((loss) => loss.detach()),
    0,
  );
  return { names: ['loss', ...parts.keys()], values: cast(values, 'f64') };
}

/** The executor's `maxLog` in training: log sums of a step are clamped to it. */
const MAX_LOG = 100;

/** A model that computes the plan of a prediction. */
export interface PlanSource {
  /** `V_mag` and `V_sign` (B, T, 2D), `O` (B, T, D, 2D) and `G` (B, T, D) of every token. */
  plan(prediction: Prediction): DagTensorFields;
}

/** Masks of the losses: which tokens take part in a loss. */
const TAKES_PART = {
  /** Tokens whose prefix is an expression. */
  valid: ({ valid }, i) => valid[i] === 1,
  /** Tokens whose prefix is an expression of finite value. */
  finite: ({ valid, values }, i) => valid[i] === 1 && values !== null && Number.isFinite(values[i]),
  /** Tokens whose decisions count. */
  decided: ({ decided }, i) => decided[i] === 1,
} satisfies Record<string, (batch: PrefixBatch, i: number) => boolean>;

/** The number of tokens in each mask. */
export type LossTokens = Readonly<Record<keyof typeof TAKES_PART, number>>;

export function lossTokens(batch: PrefixBatch): LossTokens {
  const count = (which: keyof LossTokens): number =>
    takingPart(batch, which).reduce((n, part) => n + part, 0);
  return { valid: count('valid'), finite: count('finite'), decided: count('decided') };
}

/** (B, T) the mask: 1 where a token takes part. */
function takingPart(batch: PrefixBatch, which: keyof LossTokens): Uint8Array {
  return batch.valid.map((_, i) => Number(TAKES_PART[which](batch, i)));
}

/** The weight of each token in a mean over the `tokens` of a step that take part: 1 / tokens, or 0. */
export function shares(takesPart: Uint8Array, tokens: number): Float64Array {
  return Float64Array.from(takesPart, (part) => part / Math.max(1, tokens));
}

/**
 * The inputs of the losses that depend on the batch, each as a 1-D tensor: the weights of tokens in means, and the targets. They are
 * computed outside the losses because a recorded step takes them as inputs.
 */
const TARGETS = {
  valid: (batch, tokens) => constant(shares(takingPart(batch, 'valid'), tokens.valid)),
  finite: (batch, tokens) => constant(shares(takingPart(batch, 'finite'), tokens.finite), 'f64'),
  V_mag: ({ plan }) => constant(plan!.V_mag, 'f64'),
  V_sign: ({ plan }) => constant(plan!.V_sign, 'f64'),
  O: ({ plan }) => constant(plan!.O, 'f64'),
  G: ({ plan }) => constant(plan!.G, 'f64'),
  decided: (batch, tokens) => constant(shares(takingPart(batch, 'decided'), tokens.decided)),
  decisions: ({ decisions }) => classes(decisions.classes),
  nestings: ({ decisions }) => classes(decisions.nestings),
  completes: ({ decisions }) => classes(decisions.completes),
  values: ({ values }) => constant(finiteOrZero(values!), 'f64'),
} satisfies Record<TargetName, (batch: PrefixBatch, tokens: LossTokens) => Tensor>;

/** The targets of losses on the plan. */
const PLAN_TARGETS: Readonly<Record<PlanLoss, readonly TargetName[]>> = {
  magnitude: ['valid', 'V_mag'],
  sign: ['valid', 'V_sign'],
  operand: ['valid', 'O'],
  domain: ['valid', 'G'],
  execution: ['finite', 'values'],
};

/** The targets that the losses with a nonzero weight read, for a readout. */
function targetsRead(readout: string, weights: LossWeights): Set<TargetName> {
  const own = Object.entries(readoutOf(readout).losses).map(
    ([name, { targets }]) => [name, targets] as const,
  );
  const all = [...own, ...Object.entries(PLAN_TARGETS)];
  return new Set(all.flatMap(([name, targets]) => (weights[name] ? targets : [])));
}

/** Targets that exist only in batches with plans. */
const OF_PLANS: readonly TargetName[] = ['V_mag', 'V_sign', 'O', 'G', 'values'];

/** Whether any loss with a nonzero weight reads plans or their values. */
export function readsPlans(readout: string, weights: LossWeights): boolean {
  const read = targetsRead(readout, weights);
  return OF_PLANS.some((target) => read.has(target));
}

/** The targets that the enabled losses of a readout read; others are absent. */
export function lossTargets(
  batch: PrefixBatch,
  readout: string,
  weights: LossWeights,
  tokens: LossTokens,
): Targets {
  const names = [...targetsRead(readout, weights)];
  return Object.fromEntries(names.map((name) => [name, TARGETS[name](batch, tokens)])) as Targets;
}

/**
 * The enabled losses of a prediction, each a mean over the tokens whose prefix is an expression. The formulas
 * are in docs/reference.md of the package.
 *
 * @param tokens Token counts to divide by. If the batch is one of several micro-batches of a step, pass the counts of the
 *   whole step: the losses of the micro-batches then add up to the loss of the step.
 */
export function computeLosses(
  model: PlanSource,
  prediction: Prediction,
  batch: PrefixBatch,
  weights: LossWeights,
  tokens?: LossTokens,
): Losses {
  requireArguments('computeLosses', {
    model: [model, 'an object'],
    prediction: [prediction, { readout: 'a string' }],
    batch: [batch, { valid: 'an object', decided: 'an object' }],
    weights: [weights, 'an object'],
  });
  const targets = lossTargets(batch, prediction.readout, weights, tokens ?? lossTokens(batch));
  return weigh(predictionLosses(model, prediction, targets), weights);
}

/** Functions by loss name; each returns one element: the micro-batch's part of the mean over its step. Called only if the weight is not 0. */
export type LossFunctions = Readonly<Record<string, () => Tensor>>;

/** All losses of a prediction: those of its readout and those on the plan. */
export function predictionLosses(model: PlanSource, prediction: Prediction, targets: Targets): LossFunctions {
  const plan = lazy(() => inDouble(model.plan(prediction)));
  const own = Object.entries(readoutOf(prediction.readout).losses).map(
    ([name, loss]) => [name, () => loss.compute(prediction.fields, targets)] as const,
  );
  return { ...Object.fromEntries(own), ...planLosses(plan, targets) };
}

/** Computes the losses with a nonzero weight, and their weighted sum. */
export function weigh(functions: LossFunctions, weights: LossWeights): Losses {
  requireArguments('weigh', { functions: [functions, 'an object'], weights: [weights, 'an object'] });
  const parts = new Map<string, Tensor>();
  for (const [name, compute] of Object.entries(functions))
    if (weights[name]) parts.set(name, cast(compute(), 'f32'));
  const terms = [...parts].map(([name, part]) => affine(part, weights[name]!));
  if (terms.length === 0) throw new TrainError('bad-input', 'weigh: no loss has a weight');
  return { total: terms.reduce(add), parts };
}

/** Losses on the plan itself and on its executed value. */
function planLosses(plan: () => DagTensorFields, targets: Targets): Readonly<Record<PlanLoss, () => Tensor>> {
  const tokenMean = (x: Tensor): Tensor => meanOver(perToken(x), cast(targets.valid, 'f64'));
  const target = (field: keyof DagTensorFields): Tensor => reshape(targets[field], plan()[field].shape);
  return {
    // Huber of ln(1 + m): a relative error where magnitudes are large, an absolute one near zero.
    magnitude: () => tokenMean(huber(sub(log1p(plan().V_mag), log1p(target('V_mag'))))),
    sign: () => tokenMean(binaryNll(affine(plan().V_sign, 0.5, 0.5), affine(target('V_sign'), 0.5, 0.5))),
    operand: () => tokenMean(huber(sub(plan().O, target('O')))),
    domain: () => tokenMean(binaryNll(plan().G, target('G'))),
    execution: () => executionLoss(plan(), targets),
  };
}

/**
 * Huber loss of the difference between executed and expected values, on a signed logarithmic scale: the mean over the
 * tokens whose expected value is finite (weights in `finite`). Tokens whose predicted value is NaN take no part.
 */
export function executionLoss(
  plan: DagTensorFields,
  { values, finite }: Pick<Targets, 'values' | 'finite'>,
): Tensor {
  const { V_mag, ...rest } = inDouble(plan);
  // The slope of mᵖ at 0 is infinite for 0 < p < 1, and soft coefficients are such p: keep magnitudes away from 0.
  const value = executeDag({ V_mag: clamp(V_mag, SMALLEST), ...rest }, { maxLog: MAX_LOG });
  const isNumber = greaterEqual(value.detach(), value.detach());
  // Select with `gather`: 0 · NaN would still be NaN.
  const chosen = gather(stack([affine(isNumber, 0), value], 2), cast(isNumber, 'i32'));
  const expected = reshape(values, value.shape);
  const difference = sub(signedLog(clamp(chosen, -LARGEST, LARGEST)), signedLog(expected));
  return meanOver(huber(difference), mul(finite, reshape(isNumber, finite.shape)));
}

/** Lower clamp of magnitudes in the execution loss. */
const SMALLEST = 1e-6;

/** Clamp of executed values (±) in the execution loss. */
const LARGEST = 1e100;

const log1p = (x: Tensor): Tensor => log(affine(x, 1, 1));

/** sign(x)·ln(1 + |x|). */
function signedLog(x: Tensor): Tensor {
  return sub(log1p(clamp(x, 0)), log1p(clamp(neg(x), 0)));
}

/** Mean over all but the first two dimensions. */
function perToken(x: Tensor): Tensor {
  const rest = x.shape.slice(2);
  const dims = rest.map((_, i) => i + 2);
  return affine(sum(x, dims), 1 / rest.reduce((a, b) => a * b, 1));
}

export function constant(values: ArrayLike<number>, dtype: 'f32' | 'f64' = 'f32'): Tensor {
  return tensor(values, [values.length], { dtype });
}

function classes(values: ArrayLike<number>): Tensor {
  return tensor(values, [values.length], { dtype: 'i32' });
}

export const finiteOrZero = (values: Float64Array): Float64Array =>
  values.map((v) => (Number.isFinite(v) ? v : 0));

function inDouble({ V_mag, V_sign, O, G }: DagTensorFields): DagTensorFields {
  return { V_mag: cast(V_mag, 'f64'), V_sign: cast(V_sign, 'f64'), O: cast(O, 'f64'), G: cast(G, 'f64') };
}

/** Computes a value on first use and keeps it. */
function lazy<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}
