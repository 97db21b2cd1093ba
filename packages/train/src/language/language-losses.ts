import {
  add,
  affine,
  crossEntropy,
  embedding,
  log,
  matmul,
  mul,
  narrow,
  neg,
  reshape,
  softmax,
  softplus,
  sub,
  sum,
  tensor,
  transpose,
  type Tensor,
} from '@dag/executor';
import { commasOf, meanOver, PLACE_CLASSES, predictionAt, type DagGpt } from '@dag/model';
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

/**
 * The enabled losses of a batch.
 * @param tokens Counts over the whole step, so that the losses of its micro-batches add up to those of the step.
 */
export function languageLosses(
  model: DagGpt,
  batch: LanguageBatch,
  weights: LossWeights,
  tokens: LanguageTokens,
  dropoutSeed: number | undefined,
): Losses {
  const { shape, expressions } = batch;
  const { hidden, gate, start, form, prediction } = model.forward(batch.tokens, shape, {
    dropoutSeed,
    expressions,
  });
  const own = languageTokens(batch);
  const functions: Record<string, LossFunctions[string]> = {};
  if (own.next > 0)
    functions['next'] = () => affine(model.textLoss(hidden, batch.targets), own.next / tokens.next);
  if (gate) {
    const asked = constant(shares(batch.gateKnown, tokens.asked));
    functions['gate'] = () => meanOver(binaryCrossEntropy(gate, batch.gate), asked);
  }
  if (start && form && expressions) {
    functions['start'] = () => startLoss(start, batch, expressions, tokens.written);
    functions['form'] = () => formLoss(form, expressions, tokens.written);
  }
  if (prediction && expressions) {
    Object.assign(
      functions,
      predictionLosses(
        model,
        prediction,
        lossTargets(expressions, prediction.readout, { ...weights, execution: 0 }, tokens),
      ),
    );
    functions['execution'] = () => {
      const { last, ...targets } = valuesAt(expressions, tokens.written);
      return executionLoss(model.plan(predictionAt(prediction, last)), targets);
    };
  }
  return weigh(functions, weights);
}

/** A logit whose softmax probability and gradient are exactly 0. */
const NEVER = -1e9;

/** Cross entropy of where the expressions of the values begin: at one of the tokens since the result before, the mean over `written` values. */
function startLoss(
  { query, key }: { readonly query: Tensor; readonly key: Tensor },
  { shape: [B, T], gate }: LanguageBatch,
  { shape: [M, L], index, last }: WorkedExpressions,
  written: number,
): Tensor {
  const { device } = query;
  const at = Int32Array.from(last, (l, m) => index[m * L + Math.max(0, l)]!);
  const bias = new Float32Array(M * T).fill(NEVER);
  const targets = new Int32Array(M).fill(-1);
  at.forEach((token, m) => {
    const column = token % T;
    let first = column;
    while (first > 0 && gate[token - column + first - 1] === 0) first--;
    bias.fill(0, m * T + first, m * T + column + 1);
    if (last[m]! >= 0) targets[m] = index[m * L]! % T;
  });
  const logits = reshape(affine(matmul(query, transpose(key)), 1 / Math.sqrt(query.shape[2]!)), [B * T, T]);
  const own = embedding(logits, tensor(at, [M], { dtype: 'i32', device }));
  const counted = targets.reduce((n, target) => n + Number(target >= 0), 0);
  return affine(
    crossEntropy(add(own, tensor(bias, [M, T], { device })), tensor(targets, [M], { dtype: 'i32', device })),
    counted / written,
  );
}

/** Keeps a logarithm finite where a probability underflows. */
const LEAST = 1e-30;

/**
 * −ln p of how the values are written: of the decimals, of which several classes may be right, and of commas and a blank; the mean over
 * `written` values.
 *
 * @param form (B, T, n) logits.
 */
function formLoss(form: Tensor, expressions: WorkedExpressions, written: number): Tensor {
  const { shape, index, last, places, grouped, spaced } = expressions;
  const [M, L] = shape;
  const n = form.shape[2]!;
  const at = Int32Array.from(last, (l, m) => index[m * L + Math.max(0, l)]!);
  const rows = tensor(at, [M], { dtype: 'i32', device: form.device });
  const logits = embedding(reshape(form, [form.size / n, n]), rows);
  const isReal = Uint8Array.from(last, (l) => Number(l >= 0));
  const ofRight = sum(
    mul(softmax(narrow(logits, 1, 0, PLACE_CLASSES)), reshape(constant(places), [M, PLACE_CLASSES])),
    1,
  );
  const decimals = meanOver(neg(log(affine(ofRight, 1, LEAST))), constant(shares(isReal, written)));
  const known = (classes: Int8Array): Uint8Array => Uint8Array.from(classes, (c) => Number(c >= 0));
  const ofBinary = (column: number, classes: Int8Array): Tensor => {
    const logit = reshape(narrow(logits, 1, PLACE_CLASSES + column, 1), [M]);
    const target = Uint8Array.from(classes, (c) => Number(c > 0));
    return meanOver(binaryCrossEntropy(logit, target), constant(shares(known(classes), written)));
  };
  const ofSize = (size: number): Int8Array =>
    grouped.map((c, m) => (commasOf(expressions.written[m]!) === size ? c : -1));
  return [ofBinary(0, ofSize(0)), ofBinary(1, ofSize(1)), ofBinary(2, spaced)].reduce(add, decimals);
}

/** Binary cross-entropy from logits: ln(1 + eˣ) − x·target. */
function binaryCrossEntropy(logit: Tensor, target: Uint8Array): Tensor {
  return sub(softplus(logit), mul(logit, reshape(constant(target), logit.shape)));
}

/** The written values, one per expression, and their weights in the mean over `written`. Padding rows have weight 0. */
function valuesAt({ last, written: values }: WorkedExpressions, written: number) {
  return {
    last: Array.from(last, (l) => Math.max(l, 0)),
    values: constant(finiteOrZero(values), 'f64'),
    finite: constant(
      shares(
        Uint8Array.from(values, (value) => Number(Number.isFinite(value))),
        written,
      ),
      'f64',
    ),
  };
}
