import type { DagTensorFields, Tensor } from '@dag/executor';
import type { ParameterBuilder } from '../gpt.js';
import type { ReadoutOps } from './array-ops.js';
import type { HardPlan } from './hard-plan.js';
import type { HardFeatures } from './hard-registers.js';
import type { RegisterLayout } from './layout.js';
import type { ReadOptions } from './read-options.js';
import type { TokenFeatures } from './registers.js';

/** Tensors by name, (B, T, …) each. */
export type Fields = Readonly<Record<string, Tensor>>;

/** What a predictor says at every token, before a plan is read from it: what the readout of that name predicts. */
export interface Prediction {
  readonly readout: string;
  readonly fields: Fields;
}

/**
 * What is right at each of B·T tokens, row-major, as tensors (n) that a loss reshapes. `valid`, `counted` and `finite` are shares in a
 * mean: 1/n for each of n tokens that count (whose prefix is an expression; whose numbers can be counted; whose value is finite), else 0.
 */
export type TargetName =
  | ('valid' | 'counted' | 'finite')
  // Of registers: classes as i32, all else f32.
  | ('begun' | 'signs' | 'operatorClasses' | 'operatorsKnown' | 'above' | 'counts')
  // The plan, and what it executes to, in f64.
  | ('V_mag' | 'V_sign' | 'O' | 'G' | 'values');
export type Targets = Readonly<Record<TargetName, Tensor>>;

/** A loss on what a readout predicts. */
export interface ReadoutLoss<P> {
  /** What of the targets it reads; others need not be there. */
  readonly targets: readonly TargetName[];
  /** One element: a mean over the tokens that count, by `valid` or one of the other shares. */
  compute(prediction: P, targets: Targets): Tensor;
}

/**
 * How plans are read from hidden states: in training by a differentiable function, afterwards by one that makes every choice. The
 * second is written over `ReadoutOps`, so that tensors and exported ONNX graphs run the same.
 */
export interface Readout<P extends Fields = Fields> {
  /** What `readout` of a configuration says. */
  readonly name: string;
  /** Whether its numbers have room for `digits` digits of the layout; else they may have any number of them. */
  readonly holdsDigits: boolean;
  /** Whether coefficients of its hard plans may be others than −1, 0 and 1. */
  readonly hasPowers: boolean;
  /** Losses on its predictions, by name. */
  readonly losses: Readonly<Record<string, ReadoutLoss<P>>>;
  /**
   * Weights of losses where a configuration says nothing: of its own, and of those on any plan, `magnitude sign operand domain execution`.
   * Left out: 0.
   */
  readonly weights: Readonly<Record<string, number>>;
  /** Sizes of each field of a prediction after (B, T). */
  fields(layout: RegisterLayout): { readonly [K in keyof P]: readonly number[] };
  /**
   * Makes its weights, and gives the function that predicts: from hidden states (B, T, C), of the tokens that the features describe, to
   * fields (B, T, …), or (B, 1, …) with `at`.
   */
  make(
    width: number,
    layout: RegisterLayout,
    build: ParameterBuilder,
  ): (hidden: Tensor, features: TokenFeatures, options: ReadOptions) => P;
  /** The plan at every token, differentiable: V_mag, V_sign (B, T, 2D), O (B, T, D, 2D), G (B, T, D). */
  plan(prediction: P, layout: RegisterLayout): DagTensorFields;
  /** The plans of the N tokens that are asked, with every choice made: in double, exact when executed. `hidden` is (B, T, C) in f32. */
  harden<T>(ops: ReadoutOps<T>, hidden: T, features: HardFeatures<T>, layout: RegisterLayout): HardPlan<T>;
}
