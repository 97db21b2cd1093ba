import {
  add,
  affine,
  cast,
  crossEntropy,
  embedding,
  log,
  matmul,
  mul,
  narrow,
  neg,
  reshape,
  select,
  softmax,
  softplus,
  sub,
  sum,
  tensor,
  transpose,
  type Tensor,
} from '@dag/executor';
import {
  commasOf,
  meanOver,
  PLACE_CLASSES,
  predictionAt,
  type DagGpt,
  type DagGptInputs,
  type ForwardOptions,
  type NextTokens,
  type Targets,
} from '@dag/model';
import type { LossWeights } from '../config/losses.js';
import {
  constant,
  executionLoss,
  finiteOrZero,
  lossTargets,
  lossTokens,
  predictionLosses,
  shares,
  weigh,
  type LossFunctions,
  type Losses,
  type LossTokens,
} from '../predictor/losses.js';
import type { LanguageBatch, WorkedExpressions } from './language-stream.js';

/** Token counts by which the losses of a language model are divided; `LossTokens` count prefixes of expressions. */
export interface LanguageTokens extends LossTokens {
  /** Tokens with a next-token target. */
  readonly next: number;
  /** Tokens with a target of the gate. */
  readonly asked: number;
  /** Values that the executor writes. */
  readonly written: number;
}

export function languageTokens({ targets, gate, gateKnown, expressions }: LanguageBatch): LanguageTokens {
  const none = { valid: 0, finite: 0, decided: 0 };
  return {
    next: targets.reduce((n, id) => n + (id >= 0 ? 1 : 0), 0),
    asked: gateKnown.reduce((n, known) => n + known, 0),
    written: gate.reduce((n, open) => n + open, 0),
    ...(expressions ? lossTokens(expressions) : none),
  };
}

/** The inputs of the losses: everything that changes from one micro-batch to the next. Losses without their inputs are left out. */
export type LanguageInputs = DagGptInputs &
  Partial<NextTokens & GateInputs> &
  ((ValueInputs & Targets) | { readonly valueAt?: undefined });

interface GateInputs {
  /** (B·T) 1 where the executor's value is written next, and the weight of each token in the mean. */
  readonly gates: Tensor;
  readonly gateShares: Tensor;
}

/** Of M values that the executor writes, padding included. */
interface ValueInputs {
  /** (M) the token 0 … B·T − 1 before the value, of dtype i32, and its column in the expression, of dtype f64. */
  readonly valueAt: Tensor;
  readonly valueColumn: Tensor;
  /** (M, T) added to the logits of where the expression begins; (M) where it does, −1 for padding, of dtype i32. */
  readonly startBias: Tensor;
  readonly starts: Tensor;
  /** Weight of the mean of this batch in that of the step: one element of dtype f64. */
  readonly startShare: Tensor;
  /** (M, n) 1 for the classes of decimals that are right, and the weight of each value in the mean. */
  readonly places: Tensor;
  readonly placeShares: Tensor;
  /** (3, M) 1 for commas in a small number, in a large one, and a blank, and the weight of each value in their means. */
  readonly forms: Tensor;
  readonly formShares: Tensor;
  /** (M) the values, and their weights in the mean, of dtype f64. */
  readonly written: Tensor;
  readonly writtenShares: Tensor;
}

/** @param tokens Counts over the whole step, so that the losses of its micro-batches add up to those of the step. */
export function languageInputs(
  model: DagGpt,
  batch: LanguageBatch,
  weights: LossWeights,
  tokens: LanguageTokens,
): LanguageInputs {
  const { shape, targets, targetRows, expressions } = batch;
  const { readout, depth } = model.config;
  const text = {
    ...model.inputs(batch.tokens, shape, expressions),
    ...(targetRows > 0 ? model.nextTokens(targets, { of: tokens.next, size: targetRows }) : {}),
    ...(depth > 0 ? gateInputs(batch, tokens) : {}),
  };
  if (!expressions) return text;
  return {
    ...text,
    ...valueInputs(batch, expressions, tokens.written),
    ...lossTargets(expressions, readout, { ...weights, execution: 0 }, tokens),
  };
}

/** The enabled losses of a batch, by its inputs. */
export function languageLosses(
  model: DagGpt,
  inputs: LanguageInputs,
  weights: LossWeights,
  dropoutSeed?: ForwardOptions['dropoutSeed'],
): Losses {
  const { hidden, gate, start, form, prediction } = model.forwardInputs(inputs, { dropoutSeed });
  const { nextAt, next, nextShares, gates, gateShares } = inputs;
  const functions: Record<string, LossFunctions[string]> = {};
  if (nextAt && next && nextShares)
    functions['next'] = () => model.nextLoss(hidden, { nextAt, next, nextShares });
  if (gate && gates && gateShares)
    functions['gate'] = () => meanOver(binaryCrossEntropy(gate, gates), gateShares);
  if (start && form && prediction && inputs.valueAt) {
    functions['start'] = () => startLoss(start, inputs);
    functions['form'] = () => formLoss(form, inputs);
    Object.assign(functions, predictionLosses(model, prediction, inputs));
    functions['execution'] = () =>
      executionLoss(model.plan(predictionAt(prediction, inputs.valueColumn)), {
        values: inputs.written,
        finite: inputs.writtenShares,
      });
  }
  return weigh(functions, weights);
}

function gateInputs({ gate, gateKnown }: LanguageBatch, { asked }: LanguageTokens): GateInputs {
  return { gates: constant(gate), gateShares: constant(shares(gateKnown, asked)) };
}

function valueInputs(batch: LanguageBatch, expressions: WorkedExpressions, written: number): ValueInputs {
  const { shape, index, last, written: values } = expressions;
  const [M, L] = shape;
  const at = Int32Array.from(last, (l, m) => index[m * L + Math.max(0, l)]!);
  const isFinite = Uint8Array.from(values, (value) => Number(Number.isFinite(value)));
  return {
    valueAt: tensor(at, [M], { dtype: 'i32' }),
    valueColumn: constant(
      last.map((l) => Math.max(l, 0)),
      'f64',
    ),
    ...startInputs(batch, expressions, at, written),
    ...formInputs(expressions, written),
    written: constant(finiteOrZero(values), 'f64'),
    writtenShares: constant(shares(isFinite, written), 'f64'),
  };
}

/** A logit whose softmax probability and gradient are exactly 0. */
const NEVER = -1e9;

function startInputs(
  { shape: [, T], gate }: LanguageBatch,
  { shape: [M, L], index, last }: WorkedExpressions,
  at: Int32Array,
  written: number,
): Pick<ValueInputs, 'startBias' | 'starts' | 'startShare'> {
  const bias = new Float32Array(M * T).fill(NEVER);
  const starts = new Int32Array(M).fill(-1);
  at.forEach((token, m) => {
    const column = token % T;
    let first = column;
    while (first > 0 && gate[token - column + first - 1] === 0) first--;
    bias.fill(0, m * T + first, m * T + column + 1);
    if (last[m]! >= 0) starts[m] = index[m * L]! % T;
  });
  const counted = starts.reduce((n, start) => n + Number(start >= 0), 0);
  return {
    startBias: tensor(bias, [M, T]),
    starts: tensor(starts, [M], { dtype: 'i32' }),
    startShare: tensor([counted / written], [], { dtype: 'f64' }),
  };
}

/** Cross entropy of where the expressions of the values begin: at one of the tokens since the result before, the mean over the values of a step. */
function startLoss(
  { query, key }: { readonly query: Tensor; readonly key: Tensor },
  { valueAt, startBias, starts, startShare }: ValueInputs,
): Tensor {
  const [B, T, d] = query.shape as [number, number, number];
  const logits = reshape(affine(matmul(query, transpose(key)), 1 / Math.sqrt(d)), [B * T, T]);
  const loss = crossEntropy(add(embedding(logits, valueAt), startBias), starts);
  return mul(cast(loss, 'f64'), startShare);
}

/** Keeps a logarithm finite where a probability underflows. */
const LEAST = 1e-30;

function formInputs(
  { shape: [M], last, places, grouped, spaced, written: values }: WorkedExpressions,
  written: number,
): Pick<ValueInputs, 'places' | 'placeShares' | 'forms' | 'formShares'> {
  const ofSize = (size: number): Int8Array => grouped.map((c, m) => (commasOf(values[m]!) === size ? c : -1));
  // −1 where it is not known.
  const forms = Int8Array.of(...ofSize(0), ...ofSize(1), ...spaced);
  const isReal = Uint8Array.from(last, (l) => Number(l >= 0));
  const isKnown = Uint8Array.from(forms, (c) => Number(c >= 0));
  return {
    places: tensor(places, [M, PLACE_CLASSES]),
    placeShares: constant(shares(isReal, written)),
    forms: tensor(
      forms.map((c) => Number(c > 0)),
      [3, M],
      { dtype: 'f32' },
    ),
    formShares: tensor(shares(isKnown, written), [3, M], { dtype: 'f32' }),
  };
}

/**
 * −ln p of how the values are written: of the decimals, of which several classes may be right, and of commas and a blank; the mean over
 * the values of a step.
 *
 * @param form (B, T, n) logits.
 */
function formLoss(form: Tensor, { valueAt, places, placeShares, forms, formShares }: ValueInputs): Tensor {
  const n = form.shape[2]!;
  const logits = embedding(reshape(form, [form.size / n, n]), valueAt);
  const ofRight = sum(mul(softmax(narrow(logits, 1, 0, PLACE_CLASSES)), places), 1);
  const decimals = meanOver(neg(log(affine(ofRight, 1, LEAST))), placeShares);
  const ofBinary = (column: number): Tensor => {
    const logit = select(logits, 1, PLACE_CLASSES + column);
    return meanOver(binaryCrossEntropy(logit, select(forms, 0, column)), select(formShares, 0, column));
  };
  return [0, 1, 2].map(ofBinary).reduce(add, decimals);
}

/** Binary cross-entropy from logits: ln(1 + eˣ) − x·target. */
function binaryCrossEntropy(logit: Tensor, target: Tensor): Tensor {
  return sub(softplus(logit), mul(logit, reshape(target, logit.shape)));
}
