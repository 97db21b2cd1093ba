/** The package where there are no files, as in pages. What needs them is an error when it is called, not when it is bundled. */
import { ModelError } from './error.js';
import type * as whole from './index.js';

type NeedsFiles = 'loadGpt2' | 'exportOnnx' | 'loadSafetensors' | 'saveSafetensors';

const needsFiles = (name: NeedsFiles | 'OnnxPredictor.load') => (): never => {
  throw new ModelError('no-runtime', `${name} needs files and Node's modules; it runs in Node, Deno and Bun`);
};

export * from './everywhere.js';
export const loadGpt2: typeof whole.loadGpt2 = needsFiles('loadGpt2');
export const exportOnnx: typeof whole.exportOnnx = needsFiles('exportOnnx');
export const loadSafetensors: typeof whole.loadSafetensors = needsFiles('loadSafetensors');
export const saveSafetensors: typeof whole.saveSafetensors = needsFiles('saveSafetensors');
export const OnnxPredictor: Pick<typeof whole.OnnxPredictor, 'load'> = {
  load: needsFiles('OnnxPredictor.load'),
};
