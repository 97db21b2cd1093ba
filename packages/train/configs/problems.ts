import { defineConfig } from '../src/config/config.js';

/** Word problems of up to three operations. Set `data.problems` to a folder with train.csv and dev.csv; without it, synthetic ones alone are trained. */
export default defineConfig({
  kind: 'problems',
  name: 'problems',
  maxSteps: 6000,
  batchSize: 32,
  model: { nLayer: 4 },
  data: { synthetic: 1 },
  optimizer: { lr: 1.2e-3, minLrRatio: 0.03, warmupSteps: 240, weightDecay: 0.05 },
  evaluation: { every: 1000, examples: 300 },
  checkpoint: { every: 1000, keep: 2 },
  logEvery: 25,
});
