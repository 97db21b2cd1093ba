import { defineConfig } from '../src/config/config.js';

/**
 * Texts as people write them: symbols, words, questions, commands and sequences of up to eight numbers, and texts that ask for nothing, to
 * be refused.
 */
export default defineConfig({
  name: 'reading',
  tokenizer: 'words',
  maxSteps: 80_000,
  // The texts of a step are sorted by length: of eight micro-batches 28 % is padding, of four 43 %.
  batchSize: 8,
  accumulate: 8,
  model: {
    ...{ readout: 'decisions', depth: 8, digits: 30, blockSize: 512 },
    ...{ nLayer: 3, nHead: 4, nEmbd: 128, convolution: 3 },
  },
  data: { maxDigits: 6, maxDecimals: 6, foreign: 0.2 },
  optimizer: { lr: 2e-3, minLrRatio: 0.01, beta2: 0.98, warmupSteps: 200 },
  evaluation: { every: 5000, examples: 1000 },
  checkpoint: { every: 500, keep: 2 },
  logEvery: 25,
});
