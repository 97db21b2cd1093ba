import { checkObject } from '../arguments.js';
import { batchOf, checkFields } from './check-fields.js';
import type { RegisterLayout } from './layout.js';
import type { Prediction } from './readout.js';
import { readoutOf } from './readouts.js';

/** Names of the fields of a prediction. @throws {ModelError} `bad-config` for an unknown readout, `bad-input` for anything but a prediction. */
export function fieldNames(prediction: Prediction): string[] {
  checkObject('a prediction, as a model makes it,', prediction);
  checkObject('fields of a prediction, as a model makes them,', prediction.fields);
  return Object.keys(readoutOf(prediction.readout).fields({ depth: 1, digits: 1 }));
}

/** @throws {ModelError} `shape` unless it is a prediction of this layout; `bad-config`, `bad-input` as `fieldNames`. */
export function checkPrediction(prediction: Prediction, layout: RegisterLayout): void {
  const [first] = fieldNames(prediction);
  const batch = batchOf(`${first} of a prediction`, prediction.fields[first!]!);
  checkFields('a prediction', prediction.fields, batch, readoutOf(prediction.readout).fields(layout));
}
