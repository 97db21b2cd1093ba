import { EMBEDDING, ROWS, usedRows, withAllRows } from './embedding-rows.js';
import { ModelError } from './error.js';
import type { Parameters } from './gpt.js';
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
  { dtype = 'F32' }: SaveOptions = {},
): Generator<Uint8Array> {
  const tensors = new Map<string, SafeTensor>();
  const put = (name: string, shape: readonly number[], read: () => Float32Array): void =>
    void tensors.set(name, {
      dtype,
      shape,
      // Read when it is written: a large model is never there twice.
      get data() {
        return dtype === 'F16' ? toFloat16(read()) : read();
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

/**
 * The model that `make` makes of the configuration in such a file, with the weights in it.
 *
 * @throws {ModelError} `bad-file` where weights are missing, too many or of other shapes.
 */
export function decodeWeights<C, M extends { readonly parameters: Parameters }>(
  file: FileBytes,
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
