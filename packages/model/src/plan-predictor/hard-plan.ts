/** The fields of N hard plans in f64: V_mag, V_sign (N, 2D), O (N, D, 2D), G (N, D); of some readouts also whether to trust them. */
export interface HardPlan<T> {
  readonly V_mag: T;
  readonly V_sign: T;
  readonly O: T;
  readonly G: T;
  /** (N) why the text cannot be read, as an index of `FAULTS`; 0 where it can. */
  readonly fault?: T;
  /** (N) probability that the text up to there is a whole expression. */
  readonly complete?: T;
  /** (N) product of the probabilities of all decisions up to there and of `complete`, before calibration (`PredictorConfig.calibration`). */
  readonly confidence?: T;
}
