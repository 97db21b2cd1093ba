import { defineConfig } from '../src/config/config.js';

/** Up to three numbers of up to two digits and one decimal, by characters. Trains in minutes on one CPU core. */
export default defineConfig({
  name: 'predictor-small',
  tokenizer: 'char',
  maxSteps: 1500,
  batchSize: 24,
  model: { depth: 3, blockSize: 32, nLayer: 2, nHead: 2, nEmbd: 32, digits: 3 },
  data: { maxDigits: 2, maxDecimals: 1, negatedGroups: 0.1, heldOutSkeletons: 0.1 },
  optimizer: { lr: 6e-3, beta2: 0.95, warmupSteps: 100 },
  evaluation: { every: 300, examples: 500 },
  logEvery: 25,
});
