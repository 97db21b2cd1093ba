import { defineConfig } from '../src/config.js';
import pretrained from './pretrained.js';

/**
 * The last steps of the shipped checkpoint, after `pretrained`: every second text is the longest of sixteen, so that the
 * positions which few texts reach are trained as well.
 */
export default defineConfig({
  ...pretrained,
  name: 'pretrained-long',
  init_from: 'runs/pretrained',
  maxSteps: 19_000,
  data: { ...pretrained.data, longestOf: 16 },
});
