import { defineConfig } from '../src/config/config.js';

/** A character-level GPT that calculates while it writes: expressions of up to three short numbers in symbols, between pieces of text. */
export default defineConfig({
  kind: 'language',
  name: 'language-small',
  maxSteps: 4000,
  batchSize: 24,
  model: { depth: 3, blockSize: 96, nLayer: 2, nHead: 4, nEmbd: 128, digits: 6 },
  data: { arithmetic: 0.75, maxDigits: 3, maxDecimals: 2, style: 'spaced', wholeNumbers: 0.5 },
  optimizer: { lr: 2e-3, warmupSteps: 200 },
  evaluation: { every: 500, examples: 200 },
  logEvery: 25,
});
