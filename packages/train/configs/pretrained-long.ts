import { defineConfig } from '../src/config.js';
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
  maxSteps: 26_000,
  data: { ...pretrained.data, largest: 0.25, synonyms: 0.25 },
  // The rate begins with 1.7e-3 here, and ends lower than before.
  optimizer: { ...pretrained.optimizer, minLrRatio: 0.03 },
});
