import { execute } from '@dag/executor';
import type { DagTensors } from '@dag/tensorize';
import { isWhole, named } from './arguments.js';
import { calibrated } from './calibration.js';
import type { Reader } from './doubt.js';
import { ModelError } from './error.js';
import { decidedNodes, type SureDecisions } from './plan-predictor/decisions-readout.js';
import { DECISIONS, NESTING } from './reading/decisions.js';
import { judge, smallestPlan, type Judged } from './refusal.js';

/** What a model makes of a text at every token. T is the number of tokens. */
export interface PrefixPredictions {
  /** (T) texts of the tokens. Together they are the text as the model reads it (`Tokenizer.read`). */
  readonly tokens: readonly string[];
  /** (T) what each token decides; null where the readout makes no decisions that have names. */
  readonly decisions: readonly TokenDecision[] | null;
  /** (T) `confidence` of the text up to each token; null where the readout does not say. */
  readonly confidences: readonly number[] | null;
  /**
   * The prediction for tokens 0 … t. Results are kept.
   *
   * @throws {ModelError} `bad-input` unless t is a whole number in 0 … T − 1.
   */
  at(t: number): PrefixPrediction;
}

/** What one token decides. */
export interface TokenDecision {
  /** What it writes: a name of `DECISIONS`, such as `add` or `none`. */
  readonly writes: string;
  /** By how much it changes the depth of nesting. */
  readonly nesting: number;
  /** Probability that both are right. */
  readonly certainty: number;
}

/** The prediction for the beginning of a text. */
export interface PrefixPrediction {
  /** The hard plan, one graph; of a readout that `fitsAnyLayout` with the smallest depth that it fits into. */
  readonly tensors: DagTensors;
  readonly value: number;
  readonly confidence: number | null;
  /** Why `predict` would refuse these tokens as a text, in one sentence; null where it would not. */
  readonly refusal: string | null;
  /**
   * For each of the tokens the node of `tensors` that it writes: that of its number, or the result of its operator's step; −1 where it
   * writes none. null where the readout does not say.
   */
  readonly nodes: readonly number[] | null;
}

/** @param read the plan of tokens 0 … t. */
export function prefixPredictions(
  ids: readonly number[],
  decided: SureDecisions | null,
  model: Reader,
  read: (t: number) => { readonly plan: DagTensors; readonly judged: Judged | null },
): PrefixPredictions {
  const { tokenizer } = model;
  const made = new Map<number, PrefixPrediction>();
  const predict = (t: number): PrefixPrediction => {
    const { plan, judged } = read(t);
    const tensors = judged ? smallestPlan(plan) : plan;
    const said = judged && judge([tokenizer.decode(ids.slice(0, t + 1))], [judged], model);
    let nodes: readonly number[] | null = null;
    return {
      ...{ tensors, value: execute(plan)[0]! },
      ...{ confidence: said && said.confidences[0]!, refusal: said && said.refusals[0]! },
      get nodes() {
        return (nodes ??= decided && nodesOf(decided, t, plan.depth, tensors.depth, model));
      },
    };
  };
  return {
    tokens: ids.map((id) => tokenizer.decode([id])),
    decisions:
      decided &&
      decided.certainties.map((certainty, t) => ({
        writes: DECISIONS[decided.decisions[t]!]!,
        nesting: NESTING[decided.nestings[t]!]!,
        certainty,
      })),
    confidences:
      decided && decided.confidences.map((confidence) => calibrated(confidence, model.config.calibration)),
    at(t) {
      if (!isWhole(t, ids.length))
        throw new ModelError('bad-input', `a token of this text is 0 … ${ids.length - 1}, given ${named(t)}`);
      const known = made.get(t) ?? predict(t);
      made.set(t, known);
      return known;
    },
  };
}

/** The nodes that tokens 0 … t write, of a plan of another depth. */
function nodesOf(decided: SureDecisions, t: number, from: number, to: number, model: Reader): number[] {
  const { records, decisions, nestings } = decided;
  const nodes = decidedNodes(
    {
      records: records.slice(0, t + 1),
      decisions: Array.from(decisions).slice(0, t + 1),
      nestings: Array.from(nestings).slice(0, t + 1),
    },
    { depth: from, digits: model.config.digits },
  );
  return nodes.map((node) => (node < from ? (node < to ? node : -1) : to + Math.min(node - from, to - 1)));
}
