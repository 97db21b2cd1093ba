import { EMBEDDING, ROWS, usedRows, withAllRows } from './embedding-rows.js';
import { ModelError } from './error.js';
import type { Parameters } from './gpt.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors/format.js';
import { toFloat16, toFloat32, type SafeTensor } from './safetensors/tensor.js';

export interface SaveOptions {
  /** 'F32', or 'F16': half the size, weights rounded to 11 bits. */
  readonly dtype?: 'F32' | 'F16';
}

/** Weights and configuration as a safetensors file; rows of the embedding that are all zero are left out. */
export function encodeWeights(
  parameters: Parameters,
  config: object,
  { dtype = 'F32' }: SaveOptions = {},
): Uint8Array {
  const tensors = new Map<string, SafeTensor>();
  const put = (name: string, shape: readonly number[], data: Float32Array): void =>
    void tensors.set(name, { dtype, shape, data: dtype === 'F16' ? toFloat16(data) : data });
  for (const [name, p] of parameters) {
    const data = Float32Array.from(p.dataSync());
    const rows = name === EMBEDDING ? usedRows(data, p.shape[1]!) : null;
    if (rows === null || rows.length === p.shape[0]) {
      put(name, p.shape, data);
      continue;
    }
    tensors.set(ROWS, { dtype: 'I32', shape: [rows.length], data: Int32Array.from(rows) });
    const width = p.shape[1]!;
    const kept = new Float32Array(rows.length * width);
    rows.forEach((row, i) => kept.set(data.subarray(row * width, (row + 1) * width), i * width));
    put(name, [rows.length, width], kept);
  }
  return encodeSafetensors(tensors, { config: JSON.stringify(config) });
}

/**
 * The model that `make` makes of the configuration in such a file, with the weights in it.
 *
 * @throws {ModelError} `bad-file` where weights are missing, too many or of other shapes.
 */
export function decodeWeights<C, M extends { readonly parameters: Parameters }>(
  file: Uint8Array,
  writer: string,
  make: (config: C) => M,
): M {
  const { tensors, metadata } = decodeSafetensors(file);
  const model = make(configFrom<C>(metadata['config'], writer));
  const embedding = model.parameters.get(EMBEDDING)!;
  setParameters(model.parameters, withAllRows(tensors, embedding.shape[0]!));
  return model;
}

/** Overwrites all weights. @throws {ModelError} `bad-file` where weights are missing, too many or of other shapes. */
function setParameters(parameters: Parameters, tensors: ReadonlyMap<string, SafeTensor>): void {
  for (const name of tensors.keys())
    if (!parameters.has(name))
      throw new ModelError('bad-file', `the file has a weight '${name}' that this model has not`);
  for (const [name, p] of parameters) {
    const given = tensors.get(name);
    if (!given) throw new ModelError('bad-file', `the weight '${name}' is missing in the file`);
    if (given.shape.join() !== p.shape.join())
      throw new ModelError(
        'bad-file',
        `the weight '${name}' has shape (${given.shape.join(', ')}), this model needs (${p.shape.join(', ')})`,
      );
    p.set(toFloat32(given));
  }
}

/** The configuration in a file's metadata; its values are checked where the model is built. */
export function configFrom<C>(json: string | undefined, writer: string): C {
  try {
    const config: unknown = JSON.parse(json ?? '');
    if (typeof config === 'object' && config !== null) return config as C;
  } catch {
    // Named below, as what is missing.
  }
  throw new ModelError(
    'bad-file',
    `the file's metadata holds no model configuration; it was not written by ${writer}`,
  );
}
