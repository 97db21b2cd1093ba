import { checkAt } from './check-fields.js';
import { predictionBatch } from './check-prediction.js';
import { atTokens } from './ops.js';
import type { Prediction } from './readout.js';

/** Of a prediction (B, T, …) that at token `at[b]` of each row b: everything (B, 1, …). */
export function predictionAt(prediction: Prediction, at: readonly number[]): Prediction {
  checkAt(at, predictionBatch(prediction));
  const fields = Object.entries(prediction.fields).map(([name, x]) => [name, atTokens(x, at)]);
  return { readout: prediction.readout, fields: Object.fromEntries(fields) };
}
