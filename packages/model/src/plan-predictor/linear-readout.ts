import { abs, mul, reshape, sigmoid, tanh, type DagTensorFields, type Tensor } from '@dag/executor';
import { Linear } from '../gpt.js';
import { atTokens, constant } from './ops.js';
import type { Readout } from './readout.js';

/** What the readout `linear` predicts: the fields of a plan, one matrix each. */
export type LinearFields = { readonly [K in keyof DagTensorFields]: Tensor };

/** The baseline of nanoGPT-DAG: one linear layer each for V_mag, V_sign, O and G, regressed from the hidden state. */
export const linearReadout: Readout<LinearFields> = {
  name: 'linear',
  holdsDigits: false,
  hasPowers: true,
  losses: {},
  weights: { magnitude: 1, sign: 1, operand: 1, domain: 1, execution: 0.1 },

  fields: ({ depth: D }) => ({ V_mag: [2 * D], V_sign: [2 * D], O: [D, 2 * D], G: [D] }),

  make(width, { depth: D }, build) {
    const magnitude = new Linear('plan.V_mag', width, 2 * D, true, build);
    const sign = new Linear('plan.V_sign', width, 2 * D, true, build);
    const operand = new Linear('plan.O', width, 2 * D * D, true, build);
    const domain = new Linear('plan.G', width, D, true, build);
    return (hidden, _, { at }) => {
      const x = at ? atTokens(hidden, at) : hidden;
      const [B, T] = x.shape as [number, number];
      const coefficients = reshape(operand.forward(x), [B, T, D, 2 * D]);
      return {
        V_mag: abs(magnitude.forward(x)),
        V_sign: tanh(sign.forward(x)),
        O: mul(coefficients, constant(causal(D), [D, 2 * D], x)),
        G: sigmoid(domain.forward(x)),
      };
    };
  },

  plan: (fields) => fields,

  /** Rounds coefficients to whole numbers, and gates and signs to the nearer of their two values; magnitudes stay. */
  harden(ops, hidden, _, { depth: D }) {
    const output = (name: string, width: number) =>
      ops.reshape(ops.double(ops.linear(`plan.${name}`, ops.asked(hidden))), [-1, width]);
    const one = ops.f64(1);
    const isPositive = (x: typeof hidden) => ops.atLeast(x, ops.f64(0));
    const sign = isPositive(output('V_sign', 2 * D));
    const shift = ops.f64(ROUNDING);
    const O = ops.mul(ops.reshape(output('O', 2 * D * D), [-1, D, 2 * D]), ops.f64(causal(D), [D, 2 * D]));
    return {
      V_mag: ops.abs(output('V_mag', 2 * D)),
      V_sign: ops.sub(ops.add(sign, sign), one),
      O: ops.sub(ops.add(O, shift), shift),
      G: isPositive(output('G', D)),
    };
  },
};

/** Adding and subtracting this rounds a double below 2^51 to the nearest whole number, ties to even: no bits remain for a fraction. */
const ROUNDING = 1.5 * 2 ** 52;

/** (D, 2D): 1 where step i may read node j, j < D+i. */
const causal = (D: number): number[] =>
  Array.from({ length: 2 * D * D }, (_, n) => Number(n % (2 * D) < D + Math.floor(n / (2 * D))));
