import { abs, mul, reshape, sigmoid, tanh, tensor, type DagTensorFields, type Tensor } from '@dag/executor';
import { Linear, type ParameterBuilder } from '../gpt.js';
import { constant, finiteValues } from './ops.js';

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
    return {
      V_mag: abs(this.magnitude.forward(hidden)),
      V_sign: tanh(this.sign.forward(hidden)),
      O: mul(reshape(this.operand.forward(hidden), [B, T, D, 2 * D]), causalMask(D, hidden)),
      G: sigmoid(this.domain.forward(hidden)),
    };
  }
}

/** (D, 2D): 1 where step i may read node j, j < D+i. */
function causalMask(D: number, like: Tensor): Tensor {
  const mask = Array.from({ length: 2 * D * D }, (_, n) =>
    n % (2 * D) < D + Math.floor(n / (2 * D)) ? 1 : 0,
  );
  return constant(mask, [D, 2 * D], like);
}

/** Each coefficient and gate at the nearest whole number, each sign at ±1; magnitudes as they are. In double, no gradient. */
export function hardenPlan(plan: DagTensorFields): DagTensorFields {
  const mapped = (x: Tensor, f: (v: number) => number): Tensor =>
    tensor(Float64Array.from(finiteValues(x), f), x.shape, { device: x.device });
  return {
    V_mag: mapped(plan.V_mag, (v) => v),
    V_sign: mapped(plan.V_sign, (s) => (s < 0 ? -1 : 1)),
    O: mapped(plan.O, (c) => Math.round(c) + 0),
    G: mapped(plan.G, Math.round),
  };
}
