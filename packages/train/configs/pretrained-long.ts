import { defineConfig } from '../src/config/config.js';
import pretrained from './pretrained.js';

/**
 * The last steps of the shipped checkpoint, after `pretrained`: every fourth text has as many numbers as there
 * may be, and longer ones, so that the positions which few texts reach are trained as well; and every fourth one in
 * words says some of them otherwise, such as "multiplied by", "over" or "negative".
 */
export default defineConfig({
  ...pretrained,
  name: 'pretrained-long',
  init_from: 'runs/pretrained/checkpoints/step-00007000',
  maxSteps: 19_000,
  // Other examples than those that `pretrained` began with.
  seed: 1,
  data: { ...pretrained.data, largest: 0.25, synonyms: 0.25 },
  // The rate that `pretrained` had come to by then; it ends lower.
  optimizer: { ...pretrained.optimizer, lr: 1.7e-3, minLrRatio: 0.035 },
});
