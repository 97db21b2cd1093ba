import { checkObject } from '../arguments.js';
import { batchOf, checkFields } from './check-fields.js';
import type { RegisterLayout } from './layout.js';
import type { Prediction } from './readout.js';
import { readoutOf } from './readouts.js';

/** Names of the fields of a prediction; the first one says its (B, T). @throws {ModelError} `bad-config`, `bad-input`. */
export function fieldNames(prediction: Prediction): string[] {
  checkObject('a prediction, as a model makes it,', prediction);
  checkObject('fields of a prediction, as a model makes them,', prediction.fields);
  return Object.keys(readoutOf(prediction.readout).fields({ depth: 1, digits: 1 }));
}

/** @throws {ModelError} `bad-config`, `bad-input`, `shape` for what is no prediction of this layout. */
export function checkPrediction(prediction: Prediction, layout: RegisterLayout): void {
  const [first] = fieldNames(prediction);
  const batch = batchOf(`${first} of a prediction`, prediction.fields[first!]!);
  checkFields('a prediction', prediction.fields, batch, readoutOf(prediction.readout).fields(layout));
}
