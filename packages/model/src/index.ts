/** The entry for Node, Deno and Bun, which have files. Bundlers for pages take portable.ts. */
import { createRequire } from 'node:module';
import { provideRanks, type Ranks } from './tokenizer/gpt2.js';

// Loaded on demand: half a megabyte of source, which models of characters do not need.
provideRanks(() => {
  const require = createRequire(import.meta.url);
  return (require('gpt-tokenizer/bpeRanks/r50k_base') as { default: Ranks }).default;
});

export * from './everywhere.js';
export { loadGpt2, type Gpt2 } from './gpt2/load-gpt2.js';
export { type DownloadProgress, type HubOptions } from './gpt2/hub.js';
export { exportOnnx } from './onnx/export-onnx.js';
export { OnnxPredictor, type OnnxOptions } from './onnx/onnx-predictor.js';
export { loadSafetensors, saveSafetensors } from './safetensors/file.js';
