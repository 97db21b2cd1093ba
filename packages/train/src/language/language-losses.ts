import { affine, mul, reshape, softplus, sub, type Tensor } from '@dag/executor';
import { meanOver, predictionAt, type DagGpt } from '@dag/model';
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
  const { hidden, gate, start, prediction } = model.forward(batch.tokens, shape, {
    dropoutSeed,
    expressions,
  });
  const own = languageTokens(batch);
  const functions: Record<string, LossFunctions[string]> = {};
  if (own.next > 0)
    functions['next'] = () => affine(model.textLoss(hidden, batch.targets), own.next / tokens.next);
  if (gate && start) {
    const asked = constant(shares(batch.gateKnown, tokens.asked));
    functions['gate'] = () => meanOver(binaryCrossEntropy(gate, batch.gate), asked);
    functions['start'] = () => meanOver(binaryCrossEntropy(start, batch.starts), asked);
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
