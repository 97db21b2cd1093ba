import { abs, mul, reshape, sigmoid, tanh, type DagTensorFields, type Tensor } from '@dag/executor';
import { Linear, type ParameterBuilder } from '../gpt.js';
import type { ArrayOps } from './array-ops.js';
import type { HardPlan } from './hard-plan.js';
import { constant } from './ops.js';

/** The baseline of nanoGPT-DAG: one linear layer each for V_mag, V_sign, O and G, regressed from the hidden state. */
export class LinearReadout {
  private readonly depth: number;
  private readonly magnitude: Linear;
  private readonly sign: Linear;
  private readonly operand: Linear;
  private readonly domain: Linear;

  constructor(name: string, width: number, depth: number, build: ParameterBuilder) {
    this.depth = depth;
    this.magnitude = new Linear(`${name}.V_mag`, width, 2 * depth, true, build);
    this.sign = new Linear(`${name}.V_sign`, width, 2 * depth, true, build);
    this.operand = new Linear(`${name}.O`, width, 2 * depth * depth, true, build);
    this.domain = new Linear(`${name}.G`, width, depth, true, build);
  }

  /** hidden (B, T, C) → V_mag ≥ 0, V_sign in [−1, 1] (B, T, 2D), O (B, T, D, 2D) with zeros at j ≥ D+i, G in [0, 1] (B, T, D). */
  forward(hidden: Tensor): DagTensorFields {
    const D = this.depth;
    const [B, T] = hidden.shape as [number, number];
    const { V_mag, V_sign, O, G } = this.outputs(hidden);
    return {
      V_mag: abs(V_mag),
      V_sign: tanh(V_sign),
      O: mul(reshape(O, [B, T, D, 2 * D]), constant(causal(D), [D, 2 * D], hidden)),
      G: sigmoid(G),
    };
  }

  /** What the layers say, before it is held to its range: (B, T, 2D), (B, T, 2D), (B, T, 2D²), (B, T, D). */
  outputs(hidden: Tensor): DagTensorFields {
    return {
      V_mag: this.magnitude.forward(hidden),
      V_sign: this.sign.forward(hidden),
      O: this.operand.forward(hidden),
      G: this.domain.forward(hidden),
    };
  }
}

/** (D, 2D): 1 where step i may read node j, j < D+i. */
const causal = (D: number): number[] =>
  Array.from({ length: 2 * D * D }, (_, n) => Number(n % (2 * D) < D + Math.floor(n / (2 * D))));

/** Added to a double of less than 2^51 it leaves no bits for a fraction: the nearest whole number, the even one of two. */
const ROUNDING = 1.5 * 2 ** 52;

/**
 * Each coefficient at the nearest whole number, each gate and sign at the nearer of its two values; magnitudes as they are.
 *
 * @param outputs What each of the layers says of N tokens: V_mag, V_sign (N, 2D), O (N, 2D²), G (N, D).
 */
export function hardLinearPlan<T>(ops: ArrayOps<T>, outputs: HardPlan<T>, D: number): HardPlan<T> {
  const isPositive = (x: T): T => ops.atLeast(x, ops.f64(0));
  const mask = ops.f64(causal(D), [D, 2 * D]);
  const shift = ops.f64(ROUNDING);
  const rounded = (x: T): T => ops.sub(ops.add(x, shift), shift);
  return {
    V_mag: ops.abs(outputs.V_mag),
    V_sign: ops.sub(ops.mul(ops.f64(2), isPositive(outputs.V_sign)), ops.f64(1)),
    O: rounded(ops.mul(ops.reshape(outputs.O, [-1, D, 2 * D]), mask)),
    G: isPositive(outputs.G),
  };
}
