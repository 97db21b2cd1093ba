import type { Tensor } from '@dag/executor';
import { isTensor } from '../arguments.js';
import { batchOf, checkAt } from './check-fields.js';
import { fieldNames } from './check-prediction.js';
import { atTokens } from './ops.js';
import type { Prediction } from './readout.js';

/**
 * A prediction (B, T, …) at token `at[b]` of each row b: fields (B, 1, …). In a recorded step `at` is a tensor (B) of f64 with whole
 * numbers 0 … T−1, which are not checked.
 *
 * @throws {ModelError} `bad-input` unless `at` has a token of 0 … T−1 for each row; `shape` for fields that are not (B, T, …).
 */
export function predictionAt(prediction: Prediction, at: readonly number[] | Tensor): Prediction {
  const picked = fieldNames(prediction).map((name) => {
    const x = prediction.fields[name]!;
    batchOf(`${name} of a prediction`, x);
    if (!isTensor(at)) checkAt(at, x);
    return [name, atTokens(x, at)];
  });
  return { readout: prediction.readout, fields: Object.fromEntries(picked) };
}
