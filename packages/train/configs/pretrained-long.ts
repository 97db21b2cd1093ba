import { defineConfig } from '../src/config/config.js';
import pretrained from './pretrained.js';

/**
 * The second part of training the shipped checkpoint, after `pretrained`. Every fourth text has the largest number of
 * operands, with more digits, so that late positions, which few texts reach, are trained as well. Every fourth text in words
 * uses synonyms such as "multiplied by", "over" or "negative".
 */
export default defineConfig({
  ...pretrained,
  name: 'pretrained-long',
  weights: 'runs/pretrained/checkpoints/step-00007000',
  maxSteps: 19_000,
  // Not the examples that `pretrained` began with.
  seed: 1,
  data: { ...pretrained.data, largest: 0.25, synonyms: 0.25 },
  // Starts at the learning rate that `pretrained` has at that step, and ends lower.
  optimizer: { ...pretrained.optimizer, lr: 1.7e-3, minLrRatio: 0.035 },
});
