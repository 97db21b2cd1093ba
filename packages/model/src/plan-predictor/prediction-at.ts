import type { DagTensorFields, Tensor } from '@dag/executor';
import { checkAt, checkPrediction } from './check-prediction.js';
import { atTokens } from './ops.js';
import type { Prediction } from './plan-predictor.js';
import type { Registers } from './registers.js';

/** Of a prediction (B, T, …) that at token `at[b]` of each row b: everything (B, 1, …). */
export function predictionAt(prediction: Prediction, at: readonly number[]): Prediction {
  checkPrediction(prediction);
  checkAt(at, prediction.readout === 'linear' ? prediction.plan.G : prediction.registers.count);
  const pick = (x: Tensor): Tensor => atTokens(x, at);
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
