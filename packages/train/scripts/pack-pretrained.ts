/**
 * Makes packages/model/weights/reading of the best checkpoint of a run: weights in half precision, without the optimiser's
 * state and without the embeddings of tokens that no text of the stream has, and with a calibrated confidence. `jiti pack-pretrained.ts runs/reading`
 */
import { decodeSafetensors, PredictorModel } from '@dag/model';
import { calibrate, checkpointConfig, findCheckpoint, loadModel, writeCheckpoint } from '@dag/train';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const target = fileURLToPath(new URL('../../model/weights/reading', import.meta.url));
const CARD = 'README.md';

const [run = 'runs/reading'] = process.argv.slice(2);
const checkpoint = await findCheckpoint(run, 'best', console.error);
const model = loadModel(checkpoint);

// Adam's second moment of an embedding is zero where it never had a gradient.
const moments = decodeSafetensors(checkpoint.files.get('optimizer.safetensors')!).tensors.get(
  'v.wte.weight',
)!;
const embedding = model.parameters.get('wte.weight')!;
const width = embedding.shape[1]!;
const kept = embedding.dataSync().map((w, i) => {
  const row = Math.floor(i / width) * width;
  return moments.data.subarray(row, row + width).some((v) => v !== 0) ? w : 0;
});
embedding.set(kept);

const trained = checkpointConfig(checkpoint);
if (trained.kind !== 'predictor') throw new Error(`${run} is no run of a plan predictor`);
const config = { ...trained, weights: 'scratch', outDir: 'runs/reading' };
// What is calibrated are the weights as they are shipped.
const packed = await calibrate(PredictorModel.load(model.save({ dtype: 'F16' })), trained);
const folder = await mkdtemp(`${target}-`);
try {
  const files = new Map([['model.safetensors', packed.save({ dtype: 'F16' })]]);
  const { step } = checkpoint;
  const { batches, best } = checkpoint.state as { batches: number; best: number };
  const written = await writeCheckpoint(
    folder,
    step,
    files,
    { step, batches, best, config },
    { keep: 1, best },
  );
  for (const name of await readdir(target).catch(() => []))
    if (name !== CARD) await rm(join(target, name), { recursive: true });
  for (const name of await readdir(written)) await rename(join(written, name), join(target, name));
  console.log(`${target}: step ${step}, ${(files.get('model.safetensors')!.length / 1e6).toFixed(2)} MB`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
