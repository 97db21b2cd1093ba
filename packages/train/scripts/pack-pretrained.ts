/**
 * Makes packages/model/weights/NAME of the best checkpoint of a run: weights in half precision, without the optimiser's state, and without
 * the embeddings of tokens that training hardly met. `jiti pack-pretrained.ts runs/reading reading`
 */
import { decodeSafetensors, PredictorModel, tokenizer, type DagGpt } from '@dag/model';
import {
  calibrate,
  checkpointConfig,
  findCheckpoint,
  loadLanguageModel,
  loadModel,
  loadPretrained,
  loadProblemModel,
  SHIPPED,
  streamConfig,
  streamText,
  writeCheckpoint,
  type Checkpoint,
  type PredictorTrainConfig,
  type ShippedName,
  type StreamConfig,
} from '@dag/train';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CARD = 'README.md';
/** A token that none of so many texts of the stream has is not shipped: it is a piece of misspelt words, hardly trained. */
const TEXTS = 400_000;
/** Significant bits of a weight in the file: the rest of half precision is noise, which does not compress. */
const BITS = 6;

const [run, name] = process.argv.slice(2) as [string | undefined, ShippedName | undefined];
if (run === undefined || name === undefined || !SHIPPED.includes(name))
  throw new Error(`usage: jiti pack-pretrained.ts RUN NAME, with a name of ${SHIPPED.join(', ')}`);
const target = fileURLToPath(new URL(`../../model/weights/${name}`, import.meta.url));
const checkpoint = await findCheckpoint(run, 'best', console.error);
const { step } = checkpoint;
const { best } = checkpoint.state as { best: number };
const { file, config, batches } = await packed(checkpoint);

const folder = await mkdtemp(`${target}-`);
try {
  const state = { step, batches, best, config: { ...config, weights: 'scratch', outDir: `runs/${name}` } };
  const files = new Map([['model.safetensors', file]]);
  const written = await writeCheckpoint(folder, step, files, state, { keep: 1, best });
  await mkdir(target, { recursive: true });
  for (const old of await readdir(target)) if (old !== CARD) await rm(join(target, old), { recursive: true });
  for (const part of await readdir(written)) await rename(join(written, part), join(target, part));
} finally {
  await rm(folder, { recursive: true, force: true });
}
await loadPretrained(name);
console.log(`${target}: step ${step}, ${(file.length / 1e6).toFixed(2)} MB`);

/** The file of a checkpoint's model as it is shipped, and the configuration beside it, which names no data that are not shipped. */
async function packed(
  checkpoint: Checkpoint,
): Promise<{ file: Uint8Array; config: object; batches: number }> {
  const config = checkpointConfig(checkpoint);
  const { batches } = checkpoint.state as { batches: number };
  switch (config.kind) {
    case 'predictor':
      return { file: await packedPredictor(checkpoint, config), config, batches };
    case 'problems':
      return {
        file: loadProblemModel(checkpoint).save({ dtype: 'F16' }),
        config: { ...config, data: { ...config.data, problems: '', synthetic: 1 } },
        batches,
      };
    case 'language':
      return {
        file: packedLanguage(checkpoint),
        // Without the text the batches of the training can't be made again.
        config: { ...config, data: { ...config.data, text: '', arithmetic: 1 } },
        batches: config.data.text === '' ? batches : 0,
      };
  }
}

/** With a calibrated confidence, of the weights as they are shipped. */
async function packedPredictor(checkpoint: Checkpoint, config: PredictorTrainConfig): Promise<Uint8Array> {
  const model = loadModel(checkpoint);
  leaveOutRare(model, streamConfig(config));
  for (const p of model.parameters.values()) p.set(p.dataSync().map(rounded));
  const halves = PredictorModel.load(model.save({ dtype: 'F16' }));
  return (await calibrate(halves, config)).save({ dtype: 'F16' });
}

/** Sets the rows of tokens to zero that the first texts of the stream do not have. */
function leaveOutRare({ parameters }: PredictorModel, stream: StreamConfig): void {
  const met = new Set<number>();
  const words = tokenizer(stream.tokenizer);
  for (let i = 0; i < TEXTS; i++)
    for (const id of words.encode(` ${streamText(stream, 'train', i)}`)) met.add(id);
  const weight = parameters.get('wte.weight')!;
  const width = weight.shape[1]!;
  weight.set(weight.dataSync().map((w, i) => (met.has(Math.floor(i / width)) ? w : 0)));
}

/** The nearest number of `BITS` significant bits. */
function rounded(x: number): number {
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - BITS + 1);
  return x === 0 ? 0 : Math.round(x / unit) * unit;
}

/** Its configuration says which tokens have embeddings (`model.vocabulary`). */
function packedLanguage(checkpoint: Checkpoint): Uint8Array {
  const model = loadLanguageModel(checkpoint);
  if (model.parameters.has('branch.kinds.weight')) leaveOut(checkpoint, model, 'branch.kinds.weight');
  return model.save({ dtype: 'F16' });
}

/**
 * Sets the rows of a weight to zero that never had a gradient: there Adam's second moment is zero. Of a run that began with the weights of
 * another one it keeps them: those that never had one there either are zero from the start.
 */
function leaveOut(checkpoint: Checkpoint, { parameters }: Pick<DagGpt, 'parameters'>, name: string): void {
  if (checkpointConfig(checkpoint).weights !== 'scratch') return;
  const moments = decodeSafetensors(checkpoint.files.get('optimizer.safetensors')!).tensors.get(`v.${name}`)!;
  const weight = parameters.get(name)!;
  const width = weight.shape[1]!;
  weight.set(
    weight.dataSync().map((w, i) => {
      const row = Math.floor(i / width) * width;
      return moments.data.subarray(row, row + width).some((v) => v !== 0) ? w : 0;
    }),
  );
}
