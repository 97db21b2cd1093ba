import type { RegisterLayout } from './layout.js';

/** At which tokens to predict. */
export interface ReadOptions {
  /** Token index per row at which to predict. Returns (B, 1, …) instead of (B, T, …); uses a fraction of the memory. */
  readonly at?: readonly number[] | undefined;
}

/** Options of `hardPlan`. */
export interface HardPlanOptions extends ReadOptions {
  /** Another layout than the model's, for a readout that `fitsAnyLayout`. */
  readonly layout?: RegisterLayout;
}
