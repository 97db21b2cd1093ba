import type { Tensor } from '@dag/executor';
import type { Parameters } from '@dag/model';
import type { Checkpoint } from '../checkpoints/checkpoint.js';
import type { LossWeights } from '../config/losses.js';
import type { LossValues } from '../predictor/losses.js';

/** The interface that a model must have to be trained. */
export interface Trainable {
  readonly parameters: Parameters;
  /** Groups of the parameters whose gradient norms are clipped separately; default: one group of all. */
  readonly parts?: readonly Parameters[];
  /** The bytes of `model.safetensors` of a checkpoint, in pieces. */
  savePieces(): Iterable<Uint8Array>;
}

/**
 * What a model learns from micro-batches, and how it is measured.
 *
 * @typeParam M The model.
 * @typeParam B A micro-batch.
 * @typeParam N Counts by name: how many tokens or examples of a micro-batch take part in its losses.
 * @typeParam S The summary of an evaluation on held-out data.
 */
export interface Objective<
  M extends Trainable = Trainable,
  B = unknown,
  N extends object = object,
  S = unknown,
> {
  /** Names the task; stored as `kind` in checkpoints. A run can only be resumed from checkpoints of the same kind. */
  readonly kind: string;
  /** The losses of the task with their default weights; 0 is off. */
  readonly losses: LossWeights;
  /** How many tokens or examples of a micro-batch take part in its losses. */
  counts(batch: B): N;
  /**
   * Adds the gradients of the losses of a micro-batch to those of the model, and returns the losses, as `learnFrom` does. The returned
   * tensor must stay valid until the next call.
   */
  learn(model: M, batch: B, step: StepOfTask<N>): LossValues;
  /** Measures the model on held-out data drawn with `seed`. */
  evaluate(model: M, seed: number): Evaluation<S> | Promise<Evaluation<S>>;
  /** An embedding that has gradients only in the rows that a batch `reads`: ranks send each other only those rows. */
  readonly sparse?: {
    /** The embedding, (rows, width). */
    embedding(model: M): Tensor;
    /** The rows that a batch reads; each may be named several times. */
    reads(batch: B): Iterable<number>;
  };
  /** Frees what `learn` keeps between calls. */
  release?(): void;
}

/** What a run trains: a model, a stream of micro-batches, and what is learned from them. `trainTask` runs it. */
export interface Task<
  M extends Trainable = Trainable,
  B = unknown,
  N extends object = object,
  S = unknown,
> extends Objective<M, B, N, S> {
  /** `worker`: a module whose default export `(index) => batch` runs in worker threads, with `data` as their `workerData`. */
  readonly stream: { readonly worker: URL; readonly data: unknown };
  /** Loads the model of a checkpoint, or makes a new one for null. Called once, before the first step. */
  model(checkpoint: Checkpoint | null): M;
  /** Whether `model(null)` itself loads the weights that the configuration names, because they are not in a checkpoint. */
  readonly readsWeights?: boolean;
}

/** The arguments of `learn` besides a micro-batch. */
export interface StepOfTask<N> {
  /** Sums of `counts` over all micro-batches of the step. Divide losses by these, so that the micro-batches' losses sum to the step's loss. */
  readonly counts: N;
  readonly weights: LossWeights;
  /** Different for each micro-batch of a run. */
  readonly dropoutSeed: number;
}

/** The result of an evaluation on held-out data. */
export interface Evaluation<S> {
  readonly summary: S;
  /** Used to compare checkpoints; higher is better. */
  readonly score: number;
  /** One line for the log. */
  readonly line: string;
  /** Written to `metrics.jsonl` under `heldOut`. */
  readonly metrics: Readonly<Record<string, unknown>>;
}
