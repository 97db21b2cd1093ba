import { named } from './arguments.js';
import { ModelError } from './error.js';

/**
 * Knots of a monotone, piecewise linear map from the confidence that a readout gives (`raw`) to the share of texts of that confidence that
 * are read right. It is constant below the first and above the last knot.
 */
export type Calibration = readonly (readonly [raw: number, right: number])[];

const isShare = (x: unknown): x is number => typeof x === 'number' && x >= 0 && x <= 1;
const isKnot = (knot: unknown): knot is Calibration[number] =>
  Array.isArray(knot) && knot.length === 2 && isShare(knot[0]) && isShare(knot[1]);

/**
 * @throws {ModelError} `bad-config` unless `calibration` is undefined, or has at least one knot, each a pair of numbers from 0 to 1, `raw`
 *   increasing and `right` not decreasing.
 */
export function checkCalibration(calibration: unknown): void {
  if (calibration === undefined) return;
  if (!Array.isArray(calibration) || calibration.length === 0)
    throw new ModelError(
      'bad-config',
      `calibration is knots such as [[0, 0.1], [1, 0.9]], given ${named(calibration)}`,
    );
  // By index, since a loop over entries would miss the holes of an array.
  for (let i = 0; i < calibration.length; i++) {
    const [before, knot] = [calibration[i - 1], calibration[i]] as [Calibration[number], unknown];
    if (!isKnot(knot))
      throw new ModelError(
        'bad-config',
        `knot ${i} of calibration is two numbers from 0 to 1, given ${Array.isArray(knot) ? `[${knot.map(named).join(', ')}]` : named(knot)}`,
      );
    if (i > 0 && (knot[0] <= before[0] || knot[1] < before[1]))
      throw new ModelError(
        'bad-config',
        `knots of calibration increase: [${knot.join(', ')}] comes after [${before.join(', ')}]`,
      );
  }
}

/** The confidence by a calibration; as it is without one. */
export function calibrated(confidence: number, calibration: Calibration | undefined): number {
  if (calibration === undefined) return confidence;
  const last = calibration.findLastIndex(([raw]) => raw <= confidence);
  const [low, high] = [calibration[Math.max(0, last)]!, calibration[last + 1]];
  if (last < 0 || high === undefined) return low[1];
  const share = (confidence - low[0]) / (high[0] - low[0]);
  return Math.min(high[1], low[1] + share * (high[1] - low[1]));
}
