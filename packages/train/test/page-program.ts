/** What page.test.ts bundles and runs in a page, and in Node for comparison. Nothing of Node is imported. */
import { scope } from '@dag/executor';
import { PredictorModel } from '@dag/model';
import predictorSmall from '../configs/predictor-small.js';
import { parseConfig } from '../src/config/config.js';
import { trainingBatch } from '../src/predictor/stream.js';
import { computeLosses } from '../src/predictor/losses.js';
import { AdamW } from '../src/run/optimizer.js';

/** Losses of the first steps of a predictor-small, by the backend that is taken where none is named. */
export function trainSmall(steps: number): number[] {
  const config = parseConfig({ ...predictorSmall, batchSize: 16 });
  const { seed, batchSize, data, model: sizes, tokenizer } = config;
  const { depth, digits, blockSize } = sizes;
  const stream = { seed, batchSize, depth, digits, blockSize, tokenizer, data };
  const model = new PredictorModel({ ...sizes, tokenizer }, { seed });
  const optimizer = new AdamW(model.parameters, config.optimizer);
  return Array.from({ length: steps }, (_, step) =>
    scope(() => {
      const batch = trainingBatch(stream, step);
      for (const parameter of model.parameters.values()) parameter.zeroGrad();
      const { total } = computeLosses(model, model.forward(batch.tokens, batch.shape), batch, config.losses);
      total.backward();
      optimizer.update(1e-3);
      return total.item();
    }),
  );
}

export function predictAll(weights: Uint8Array, texts: readonly string[]): number[] {
  const model = PredictorModel.load(weights);
  return texts.map((text) => model.predict(text).value);
}
