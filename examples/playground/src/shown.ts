import { execute, executeWithGradients, type DagGradients } from '@dag/executor';
import { expressionOf, type PredictorModel, type PrefixPrediction } from '@dag/model';
import { planGraph, type PlanGraph } from '@dag/tensorize/draw';
import type { DagTensors } from '@dag/tensorize';
import { read, type Reading } from './reading.js';
import { problemOf } from './problem.js';
import { OF_PLAN, type State } from './state.js';

/** What follows from the state: the plan that is shown, with its values and gradients. */
export interface Shown {
  /** The state, without what belongs to another plan than that which is shown. */
  readonly state: State;
  readonly reading: Reading;
  /** Of the token that is shown; null where there is no plan. */
  readonly plan: ShownPlan | null;
}

/** A plan as predicted; the nodes that the tokens of an expression write, and why it would be refused. */
export type Predicted = Pick<PrefixPrediction, 'tensors'> &
  Partial<Pick<PrefixPrediction, 'nodes' | 'refusal'>>;

export interface ShownPlan {
  /** The token up to which the text is read, or of what is written the number that is computed. */
  readonly token: number;
  readonly isLast: boolean;
  readonly prediction: Predicted;
  /** As predicted or as edited. */
  readonly tensors: DagTensors;
  readonly value: number;
  readonly graph: PlanGraph;
  readonly gradients: DagGradients;
  /** '' where the plan is between expressions. */
  readonly expression: string;
}

export function shownOf(model: PredictorModel, state: State): Shown {
  const reading = read(model, state.text);
  if (!reading.prefixes) return { state, reading, plan: null };
  const last = reading.prefixes.tokens.length - 1;
  const chosen = Math.min(state.token ?? last, last);
  const token = Math.min(state.pointed ?? chosen, last);
  const own = token === chosen ? state : { ...state, ...OF_PLAN };
  try {
    return { state: own, reading, plan: planOf(own, reading.prefixes.at(token), token, last) };
  } catch (error) {
    return { state, reading: { prefixes: null, problem: problemOf(error) }, plan: null };
  }
}

/** A plan, as edited where it is, with what is computed of it. */
export function planOf({ edited }: State, prediction: Predicted, token: number, last: number): ShownPlan {
  const tensors = edited ?? prediction.tensors;
  const gradients = executeWithGradients(tensors);
  return {
    ...{ token, isLast: token === last, prediction, tensors, gradients, value: gradients.values[0]! },
    ...{ graph: planGraph(tensors, execute), expression: expressionOf(tensors) },
  };
}
