import { defineConfig } from '../src/config/config.js';

/**
 * A small GPT that calculates while it writes solutions in words. Set `data.text` to a folder that `dag prepare --calculations` made of texts
 * with marked results, such as GSM8K's.
 */
export default defineConfig({
  kind: 'language',
  name: 'writing',
  tokenizer: 'gpt2',
  maxSteps: 4500,
  batchSize: 24,
  model: {
    depth: 6,
    blockSize: 192,
    nLayer: 4,
    nHead: 4,
    nEmbd: 128,
    convolution: 3,
    dropout: 0.1,
    digits: 10,
    branchLayers: 2,
    textLayers: 2,
    vocabulary: 'text',
  },
  data: {
    arithmetic: 0.2,
    running: 0.5,
    numbers: 4,
    maxDigits: 5,
    maxDecimals: 3,
    style: 'mixed',
    wholeNumbers: 0.5,
  },
  optimizer: { lr: 2e-3, beta2: 0.98, warmupSteps: 200 },
  evaluation: { every: 500, examples: 200, batches: 20 },
  checkpoint: { every: 500, keep: 2 },
  logEvery: 25,
});
