import { defineConfig } from '../src/config/config.js';

/**
 * The shipped checkpoint: up to eight numbers of up to six digits and six decimals in symbols, words and questions, in
 * GPT-2's tokens. Its registers have room for one more number, and one more digit on each side, than it is trained on.
 */
export default defineConfig({
  name: 'pretrained',
  tokenizer: 'gpt2',
  maxSteps: 8_000,
  batchSize: 16,
  accumulate: 4,
  model: { depth: 9, blockSize: 160, nLayer: 3, nHead: 4, nEmbd: 128, digits: 14 },
  data: {
    numbers: 8,
    maxDigits: 6,
    maxDecimals: 6,
    style: 'mixed',
    negatedGroups: 0.1,
    wholeNumbers: 0.25,
  },
  optimizer: { lr: 2e-3, beta2: 0.98, warmupSteps: 200 },
  evaluation: { every: 500, examples: 1000 },
  // Three, because `pretrained-long` begins with the third last (step 7,000).
  checkpoint: { every: 500, keep: 3 },
  logEvery: 25,
});
