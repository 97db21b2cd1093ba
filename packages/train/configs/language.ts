import { defineConfig } from '../src/config/config.js';

/**
 * A small GPT that calculates while it writes: expressions of up to three numbers in symbols, words and questions, between
 * pieces of text. Set `data.text` to the folder of the prepared text.
 */
export default defineConfig({
  kind: 'language',
  name: 'language',
  tokenizer: 'gpt2',
  maxSteps: 2000,
  batchSize: 32,
  model: { depth: 3, blockSize: 128, nLayer: 3, nHead: 4, nEmbd: 128, digits: 8, branchLayers: 2 },
  data: { arithmetic: 1, maxDigits: 4, maxDecimals: 4, style: 'mixed', wholeNumbers: 0.25 },
  // Weights the text up against `gate` and `start`, which also train the backbone.
  losses: { next: 4 },
  optimizer: { lr: 2e-3, beta2: 0.98, warmupSteps: 200 },
  evaluation: { every: 250, examples: 200 },
  logEvery: 25,
});
