/**
 * `N` computation graphs of one depth `D`, row-major, one after another.
 *
 * A graph has `2·D` nodes: `0 … D−1` are *initial* (the numbers of the expression in order of appearance),
 * `D … 2D−1` are *intermediate* (the result of step `i` is node `D+i`). The value is the last node.
 *
 * One plan for many rows: `O` and `G` may hold a single graph while `V_mag` and `V_sign` hold `N` rows.
 */
export interface DagTensors {
  /** `D`: the number of initial nodes and of steps. */
  readonly depth: number;
  /** `N`: the number of graphs (rows). */
  readonly size: number;
  /** `(N, 2D)` magnitudes, ≥ 0. */
  readonly V_mag: Float64Array;
  /** `(N, 2D)` signs, ±1 (predictions: anywhere in [−1, 1]). */
  readonly V_sign: Float64Array;
  /** `(N, D, 2D)`, or `(1, D, 2D)` shared: operand coefficients; `O[i][j]` is zero for `j ≥ D+i`. */
  readonly O: Float64Array;
  /** `(N, D)`, or `(1, D)` shared: domain of a step, 1 = linear (+ −), 0 = log (× ÷). */
  readonly G: Float64Array;
}
