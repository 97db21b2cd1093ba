import type { NcclCommunicator } from '@dag/executor/cuda';

/** What the steps of a run need of the processes (ranks) that take them together. Every rank must make the same calls in the same order. */
export interface Ranks {
  /** Rank of this process, from 0. */
  readonly rank: number;
  readonly size: number;
  /** Replaces each value by its sum over all ranks: the same bits on every rank. */
  sumInPlace(values: Float32Array | Float64Array): Promise<void>;
  /** Sums tensors on the GPUs of the ranks; null or left out where they go through the host. */
  readonly gpus?: NcclCommunicator | null;
}

/** A single process. */
export const ONE_RANK: Ranks = { rank: 0, size: 1, sumInPlace: () => Promise.resolve() };
