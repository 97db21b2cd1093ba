import type { DagTensorFields, Tensor } from '@dag/executor';
import type { ParameterBuilder } from '../gpt.js';
import type { ReadoutOps } from './array-ops.js';
import type { HardPlan } from './hard-plan.js';
import type { RegisterLayout } from './layout.js';
import type { ReadOptions } from './read-options.js';
import type { TokenFeatures } from './token-features.js';

/** Named tensors (B, T, …) that a readout predicts. */
export type Fields = Readonly<Record<string, Tensor>>;

/** The prediction of a plan predictor at every token, from which `plan` computes plans. */
export interface Prediction {
  /** Name of the readout that predicted it. */
  readonly readout: string;
  /** (B, T, …), or (B, 1, …) with `at`: the fields of that readout. */
  readonly fields: Fields;
}

/** All `TargetName`s. */
export const TARGET_NAMES = [
  ...(['valid', 'finite', 'decided'] as const),
  // Targets of decisions: classes in i32, −1 where a token does not count.
  ...(['decisions', 'nestings', 'completes'] as const),
  // The plan and its value, in f64.
  ...(['V_mag', 'V_sign', 'O', 'G', 'values'] as const),
] as const;

/**
 * Names of training targets. Each is a flat tensor of B·T tokens, row-major, which a loss reshapes. `valid`, `finite` and
 * `decided` are weights of a mean: 1/n at each of the n tokens that count (the prefix is an expression; its value is finite; what the
 * token decides is known), else 0. `decisions`, `nestings` and `completes` are of i32; `finite`, `V_mag`, `V_sign`, `O`, `G` and `values`
 * are of f64; `valid` and `decided` of f32.
 */
export type TargetName = (typeof TARGET_NAMES)[number];
/** Training targets by name. */
export type Targets = Readonly<Record<TargetName, Tensor>>;

/** A loss on the predictions of a readout. */
export interface ReadoutLoss<P> {
  /** The targets that it reads; others may be missing. */
  readonly targets: readonly TargetName[];
  /** The loss as a tensor of one element: a mean over tokens, weighted by `valid`, `finite` or `decided`. */
  compute(prediction: P, targets: Targets): Tensor;
}

/**
 * How plans are read from hidden states: in training by a differentiable function (`make`, then `plan`), at inference by `harden`, which
 * makes every decision. `harden` is written over `ReadoutOps`, so that tensors and exported ONNX graphs run the same code.
 */
export interface Readout<P extends Fields = Fields> {
  /** The value of `readout` in a configuration. */
  readonly name: string;
  /** Whether its numbers are limited to the layout's number of `digits`. */
  readonly holdsDigits: boolean;
  /** Whether its hard plans may have coefficients other than −1, 0 and 1. */
  readonly hasPowers: boolean;
  /** Whether `harden` may be given another layout in each call, as no weight depends on it; false where left out. */
  readonly fitsAnyLayout?: boolean;
  /** Losses on its predictions, by name. */
  readonly losses: Readonly<Record<string, ReadoutLoss<P>>>;
  /**
   * Default weights of losses, its own and those on every plan: `magnitude`, `sign`, `operand`, `domain`, `execution`. A loss that is left
   * out has weight 0.
   */
  readonly weights: Readonly<Record<string, number>>;
  /** The shape of each field of a prediction after (B, T). */
  fields(layout: RegisterLayout): { readonly [K in keyof P]: readonly number[] };
  /**
   * Makes the weights and returns the function that predicts: from hidden states (B, T, C) and the features of their tokens to fields
   * (B, T, …), or (B, 1, …) with `at`.
   *
   * @param width C.
   */
  make(
    width: number,
    layout: RegisterLayout,
    build: ParameterBuilder,
  ): (hidden: Tensor, features: TokenFeatures, options: ReadOptions) => P;
  /** The plan at every token, differentiable, in f32 or f64: V_mag, V_sign (B, T, 2D), O (B, T, D, 2D), G (B, T, D). */
  plan(prediction: P, layout: RegisterLayout): DagTensorFields;
  /**
   * The hard plans of the N tokens at which to predict (`ops.asked`), in f64. Exact when executed.
   *
   * @param hidden (B, T, C) in f32.
   */
  harden<T>(ops: ReadoutOps<T>, hidden: T, features: TokenFeatures<T>, layout: RegisterLayout): HardPlan<T>;
}
