/** Continues texts in a worker: a text takes seconds. */
import { loadWasm } from '@dag/executor/wasm';
import { DagGpt } from '@dag/model';
import weights from '@dag/model/weights/writing/model.safetensors?url';
import { problemOf } from './problem.js';
import { WRITTEN, type FromWriting, type ToWriting } from './writing-messages.js';

const post = (message: FromWriting): void => postMessage(message);

// Without WebAssembly with SIMD the reference in TypeScript calculates, slowly.
const ready = loadWasm().catch((error: unknown) => console.info(String(error)));
const model = DagGpt.fetch(weights, { ready });
model.then(
  () => post({ kind: 'ready' }),
  (error: unknown) => post({ kind: 'problem', problem: problemOf(error) }),
);

addEventListener('message', ({ data: { prompt } }: MessageEvent<ToWriting>) => {
  void model.then((model) => {
    try {
      const { text, calculations } = model.generate(prompt, WRITTEN);
      post({ kind: 'written', prompt, text, calculations });
    } catch (error) {
      post({ kind: 'problem', problem: problemOf(error) });
    }
  });
});
