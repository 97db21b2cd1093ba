import type { Activation } from '@dag/executor';
import { join } from 'node:path';
import { checkObject, checkText } from '../arguments.js';
import { ModelError } from '../error.js';
import type { GptConfig, Parameters } from '../gpt.js';
import { checkRegularFile, readRegularFile } from '../regular-file.js';
import { withSafetensors } from '../safetensors/file.js';
import { bad, messageOf, type Entry } from '../safetensors/header.js';
import { toFloat32 } from '../safetensors/tensor.js';
import { finiteWeights } from '../weights.js';
import { hubFolder, type HubOptions } from './hub.js';
import { GPT2_NAMES, isGpt2Name } from './names.js';

const CONFIG = 'config.json';
const WEIGHTS = 'model.safetensors';
/** Published configurations have about 700 bytes. */
const MOST_CONFIG_BYTES = 1_000_000;

/** GPT-2 on the disk, with its configuration read and the shapes of its weights checked. `copyTo` reads the weights. */
export interface Gpt2 {
  /** The configuration that was trained, with dropout 0 and depth 0. */
  readonly config: GptConfig;
  /** Path of the safetensors file. */
  readonly path: string;
  /**
   * Overwrites the parameters of a `Gpt` of the same width, heads and layers, one tensor at a time, so that memory never holds
   * a second copy of all. `blockSize` may be smaller than GPT-2's: the first positions are copied. `vocabSize` may be
   * larger, as nanoGPT's 50,304 for 50,257 tokens: the rows of further tokens become 0. Parameters with other names, such as
   * those of a plan predictor, are unchanged.
   *
   * @throws {ModelError} `shape` where parameters do not fit, before any is overwritten; `bad-file` where the file
   *   cannot be read; `not-finite` where it has a weight that is NaN or infinite.
   */
  copyTo(parameters: Parameters): Promise<void>;
}

/**
 * Loads GPT-2 as published: by name, which downloads it into the cache of the Hugging Face hub unless it is there, or from a
 * folder with `config.json` and `model.safetensors` as in the hub's repositories.
 *
 * @param source One of the names in `GPT2_NAMES`, or the path of a folder; `./gpt2` is a folder of that name.
 * @throws {ModelError} `download` where a download fails; `bad-file` for a folder without the two files, a damaged file,
 *   another architecture, or shapes that do not fit the configuration.
 * @example
 * const gpt2 = await loadGpt2('gpt2');
 * const build = new ParameterBuilder(null);
 * const gpt = new Gpt({ ...gpt2.config, blockSize: 256 }, build);
 * await gpt2.copyTo(build.parameters);
 */
export async function loadGpt2(source: string, options: HubOptions = {}): Promise<Gpt2> {
  checkText(`a folder, or one of ${GPT2_NAMES.join(', ')}`, source);
  checkObject("options such as { cacheDir: 'models' }", options);
  const folder = isGpt2Name(source)
    ? await hubFolder(`openai-community/${source}`, [CONFIG, WEIGHTS], options)
    : source;
  const config = await readConfig(join(folder, CONFIG));
  const path = join(folder, WEIGHTS);
  await checkRegularFile(path).catch((cause: unknown) => {
    throw bad(path, `cannot be opened (${messageOf(cause)})`, cause);
  });
  await withSafetensors(path, async ({ entries }) => void weightsOf(entries, config, path));
  return { config, path, copyTo: (parameters) => copyWeights(path, config, parameters) };
}

/** Reads a repository's `config.json`, and refuses values for which `Gpt` would compute something else. */
async function readConfig(path: string): Promise<GptConfig> {
  const bytes = await readRegularFile(path, MOST_CONFIG_BYTES).catch((cause: unknown) => {
    const names = GPT2_NAMES.join(', ');
    throw bad(
      path,
      `cannot be read (${messageOf(cause)}). Give the folder of a GPT-2, or one of ${names}`,
      cause,
    );
  });
  let given: Record<string, unknown>;
  try {
    given = { ...(JSON.parse(bytes.toString()) as object) } as Record<string, unknown>;
  } catch (cause) {
    throw bad(path, `it is not JSON (${messageOf(cause)})`, cause);
  }
  const size = (name: string): number => {
    const value = given[name];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    throw bad(path, `"${name}" is a whole number from 1, given ${shown(value)}`);
  };
  const expect = (name: string, ...allowed: readonly unknown[]): void => {
    const value = given[name];
    if (!allowed.includes(value))
      throw bad(path, `"${name}" is ${shown(value)}, expected ${JSON.stringify(allowed[0])}`);
  };
  const [nEmbd, nHead] = [size('n_embd'), size('n_head')];
  expect('model_type', 'gpt2');
  expect('layer_norm_epsilon', 1e-5, undefined);
  expect('n_inner', 4 * nEmbd, null, undefined);
  expect('scale_attn_weights', true, undefined);
  expect('scale_attn_by_inverse_layer_idx', false, undefined);
  expect('tie_word_embeddings', true, undefined);
  expect('activation_function', ...Object.keys(ACTIVATIONS), undefined);
  if (nEmbd % nHead !== 0) throw bad(path, `"n_embd" ${nEmbd} is not divisible by "n_head" ${nHead}`);
  return {
    blockSize: size('n_positions'),
    vocabSize: size('vocab_size'),
    nLayer: size('n_layer'),
    nHead,
    nEmbd,
    dropout: 0,
    bias: true,
    depth: 0,
    activation: ACTIVATIONS[String(given['activation_function'] ?? 'gelu_new')]!,
  };
}

/** The beginning of a JSON value from outside, which may have any size. */
const shown = (value: unknown): string => String(JSON.stringify(value)).slice(0, 40);

/** Activations by their names in `config.json`. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu_new: 'geluTanh',
  gelu_pytorch_tanh: 'geluTanh',
  gelu: 'gelu',
};

/** The shapes of the file's tensors by name. Linear layers are (in, out) there, as in OpenAI's Conv1D. */
function shapesOf({ vocabSize, blockSize, nEmbd: C, nLayer }: GptConfig): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>([
    ['wte.weight', [vocabSize, C]],
    ['wpe.weight', [blockSize, C]],
  ]);
  const norm = (name: string): void => void shapes.set(`${name}.weight`, [C]).set(`${name}.bias`, [C]);
  const conv1D = (name: string, from: number, to: number): void =>
    void shapes.set(`${name}.weight`, [from, to]).set(`${name}.bias`, [to]);
  for (let i = 0; i < nLayer; i++) {
    norm(`h.${i}.ln_1`);
    conv1D(`h.${i}.attn.c_attn`, C, 3 * C);
    conv1D(`h.${i}.attn.c_proj`, C, C);
    norm(`h.${i}.ln_2`);
    conv1D(`h.${i}.mlp.c_fc`, C, 4 * C);
    conv1D(`h.${i}.mlp.c_proj`, 4 * C, C);
  }
  norm('ln_f');
  return shapes;
}

/** Causal masks, which old versions of transformers stored with the weights. */
const MASK = /^h\.\d+\.attn\.(masked_)?bias$/;

/**
 * The file's tensors by GPT-2's names; throws unless they are exactly those of the configuration. Names may begin with
 * `transformer.`, and `lm_head.weight` may stand for `wte.weight`, to which it is tied.
 */
function weightsOf(entries: readonly Entry[], config: GptConfig, path: string): Map<string, Entry> {
  const weights = new Map<string, Entry>();
  for (const entry of entries) {
    const name = entry.name.replace(/^transformer\./, '');
    if (name === 'lm_head.weight') weights.set('wte.weight', weights.get('wte.weight') ?? entry);
    else if (!MASK.test(name)) weights.set(name, entry);
  }
  if (config.nLayer > weights.size)
    throw bad(
      path,
      `by ${CONFIG} it has ${config.nLayer} layers, but there are ${weights.size} tensors in it`,
    );
  const shapes = shapesOf(config);
  for (const [name, { dtype, shape }] of weights) {
    const expected = shapes.get(name);
    if (!expected) throw bad(path, `a GPT-2 of ${config.nLayer} layers has no tensor "${name}"`);
    if (shape.join() !== expected.join())
      throw bad(path, `"${name}" is (${shape.join(', ')}), by ${CONFIG} it is (${expected.join(', ')})`);
    if (!dtype.includes('F')) throw bad(path, `"${name}" has the dtype ${dtype}, expected floats`);
  }
  for (const name of shapes.keys()) if (!weights.has(name)) throw bad(path, `"${name}" is missing`);
  return weights;
}

const isConv1D = (name: string): boolean => /\.c_(attn|proj|fc)\.weight$/.test(name);

async function copyWeights(path: string, config: GptConfig, parameters: Parameters): Promise<void> {
  checkParameters(config, parameters);
  await withSafetensors(path, async ({ entries, read }) => {
    for (const [name, entry] of weightsOf(entries, config, path)) {
      const parameter = parameters.get(name)!;
      const data = finiteWeights(name, toFloat32(await read(entry)));
      if (isConv1D(name)) parameter.set(transposed(data, entry.shape[0]!, entry.shape[1]!));
      else if (data.length === parameter.size) parameter.set(data);
      else {
        const values = new Float32Array(parameter.size);
        values.set(data.subarray(0, values.length));
        parameter.set(values);
      }
    }
  });
}

function checkParameters(config: GptConfig, parameters: Parameters): void {
  const shapes = shapesOf(config);
  for (const [name, shape] of shapes) {
    const given = parameters.get(name)?.shape;
    if (!given) throw new ModelError('shape', `GPT-2 has '${name}', the model does not: ${layers(config)}`);
    const [rows = 0, ...rest] = isConv1D(name) ? [...shape].reverse() : shape;
    const [givenRows = 0, ...givenRest] = given;
    const fits =
      name === 'wpe.weight'
        ? givenRows <= rows
        : name === 'wte.weight'
          ? givenRows >= rows
          : givenRows === rows;
    if (!fits || givenRest.join() !== rest.join())
      throw new ModelError(
        'shape',
        `'${name}' of the model is (${given.join(', ')}), of GPT-2 (${[rows, ...rest].join(', ')}): ${layers(config)}`,
      );
  }
  for (const name of parameters.keys())
    if (/^(h\.\d+|wte|wpe|ln_f)\./.test(name) && !shapes.has(name))
      throw new ModelError('shape', `the model has '${name}', GPT-2 does not: ${layers(config)}`);
}

/** The configuration that a model needs for these weights, for messages. */
function layers({ nLayer, nEmbd, nHead, blockSize, vocabSize }: GptConfig): string {
  const sizes = `nLayer ${nLayer}, nEmbd ${nEmbd}, nHead ${nHead}, bias true`;
  return `it needs ${sizes}, blockSize up to ${blockSize} and vocabSize from ${vocabSize}`;
}

/** Rows and columns of a tile that fits into a core's cache. */
const TILE = 32;

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let top = 0; top < rows; top += TILE)
    for (let left = 0; left < columns; left += TILE)
      for (let i = top; i < Math.min(top + TILE, rows); i++)
        for (let j = left; j < Math.min(left + TILE, columns); j++)
          out[j * rows + i] = data[i * columns + j]!;
  return out;
}
