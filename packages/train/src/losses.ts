import {
  add,
  affine,
  cast,
  cat,
  clamp,
  executeDag,
  gather,
  huber,
  log,
  mul,
  neg,
  reshape,
  softplus,
  square,
  stack,
  sub,
  sum,
  tensor,
  type DagTensorFields,
  type Shape,
  type Tensor,
} from '@dag/executor';
import { distribution, type Prediction, type Registers } from '@dag/model';
import { LANGUAGE_LOSSES, PLAN_LOSSES, REGISTER_LOSSES, type TrainConfig } from './config.js';
import type { PrefixBatch } from './data/stream.js';

export type LossName =
  (typeof PLAN_LOSSES)[number] | (typeof REGISTER_LOSSES)[number] | (typeof LANGUAGE_LOSSES)[number];

export interface Losses {
  /** Weighted sum of the enabled losses, one element. */
  readonly total: Tensor;
  /** Each enabled loss, unweighted. */
  readonly parts: ReadonlyMap<LossName, Tensor>;
}

/** Probabilities are held above this before the logarithm. */
const EPSILON = 1e-6;
/** Log sums of a step are clamped here in training, as the executor's `maxLog`. */
const MAX_LOG = 100;

/** What reads the plan from a prediction. */
interface PlanSource {
  plan(prediction: Prediction): DagTensorFields;
}

/**
 * How many tokens take part in the losses: those whose prefix is an expression, of them those where the counter of
 * numbers is known, and those whose value is finite.
 */
export interface LossTokens {
  readonly valid: number;
  readonly counted: number;
  readonly finite: number;
}

export function lossTokens({ valid, registers, values }: PrefixBatch): LossTokens {
  const count = (test: (i: number) => boolean): number =>
    valid.reduce((n, v, i) => n + (v === 1 && test(i) ? 1 : 0), 0);
  return {
    valid: count(() => true),
    counted: count((i) => registers.count[i]! >= 0),
    finite: count((i) => Number.isFinite(values[i])),
  };
}

/**
 * The enabled losses of a prediction: each a mean over the tokens whose prefix is an expression; other tokens take
 * no part. See the package's README for the formulas.
 *
 * @param tokens Where the batch is part of a step: the tokens of the whole step. The losses of its parts then add up to
 * its own.
 */
export function computeLosses(
  model: PlanSource,
  prediction: Prediction,
  batch: PrefixBatch,
  config: TrainConfig['losses'],
  tokens: LossTokens = lossTokens(batch),
): Losses {
  return weigh(predictionLosses(model, prediction, batch, tokens), config);
}

/** Each loss, computed where it is enabled. */
export type LossFunctions = Partial<Record<LossName, () => Tensor>>;

/** All losses of a prediction: on the registers, where it has them, and on the plan. */
export function predictionLosses(
  model: PlanSource,
  prediction: Prediction,
  batch: PrefixBatch,
  tokens: LossTokens,
): LossFunctions {
  const plan = lazy(() => inDouble(model.plan(prediction)));
  return {
    ...(prediction.readout === 'registers' ? registerLosses(prediction.registers, batch, tokens) : {}),
    ...planLosses(plan, batch, tokens),
  };
}

/** The weighted sum of the losses that are enabled. */
export function weigh(functions: LossFunctions, config: TrainConfig['losses']): Losses {
  const parts = new Map<LossName, Tensor>();
  for (const [name, compute] of Object.entries(functions) as [LossName, () => Tensor][])
    if (config[name].enabled) parts.set(name, cast(compute(), 'f32'));
  const terms = [...parts].map(([name, part]) => affine(part, config[name].weight));
  return { total: terms.reduce(add), parts };
}

/** Losses on what the tokens wrote. */
function registerLosses(registers: Registers, batch: PrefixBatch, tokens: LossTokens): LossFunctions {
  const { digits, length, negative, operators, priority, count } = registers;
  const { registers: target } = batch;
  const valid = constant(batch.valid, count.shape);
  const begun = constant(target.begun, length.shape);
  const tokenMean = (x: Tensor): Tensor => meanOver(x, valid, tokens.valid);
  return {
    // NLL of the digit classes, the mean over all registers.
    digits: () => {
      const nll = classNll(digits, target.digits, digits.shape.slice(0, -1), 10);
      return tokenMean(affine(sum(nll, [2, 3]), 1 / (digits.shape[2]! * digits.shape[3]!)));
    },
    // Squared error of the digits before the point of every number that has begun.
    length: () => tokenMean(sum(mul(begun, square(sub(length, constant(target.length, length.shape)))), 2)),
    // NLL of the sign of every number that has begun; a minus that was written twice is one minus.
    negative: () => {
      const isNegative = constant(target.negative, negative.shape);
      return tokenMean(sum(mul(begun, binaryNll(clamp(negative, 0, 1), isNegative)), 2));
    },
    // NLL of the operator classes, summed; those that were typed and have no operand yet are left out.
    operators: () => {
      const known = constant(
        target.operators.map((c) => (c < 0 ? 0 : 1)),
        priority.shape,
      );
      // Class 0 of a target is absent, which comes last among the probabilities.
      const classes = target.operators.map((c) => (c <= 0 ? 5 : c - 1));
      return tokenMean(sum(mul(known, classNll(operators, classes, priority.shape, 5)), 2));
    },
    // An operator that stands above another one has the lower priority.
    precedence: () => {
      const [B, T, K] = priority.shape as [number, number, number];
      const difference = sub(reshape(priority, [B, T, K, 1]), reshape(priority, [B, T, 1, K]));
      const above = constant(target.above, [B, T, K, K]);
      return tokenMean(sum(mul(above, softplus(affine(difference, 4))), [2, 3]));
    },
    // Squared error of the counter, wherever it is known.
    count: () => {
      const known = target.count.map((c, i) => (batch.valid[i] && c >= 0 ? 1 : 0));
      const error = square(sub(count, constant(target.count, count.shape)));
      return meanOver(error, constant(known, count.shape), tokens.counted);
    },
  };
}

/** −ln p of classes whose last is that nothing was written: x (…, C) → (…). */
function classNll(x: Tensor, target: ArrayLike<number>, shape: Shape, absent: number): Tensor {
  const written = distribution(x);
  const probabilities = cat([written, affine(sum(written, -1, true), -1, 1)], -1);
  const index = tensor(
    Int32Array.from(target, (c) => Math.min(c, absent)),
    shape,
  );
  return nll(gather(probabilities, index));
}

function binaryNll(p: Tensor, target: Tensor): Tensor {
  // p where the target is 1, else 1 − p.
  const right = add(mul(target, p), mul(affine(target, -1, 1), affine(p, -1, 1)));
  return nll(right);
}

function nll(p: Tensor): Tensor {
  return neg(log(clamp(p, EPSILON)));
}

/** Losses on the plan itself and on what it executes to. */
function planLosses(plan: () => DagTensorFields, batch: PrefixBatch, tokens: LossTokens): LossFunctions {
  const valid = constant(batch.valid, batch.shape, 'f64');
  const tokenMean = (x: Tensor): Tensor => meanOver(x, valid, tokens.valid);
  const target = (field: 'V_mag' | 'V_sign' | 'O' | 'G'): Tensor =>
    constant(batch.plan[field], plan()[field].shape, 'f64');
  return {
    // Huber of ln(1 + m): a relative error where magnitudes are large, an absolute one near zero.
    magnitude: () => tokenMean(perToken(huber(sub(log1p(plan().V_mag), log1p(target('V_mag')))))),
    sign: () =>
      tokenMean(perToken(binaryNll(affine(plan().V_sign, 0.5, 0.5), affine(target('V_sign'), 0.5, 0.5)))),
    operand: () => tokenMean(perToken(huber(sub(plan().O, target('O'))))),
    domain: () => tokenMean(perToken(binaryNll(plan().G, target('G')))),
    execution: () => executionLoss(plan(), batch, tokens.finite),
  };
}

/**
 * Huber of the difference between executed values and those that are right, on a signed logarithmic scale: the mean over
 * the `finite` tokens of a step that are valid and whose value is finite. A predicted 0/0 takes no part.
 */
export function executionLoss(
  plan: DagTensorFields,
  batch: Pick<PrefixBatch, 'shape' | 'valid' | 'values'>,
  finite: number,
): Tensor {
  const { V_mag, ...rest } = inDouble(plan);
  // The slope of mᵖ at 0 is infinite for 0 < p < 1, which soft coefficients are: a number that nobody wrote stays away from 0.
  const value = executeDag({ V_mag: clamp(V_mag, SMALLEST), ...rest }, { maxLog: MAX_LOG });
  const computed = value.dataSync();
  const takesPart = batch.values.map((v, i) =>
    batch.valid[i] && Number.isFinite(v) && !Number.isNaN(computed[i]) ? 1 : 0,
  );
  // Chosen, not multiplied by 0, which a NaN would survive.
  const chosen = gather(
    stack([constant(new Float64Array(value.size), batch.shape, 'f64'), value], 2),
    tensor(Int32Array.from(takesPart), batch.shape),
  );
  const expected = constant(
    batch.values.map((v, i) => (takesPart[i] ? v : 0)),
    batch.shape,
    'f64',
  );
  const difference = sub(signedLog(clamp(chosen, -LARGEST, LARGEST)), signedLog(expected));
  return meanOver(huber(difference), constant(takesPart, batch.shape, 'f64'), finite);
}

/** Smaller magnitudes count as this in the execution loss. */
const SMALLEST = 1e-6;

/** Executed values beyond this count as this in the execution loss. */
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

/** Sum of x (B, T) over the tokens of weight 1, divided by their number in the step. */
export function meanOver(x: Tensor, weights: Tensor, tokens: number): Tensor {
  return affine(sum(mul(x, weights)), 1 / Math.max(1, tokens));
}

export function constant(values: ArrayLike<number>, shape: Shape, dtype: 'f32' | 'f64' = 'f32'): Tensor {
  return tensor(values, shape, { dtype });
}

function inDouble({ V_mag, V_sign, O, G }: DagTensorFields): DagTensorFields {
  return { V_mag: cast(V_mag, 'f64'), V_sign: cast(V_sign, 'f64'), O: cast(O, 'f64'), G: cast(G, 'f64') };
}

/** Computed once, and only where it is asked for. */
function lazy<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}
