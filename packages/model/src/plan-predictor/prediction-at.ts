import { batchOf, checkAt } from './check-fields.js';
import { fieldNames } from './check-prediction.js';
import { atTokens } from './ops.js';
import type { Prediction } from './readout.js';

/** Of a prediction (B, T, …) that at token `at[b]` of each row b: everything (B, 1, …). */
export function predictionAt(prediction: Prediction, at: readonly number[]): Prediction {
  const picked = fieldNames(prediction).map((name) => {
    const x = prediction.fields[name]!;
    batchOf(`${name} of a prediction`, x);
    checkAt(at, x);
    return [name, atTokens(x, at)];
  });
  return { readout: prediction.readout, fields: Object.fromEntries(picked) };
}
