import { narrow, reshape, select, stack, type DagTensorFields, type Tensor } from '@dag/executor';
import type { Prediction } from './plan-predictor.js';
import type { Registers } from './registers.js';

/** The prediction at token `at[b]` of each row b: everything (B, 1, …). */
export function predictionAt(prediction: Prediction, at: readonly number[]): Prediction {
  const pick = (x: Tensor): Tensor => {
    const rows = at.map((t, b) => select(narrow(select(x, 0, b), 0, t, 1), 0, 0));
    return reshape(stack(rows, 0), [at.length, 1, ...x.shape.slice(2)]);
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
