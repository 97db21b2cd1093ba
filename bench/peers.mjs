/** The npm libraries' side of the matrix product 8192×256×1024; prints one JSON object. Run by index.ts. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';

const REPEATS = 9;
const require = createRequire(import.meta.url);

/** Median seconds of a run, after some to warm up. */
async function median(run) {
  const seconds = [];
  for (let i = 0; i < REPEATS + 3; i++) {
    const begin = performance.now();
    await run();
    if (i >= 3) seconds.push((performance.now() - begin) / 1000);
  }
  return seconds.sort((a, b) => a - b)[REPEATS >> 1];
}

async function tensorflow() {
  const tf = require('@tensorflow/tfjs-core');
  require('@tensorflow/tfjs-backend-wasm').setWasmPaths(
    `${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`,
  );
  await tf.setBackend('wasm');
  const [a, b] = [tf.randomNormal([8192, 256]), tf.randomNormal([256, 1024])];
  return median(async () => {
    const c = tf.matMul(a, b);
    await c.data();
    c.dispose();
  });
}

async function jax() {
  // It looks for a browser's navigator when it is loaded.
  globalThis.navigator ??= {};
  const { defaultDevice, init, numpy, random } = await import('@jax-js/jax');
  await init('wasm');
  defaultDevice('wasm');
  const a = random.normal(random.key(1), [8192, 256]);
  const b = random.normal(random.key(2), [256, 1024]);
  return median(() => numpy.matmul(a.ref, b.ref).data());
}

console.log(JSON.stringify({ 'TensorFlow.js (wasm)': await tensorflow(), 'jax-js (wasm)': await jax() }));
