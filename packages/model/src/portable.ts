/** The entry for pages, where there are no files. Functions that need files throw when they are called, so that bundling works. */
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
