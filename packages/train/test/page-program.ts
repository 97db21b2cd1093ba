/** What page.test.ts bundles and runs in a page, and in Node for comparison. Nothing of Node is imported. */
import { PredictorModel } from '@dag/model';
import { parseConfig, predictorSmall, PredictorTraining } from '../src/browser.js';

/** Losses of the first steps of a predictor-small, by the backend that is taken where none is named. */
export async function trainSmall(maxSteps: number): Promise<number[]> {
  const evaluation = { examples: 20 };
  const training = new PredictorTraining(
    parseConfig({ ...predictorSmall, maxSteps, batchSize: 16, logEvery: 1, evaluation }),
  );
  const losses: number[] = [];
  await training.run({ onStep: ({ loss }) => losses.push(loss) });
  return losses;
}

export function predictAll(weights: Uint8Array, texts: readonly string[]): number[] {
  const model = PredictorModel.load(weights);
  return texts.map((text) => model.predict(text).value);
}
