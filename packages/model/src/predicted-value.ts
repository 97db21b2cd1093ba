import type { DagTensors } from '@dag/tensorize';

/** The result of `PredictorModel.predict`. */
export interface PredictedValue {
  /** The text as it was given. */
  readonly text: string;
  /** The executed value of the predicted plan. */
  readonly value: number;
  /** The plan as an expression; '' where it has none (`expressionOf`). */
  readonly expression: string;
  /** The hard plan, one graph. Of a readout that `fitsAnyLayout` its depth is the smallest that the plan fits into. */
  readonly tensors: DagTensors;
  /**
   * How sure the model is that it reads the text right, from 0 to 1, by its `calibration` if it has one; null where its readout does not
   * say. Texts of a confidence below 0.5 are refused.
   */
  readonly confidence: number | null;
  /** Why the value may be wrong, in one sentence (see `PredictorModel.doubt`); null where no reason is known. */
  readonly doubt: string | null;
}

/** What a model makes of N texts. */
export interface PredictedPlans {
  /** N graphs. */
  readonly plans: DagTensors;
  /** (N) the value of each plan. */
  readonly values: Float64Array;
  /** (N) see `PredictedValue`. */
  readonly confidences: readonly (number | null)[];
  /** (N) why a text is refused, in one sentence; null where it is not. */
  readonly refusals: readonly (string | null)[];
  /** (N) whether a text is refused for its low confidence alone: its plan can be executed, and may be right. */
  readonly unsure: readonly boolean[];
}
