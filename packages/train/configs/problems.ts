import { defineConfig } from '../src/config/config.js';

/** Word problems of up to three operations. Set `data.problems` to a folder with train.csv and dev.csv; without it, synthetic ones alone are trained. */
export default defineConfig({
  kind: 'problems',
  name: 'problems',
  maxSteps: 4500,
  batchSize: 32,
  model: { members: 2, nLayer: 4, dropout: 0.1 },
  data: { synthetic: 1 },
  optimizer: { lr: 2.5e-3, minLrRatio: 0.03, warmupSteps: 240, weightDecay: 0.05 },
  evaluation: { every: 1500, examples: 500 },
  checkpoint: { every: 1500, keep: 2 },
  logEvery: 25,
});
