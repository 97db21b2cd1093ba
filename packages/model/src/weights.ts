import { EMBEDDING, ROWS, usedRows, withAllRows } from './embedding-rows.js';
import { checkObject, named } from './arguments.js';
import { ModelError } from './error.js';
import type { ParameterCheck, Parameters } from './gpt.js';
import { decodeSafetensors, safetensorsPieces } from './safetensors/format.js';
import { toFloat16, toFloat32, type FileBytes, type SafeTensor } from './safetensors/tensor.js';

export interface SaveOptions {
  /** 'F32', or 'F16': half the size, weights rounded to 11 bits. */
  readonly dtype?: 'F32' | 'F16';
}

/**
 * Weights and configuration as a safetensors file, one tensor after another; rows of the embedding that are all zero are
 * left out.
 */
export function weightPieces(
  parameters: Parameters,
  config: object,
  options: SaveOptions = {},
): Generator<Uint8Array> {
  checkObject("options such as { dtype: 'F16' }", options);
  const { dtype = 'F32' } = options;
  if (dtype !== 'F32' && dtype !== 'F16')
    throw new ModelError('bad-input', `dtype is 'F32' or 'F16', given ${named(dtype satisfies never)}`);
  const tensors = new Map<string, SafeTensor>();
  const put = (name: string, shape: readonly number[], read: () => Float32Array): void =>
    void tensors.set(name, {
      dtype,
      shape,
      // Read when it is written: a large model is never there twice.
      get data() {
        return dtype === 'F16' ? halves(name, read()) : read();
      },
    });
  for (const [name, p] of parameters) {
    const read = (): Float32Array => Float32Array.from(p.dataSync());
    const width = p.shape[1]!;
    const rows = name === EMBEDDING ? usedRows(read(), width) : null;
    if (rows === null || rows.length === p.shape[0]) {
      put(name, p.shape, read);
      continue;
    }
    tensors.set(ROWS, { dtype: 'I32', shape: [rows.length], data: Int32Array.from(rows) });
    put(name, [rows.length, width], () => {
      const data = read();
      const kept = new Float32Array(rows.length * width);
      rows.forEach((row, i) => kept.set(data.subarray(row * width, (row + 1) * width), i * width));
      return kept;
    });
  }
  return safetensorsPieces(tensors, { config: JSON.stringify(config) });
}

/** @throws {ModelError} `not-finite` for a weight that F16 has no finite number for. */
function halves(name: string, data: Float32Array): Uint16Array {
  const at = data.findIndex((weight) => Number.isFinite(weight) && Math.abs(weight) >= HALF_OVERFLOW);
  if (at < 0) return toFloat16(data);
  throw new ModelError(
    'not-finite',
    `the weight '${name}' is ${data[at]} at element ${at}, beyond the largest F16, 65504; save it as F32`,
  );
}

/** Halfway from the largest F16 to what would be the next: from here on it rounds to infinity. */
const HALF_OVERFLOW = 65_520;

/**
 * The model that `make` makes of the configuration in such a file, with the weights in it. Each parameter is compared with the
 * file's tensor before memory is taken for it: sizes that a configuration claims are worth no more than the tensors.
 *
 * @throws {ModelError} `bad-file` where weights are missing, too many or of other shapes, `not-finite` where one is no finite
 *   number.
 */
export function decodeWeights<C, M extends { readonly parameters: Parameters }>(
  file: FileBytes,
  writer: string,
  make: (config: C, check: ParameterCheck) => M,
): M {
  const { tensors, metadata } = decodeSafetensors(file);
  const model = make(configFrom<C>(metadata['config'], writer), (name, shape) => {
    const given = tensors.get(name);
    if (!given) throw new ModelError('bad-file', `the weight '${name}' is missing in the file`);
    // Rows of zeros are left out: `withAllRows` sees to their number.
    const isCut = name === EMBEDDING && tensors.has(ROWS);
    const [rows, needed] = isCut ? [given.shape.slice(1), shape.slice(1)] : [given.shape, shape];
    if (rows.join() !== needed.join())
      throw new ModelError(
        'bad-file',
        `the weight '${name}' has shape (${given.shape.join(', ')}), this model needs (${shape.join(', ')})`,
      );
    if (!given.dtype.includes('F'))
      throw new ModelError('bad-file', `the weight '${name}' has the dtype ${given.dtype}, expected floats`);
  });
  const embedding = model.parameters.get(EMBEDDING)!;
  const all = withAllRows(tensors, embedding.shape[0]!);
  for (const name of all.keys())
    if (!model.parameters.has(name))
      throw new ModelError('bad-file', `the file has a weight '${name}' that this model has not`);
  for (const [name, p] of model.parameters) p.set(finiteWeights(name, toFloat32(all.get(name)!)));
  return model;
}

/** The same. @throws {ModelError} `not-finite` for NaN and infinity. */
export function finiteWeights(name: string, data: Float32Array): Float32Array {
  // A loop: `findIndex` calls its function for each weight, and takes most of the time in which a small model loads.
  const { isFinite } = Number;
  let at = 0;
  while (at < data.length && isFinite(data[at])) at++;
  if (at === data.length) return data;
  throw new ModelError(
    'not-finite',
    `the weight '${name}' is ${data[at]} at element ${at}: a model of it answers nothing; take weights from before the training went wrong`,
  );
}

/** The configuration in a file's metadata; its values are checked where the model is built. */
export function configFrom<C>(json: string | undefined, writer: string): C {
  try {
    const config: unknown = JSON.parse(json ?? '');
    const isFlat = typeof config === 'object' && config !== null && Object.values(config).every(isScalar);
    if (isFlat) return config as C;
  } catch {
    // Named below, as what is missing.
  }
  throw new ModelError(
    'bad-file',
    `the file's metadata holds no model configuration; it was not written by ${writer}`,
  );
}

const isScalar = (value: unknown): boolean => value === null || typeof value !== 'object';
