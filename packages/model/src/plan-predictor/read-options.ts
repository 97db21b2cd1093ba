/** At which tokens to predict. */
export interface ReadOptions {
  /** Token index per row at which to predict. Returns (B, 1, …) instead of (B, T, …); uses a fraction of the memory. */
  readonly at?: readonly number[] | undefined;
}
