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

export interface ShownPlan {
  readonly token: number;
  readonly isLast: boolean;
  readonly prediction: PrefixPrediction;
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
    const prediction = reading.prefixes.at(token);
    const tensors = own.edited ?? prediction.tensors;
    const gradients = executeWithGradients(tensors);
    const [graph, expression] = [planGraph(tensors, execute), expressionOf(tensors)];
    const value = gradients.values[0]!;
    return {
      state: own,
      reading,
      plan: { token, isLast: token === last, prediction, tensors, value, graph, gradients, expression },
    };
  } catch (error) {
    return { state, reading: { prefixes: null, problem: problemOf(error) }, plan: null };
  }
}
