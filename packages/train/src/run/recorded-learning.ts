import { recordStep, type RecordedStep, type Tensor } from '@dag/executor';
import type { LossWeights } from '../config/losses.js';
import { learnFrom, type Losses, type LossValues } from '../predictor/losses.js';
import type { Objective, StepOfTask, Trainable } from './task.js';

/** Tensors by name; those of a micro-batch that has none are left out. */
type Inputs<I> = { readonly [K in keyof I]: Tensor | undefined };

/**
 * `learn` and `release` of an objective whose steps are recorded, one for each combination of shapes of the inputs.
 *
 * @param isRecorded False where batches have too many shapes for that: steps are run as they are.
 * @param inputs Everything that changes from one micro-batch to the next.
 * @param losses What is learned; besides the inputs it depends on the model alone.
 */
export function recordedLearning<M extends Trainable, B, N extends object, I extends Inputs<I>>(
  isRecorded: boolean,
  inputs: (model: M, batch: B, step: StepOfTask<N>) => I,
  losses: (model: M, inputs: I, weights: LossWeights, dropoutSeed: Tensor | number) => Losses,
): Required<Pick<Objective<M, B, N>, 'learn' | 'release'>> {
  let recorded: RecordedStep<string, LossValues> | null = null;
  /** The model and the weights of `recorded`. */
  let of: readonly [M, string] | null = null;
  const release = (): void => {
    recorded?.release();
    recorded = null;
  };
  return {
    release,
    learn(model, batch, step) {
      const { weights, dropoutSeed } = step;
      const given = inputs(model, batch, step);
      if (!isRecorded) return learnFrom(losses(model, given, weights, dropoutSeed));
      const key = JSON.stringify(weights);
      if (of?.[0] !== model || of[1] !== key) release();
      of = [model, key];
      recorded ??= recordStep(({ dropoutSeed, ...rest }: Readonly<Record<string, Tensor>>) =>
        // Inputs have the names under which they are given.
        learnFrom(losses(model, rest as unknown as I, weights, dropoutSeed!)),
      );
      return recorded({ ...given, dropoutSeed });
    },
  };
}
