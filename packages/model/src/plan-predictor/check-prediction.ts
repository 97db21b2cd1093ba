import type { Tensor } from '@dag/executor';
import { checkObject } from '../arguments.js';
import { ModelError } from '../error.js';
import { batchOf, checkFields } from './check-fields.js';
import type { RegisterLayout } from './layout.js';
import type { Prediction } from './readout.js';
import { readoutOf } from './readouts.js';

/** (B, T) of a prediction, by the first of its fields. @throws {ModelError} `bad-config`, `bad-input`, `shape`. */
export function predictionBatch(prediction: Prediction): Tensor {
  checkObject('a prediction, as a model makes it,', prediction);
  const { readout, fields } = prediction;
  const [name] = Object.keys(readoutOf(readout).fields({ depth: 1, digits: 1 }));
  checkObject('fields of a prediction, as a model makes them,', fields);
  const first = fields[name!]!;
  batchOf(`${name} of a prediction`, first);
  return first;
}

/** @throws {ModelError} `bad-config`, `bad-input`, `shape` for what is no prediction of this configuration. */
export function checkPrediction(prediction: Prediction, config: RegisterLayout & { readout: string }): void {
  const batch = predictionBatch(prediction).shape.slice(0, 2);
  if (prediction.readout !== config.readout)
    throw new ModelError(
      'bad-input',
      `a prediction of the readout '${prediction.readout}', where '${config.readout}' is asked for`,
    );
  checkFields('a prediction', prediction.fields, batch, readoutOf(config.readout).fields(config));
}
