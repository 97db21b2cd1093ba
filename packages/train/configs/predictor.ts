import { defineConfig } from '../src/config/config.js';

/** Up to four numbers of up to four digits and four decimals, in GPT-2's tokens. Trains in minutes on two CPU cores. */
export default defineConfig({
  name: 'predictor',
  tokenizer: 'gpt2',
  maxSteps: 2500,
  batchSize: 64,
  model: { depth: 4, blockSize: 64, nLayer: 2, nHead: 4, nEmbd: 128, digits: 8 },
  data: { maxDigits: 4, maxDecimals: 4, negatedGroups: 0.1, heldOutSkeletons: 0.1 },
  optimizer: { lr: 2e-3, beta2: 0.98, warmupSteps: 200 },
  evaluation: { every: 500, examples: 500 },
  logEvery: 25,
});
