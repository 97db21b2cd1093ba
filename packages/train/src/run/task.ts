import type { Tensor } from '@dag/executor';
import type { Parameters } from '@dag/model';
import type { Checkpoint } from '../checkpoints/checkpoint.js';
import type { LossWeights } from '../config/losses.js';
import type { LossValues } from '../predictor/losses.js';

/** What the loop needs of a model. */
export interface Trainable {
  readonly parameters: Parameters;
  /** The same in parts whose gradients are clipped each by itself; one part where left out. */
  readonly parts?: readonly Parameters[];
  /** The file of its weights, one tensor after another: `model.safetensors` of a checkpoint. */
  savePieces(): Iterable<Uint8Array>;
}

/**
 * What a run trains: a model, a stream of micro-batches, the losses, and how the model is measured. `trainTask` runs it.
 *
 * @typeParam M The model.
 * @typeParam B A micro-batch.
 * @typeParam N How many tokens, or examples, take part in the losses of a micro-batch: counts by name.
 * @typeParam S What the model is like on data that was held out.
 */
export interface Task<M extends Trainable = Trainable, B = unknown, N extends object = object, S = unknown> {
  /** What it trains, as `kind` of a configuration: a run goes on only with checkpoints of the same kind. */
  readonly kind: string;
  /** The losses that there are, with their default weights; 0 is off. */
  readonly losses: LossWeights;
  /** A module whose default export makes micro-batch `index`, in worker threads that find `data` as their `workerData`. */
  readonly stream: { readonly worker: URL; readonly data: unknown };
  /** The model of a checkpoint, or a new one; called once, before the first step. */
  model(checkpoint: Checkpoint | null): M;
  /** How many tokens of a micro-batch take part in its losses. */
  counts(batch: B): N;
  /**
   * Adds the gradients of the losses of a micro-batch to those of the model, as `learnFrom` does, whose result it gives: that has to be
   * there until the next call.
   */
  learn(model: M, batch: B, step: StepOfTask<N>): LossValues;
  /** Measures the model on held-out data, which `seed` draws. */
  evaluate(model: M, seed: number): Evaluation<S> | Promise<Evaluation<S>>;
  /** An embedding of which only the rows that a batch reads have a gradient: ranks send each other no more than those. */
  readonly sparse?: { embedding(model: M): Tensor; reads(batch: B): Iterable<number> };
  /** Whether `model(null)` reads the weights that the configuration names, which are in no checkpoint. */
  readonly readsWeights?: boolean;
  /** Frees what `learn` keeps for its next calls. */
  release?(): void;
}

/** What `learn` is given besides a micro-batch. */
export interface StepOfTask<N> {
  /** Sums of `counts` over all micro-batches of the step: losses are means over these, so that those of the step are their sum. */
  readonly counts: N;
  readonly weights: LossWeights;
  /** No two micro-batches of a run have the same. */
  readonly dropoutSeed: number;
}

/** What a model is like on held-out data. */
export interface Evaluation<S> {
  readonly summary: S;
  /** By which checkpoints are compared: the better the higher. */
  readonly score: number;
  /** For the log. */
  readonly line: string;
  /** For `metrics.jsonl`. */
  readonly metrics: Readonly<Record<string, unknown>>;
}
