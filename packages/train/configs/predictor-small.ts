import { defineConfig } from '../src/config.js';

/** Up to three numbers of two digits and a decimal, read by characters: minutes on one CPU core. */
export default defineConfig({
  name: 'predictor-small',
  tokenizer: 'char',
  maxSteps: 2000,
  batchSize: 32,
  model: { depth: 3, blockSize: 32, nLayer: 2, nHead: 2, nEmbd: 32, digits: 3 },
  data: { maxDigits: 2, maxDecimals: 1 },
  optimizer: { lr: 3e-3, warmupSteps: 100 },
});
