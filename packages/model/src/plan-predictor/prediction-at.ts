import { embedding, reshape, tensor, type DagTensorFields, type Tensor } from '@dag/executor';
import type { Prediction } from './plan-predictor.js';
import type { Registers } from './registers.js';

/** Of a prediction (B, T, …) that at token `at[b]` of each row b: everything (B, 1, …). */
export function predictionAt(prediction: Prediction, at: readonly number[]): Prediction {
  const pick = (x: Tensor): Tensor => {
    const [B, T, ...rest] = x.shape as [number, number, ...number[]];
    const width = rest.reduce((a, b) => a * b, 1);
    const rows = Int32Array.from(at, (t, b) => b * T + t);
    const picked = embedding(reshape(x, [B * T, width]), tensor(rows, [at.length], { device: x.device }));
    return reshape(picked, [at.length, 1, ...rest]);
  };
  if (prediction.readout === 'linear') {
    const { V_mag, V_sign, O, G } = prediction.plan;
    const plan: DagTensorFields = { V_mag: pick(V_mag), V_sign: pick(V_sign), O: pick(O), G: pick(G) };
    return { readout: 'linear', plan };
  }
  const { digits, length, negative, operators, priority, count } = prediction.registers;
  const registers: Registers = {
    digits: pick(digits),
    length: pick(length),
    negative: pick(negative),
    operators: pick(operators),
    priority: pick(priority),
    count: pick(count),
  };
  return { readout: 'registers', registers };
}
