/**
 * Milliseconds of one prediction of the shipped model after it was loaded, by the `cpu` backend and by onnxruntime-node
 * where that is installed: `npx jiti bench/predict.ts`, after a build, prints one JSON object.
 */
import { exportOnnx, OnnxPredictor } from '@dag/model';
import { loadPretrained } from '@dag/train';

const TEXTS = ['2.5 * 3.0 + 1.0', 'What is 12345 times 6789?', '-(12.5 + 3) * 4 / (7.25 - 1) - 8'];
const CALLS = 300;

async function percentiles(predict: () => unknown): Promise<{ p50: number; p95: number }> {
  for (let i = 0; i < 20; i++) await predict();
  const times: number[] = [];
  for (let i = 0; i < CALLS; i++) {
    const begin = performance.now();
    await predict();
    times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => Number(times[Math.floor(share * CALLS)]!.toPrecision(3));
  return { p50: at(0.5), p95: at(0.95) };
}

const model = await loadPretrained();
const onnx = await OnnxPredictor.load(exportOnnx(model), { threads: 1 }).catch((error: Error) => {
  console.error(error.message);
  return null;
});
const milliseconds: Record<string, unknown> = {};
for (const text of TEXTS)
  milliseconds[text] = {
    native: await percentiles(() => model.predict(text)),
    onnx: onnx && (await percentiles(() => onnx.predict(text))),
  };
console.log(JSON.stringify({ milliseconds }, null, 2));
