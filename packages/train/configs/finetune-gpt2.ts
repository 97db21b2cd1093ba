import { defineConfig } from '../src/config/config.js';

/** GPT-2 with a calculating branch. GPT-2's published weights are frozen; only the branch is trained. */
export default defineConfig({
  kind: 'language',
  name: 'finetune-gpt2',
  weights: 'gpt2',
  freezeBackbone: true,
  tokenizer: 'gpt2',
  maxSteps: 2000,
  batchSize: 8,
  model: {
    depth: 3,
    blockSize: 64,
    nLayer: 12,
    nHead: 12,
    nEmbd: 768,
    activation: 'geluTanh',
    digits: 8,
    branchLayers: 2,
  },
  data: { arithmetic: 1, maxDigits: 4, maxDecimals: 4, style: 'mixed', wholeNumbers: 0.25 },
  losses: { next: 0 },
  optimizer: { lr: 1e-3, beta2: 0.98, warmupSteps: 200 },
  evaluation: { every: 500, examples: 100 },
  logEvery: 10,
});
