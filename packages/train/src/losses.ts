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
import { distribution, type PredictorModel, type Prediction, type Registers } from '@dag/model';
import { PLAN_LOSSES, REGISTER_LOSSES, type TrainConfig } from './config.js';
import type { Batch } from './data/stream.js';

export type LossName = (typeof PLAN_LOSSES)[number] | (typeof REGISTER_LOSSES)[number];

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

/**
 * The enabled losses of a prediction: each a mean over the tokens whose prefix is an expression; other tokens take
 * no part. See the package's README for the formulas.
 */
export function computeLosses(
  model: PredictorModel,
  prediction: Prediction,
  batch: Batch,
  config: TrainConfig['losses'],
): Losses {
  const parts = new Map<LossName, Tensor>();
  const functions: Partial<Record<LossName, () => Tensor>> = {
    ...(prediction.readout === 'registers' ? registerLosses(prediction.registers, batch) : {}),
    ...planLosses(
      lazy(() => inDouble(model.plan(prediction))),
      batch,
    ),
  };
  for (const [name, compute] of Object.entries(functions) as [LossName, () => Tensor][])
    if (config[name].enabled) parts.set(name, cast(compute(), 'f32'));
  const weighted = [...parts].map(([name, part]) => affine(part, config[name].weight));
  return { total: weighted.reduce(add), parts };
}

/** Losses on what the tokens wrote. */
function registerLosses(registers: Registers, batch: Batch): Partial<Record<LossName, () => Tensor>> {
  const { digits, length, negative, operators, priority, count } = registers;
  const { registers: target } = batch;
  const valid = constant(batch.valid, count.shape);
  const begun = constant(target.begun, length.shape);
  return {
    // NLL of the digit classes, the mean over all registers.
    digits: () => {
      const nll = classNll(digits, target.digits, digits.shape.slice(0, -1), 10);
      return tokenMean(affine(sum(nll, [2, 3]), 1 / (digits.shape[2]! * digits.shape[3]!)), valid);
    },
    // Squared error of the digits before the point of every number that has begun.
    length: () =>
      tokenMean(sum(mul(begun, square(sub(length, constant(target.length, length.shape)))), 2), valid),
    // NLL of the sign of every number that has begun; a minus that was written twice is one minus.
    negative: () => {
      const isNegative = constant(target.negative, negative.shape);
      return tokenMean(sum(mul(begun, binaryNll(clamp(negative, 0, 1), isNegative)), 2), valid);
    },
    // NLL of the operator classes, summed; those that were typed and have no operand yet are left out.
    operators: () => {
      const known = constant(
        target.operators.map((c) => (c < 0 ? 0 : 1)),
        priority.shape,
      );
      // Class 0 of a target is absent, which comes last among the probabilities.
      const classes = target.operators.map((c) => (c <= 0 ? 5 : c - 1));
      return tokenMean(sum(mul(known, classNll(operators, classes, priority.shape, 5)), 2), valid);
    },
    // An operator that stands above another one has the lower priority.
    precedence: () => {
      const [B, T, K] = priority.shape as [number, number, number];
      const difference = sub(reshape(priority, [B, T, K, 1]), reshape(priority, [B, T, 1, K]));
      const above = constant(target.above, [B, T, K, K]);
      return tokenMean(sum(mul(above, softplus(affine(difference, 4))), [2, 3]), valid);
    },
    // Squared error of the counter, wherever it is known.
    count: () => {
      const known = target.count.map((c, i) => (batch.valid[i] && c >= 0 ? 1 : 0));
      return tokenMean(square(sub(count, constant(target.count, count.shape))), constant(known, count.shape));
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
function planLosses(plan: () => DagTensorFields, batch: Batch): Partial<Record<LossName, () => Tensor>> {
  const valid = constant(batch.valid, batch.shape, 'f64');
  const target = (field: 'V_mag' | 'V_sign' | 'O' | 'G'): Tensor =>
    constant(batch.plan[field], plan()[field].shape, 'f64');
  return {
    // Huber of ln(1 + m): a relative error where magnitudes are large, an absolute one near zero.
    magnitude: () => tokenMean(perToken(huber(sub(log1p(plan().V_mag), log1p(target('V_mag'))))), valid),
    sign: () =>
      tokenMean(
        perToken(binaryNll(affine(plan().V_sign, 0.5, 0.5), affine(target('V_sign'), 0.5, 0.5))),
        valid,
      ),
    operand: () => tokenMean(perToken(huber(sub(plan().O, target('O')))), valid),
    domain: () => tokenMean(perToken(binaryNll(plan().G, target('G'))), valid),
    // Huber of the difference on a signed logarithmic scale; targets that are not finite take no part, nor does 0/0.
    execution: () => {
      const value = executeDag(plan(), { maxLog: MAX_LOG });
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
      return tokenMean(huber(difference), constant(takesPart, batch.shape, 'f64'));
    },
  };
}

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

/** Mean of x (B, T) over the tokens of weight 1. */
function tokenMean(x: Tensor, weights: Tensor): Tensor {
  let count = 0;
  for (const w of weights.dataSync()) count += w;
  return affine(sum(mul(x, weights)), 1 / Math.max(1, count));
}

function constant(values: ArrayLike<number>, shape: Shape, dtype: 'f32' | 'f64' = 'f32'): Tensor {
  return tensor(values, shape, { dtype });
}

function inDouble({ V_mag, V_sign, O, G }: DagTensorFields): DagTensorFields {
  return { V_mag: cast(V_mag, 'f64'), V_sign: cast(V_sign, 'f64'), O: cast(O, 'f64'), G: cast(G, 'f64') };
}

function lazy<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}
