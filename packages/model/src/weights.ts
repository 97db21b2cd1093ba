import type { Tensor } from '@dag/executor';
import { checkObject, named } from './arguments.js';
import { EMBEDDING, rowsOf, usedRows, withAllRows } from './embedding-rows.js';
import { ModelError } from './error.js';
import type { ParameterCheck, Parameters } from './gpt.js';
import { decodeSafetensors, joined, safetensorsPieces } from './safetensors/format.js';
import { takeTokenTable, tokenTensors } from './token-table.js';
import type { TokenTable } from './tokenizer/vocabulary.js';
import { toFloat16, toFloat32, type FileBytes, type SafeTensor } from './safetensors/tensor.js';

/** Options of `save` and `savePieces`. */
export interface SaveOptions {
  /** 'F32' by default; 'F16' has half the size and rounds weights to 11 significant bits. */
  readonly dtype?: 'F32' | 'F16';
}

/**
 * The bytes of a safetensors file with weights and configuration, one tensor after another. Rows of an embedding that are all
 * zero are left out. `tableFor` the tokens whose embeddings are stored, null for all, is in the file too.
 */
function weightPieces(
  parameters: Parameters,
  config: object,
  options: SaveOptions = {},
  tableFor: (rows: readonly number[] | null) => TokenTable | null,
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
      // A getter, read when the tensor is written, so that only one tensor is copied at a time.
      get data() {
        return dtype === 'F16' ? halves(name, read()) : read();
      },
    });
  for (const [name, p] of parameters) {
    const read = (): Float32Array => Float32Array.from(p.dataSync());
    const width = p.shape[1]!;
    const rowsName = rowsOf(name);
    if (rowsName === null) {
      put(name, p.shape, read);
      continue;
    }
    const rows = usedRows(read(), width);
    const isCut = rows.length < p.shape[0]!;
    if (isCut) tensors.set(rowsName, { dtype: 'I32', shape: [rows.length], data: Int32Array.from(rows) });
    const table = name === EMBEDDING ? tableFor(isCut ? rows : null) : null;
    if (table) for (const [name, tensor] of tokenTensors(table)) tensors.set(name, tensor);
    if (!isCut) {
      put(name, p.shape, read);
      continue;
    }
    put(name, [rows.length, width], () => {
      const data = read();
      const kept = new Float32Array(rows.length * width);
      rows.forEach((row, i) => kept.set(data.subarray(row * width, (row + 1) * width), i * width));
      return kept;
    });
  }
  return safetensorsPieces(tensors, { config: JSON.stringify(config) });
}

/** A model that is saved as one file. */
export abstract class SavedModel {
  /** All parameters by name. */
  abstract readonly parameters: Parameters;
  abstract readonly config: object;

  /**
   * The bytes of a safetensors file with weights and configuration. Embeddings that are all zero are left out; `wte.rows` then
   * has the token ids of the others, and `tokens.*` the tokens by which a page reads texts without GPT-2's whole vocabulary: of a
   * `PredictorModel`, and of a `DagGpt` with `known` tokens.
   *
   * @throws {ModelError} `not-finite` for a weight beyond F16's range with dtype 'F16', `bad-input` for another dtype.
   */
  save(options?: SaveOptions): Uint8Array {
    return joined([...this.savePieces(options)]);
  }

  /** The bytes of `save` in pieces, one tensor after another, for files that are larger than one array can be. */
  savePieces(options?: SaveOptions): Iterable<Uint8Array> {
    return weightPieces(this.parameters, this.config, options, (rows) => this.tokensFor?.(rows) ?? null);
  }

  /** The tokens that a file has beside these rows of the embedding, null for all of them; null where it has none. */
  protected tokensFor?(rows: readonly number[] | null): TokenTable | null;
}

/** Weights as F16. @throws {ModelError} `not-finite` for a finite weight that rounds to infinity. */
function halves(name: string, data: Float32Array): Uint16Array {
  const at = data.findIndex((weight) => Number.isFinite(weight) && Math.abs(weight) >= HALF_OVERFLOW);
  if (at < 0) return toFloat16(data);
  throw new ModelError(
    'not-finite',
    `the weight '${name}' is ${data[at]} at element ${at}, beyond the largest F16, 65504; save it as F32`,
  );
}

/** Halfway from the largest F16, 65504, to the next power of two: from here on numbers round to infinity. */
const HALF_OVERFLOW = 65_520;

/** The models that are saved as files, by the class that loads them. */
const SAVED = {
  PredictorModel: 'a plan predictor',
  DagGpt: 'a language model',
  ProblemModel: 'a model of word problems',
} as const;

/** The class of the model in a file, by what it alone has: a language model without a gate has depth 0, a plan predictor never. */
function classOf(config: object, tensors: ReadonlyMap<string, SafeTensor>): keyof typeof SAVED {
  if ('templates' in config) return 'ProblemModel';
  const isLanguageModel = tensors.has('gate.weight') || ('depth' in config && config.depth === 0);
  return isLanguageModel ? 'DagGpt' : 'PredictorModel';
}

/**
 * Reads such a file: `make` builds the model of its configuration, which gets the file's weights. `make` must call `check`
 * for each parameter before it is allocated, so that a configuration with wrong sizes fails before it takes memory.
 *
 * @param loader The class of the model that is expected.
 * @throws {ModelError} `bad-file` where the file holds another model, or weights are missing, too many or of other shapes, `not-finite`
 *   where one is no finite number.
 */
export function decodeWeights<C extends object, M extends { readonly parameters: Parameters }>(
  file: FileBytes,
  loader: keyof typeof SAVED,
  make: (config: C, check: ParameterCheck, tokens: TokenTable | null) => M,
): M {
  const { tensors, metadata } = decodeSafetensors(file);
  const config = configFrom<C>(metadata['config'], `${loader}.save`);
  const found = classOf(config, tensors);
  if (found !== loader)
    throw new ModelError('bad-file', `the file holds ${SAVED[found]}, which ${found}.load reads`);
  const tokens = takeTokenTable(tensors);
  const model = make(
    config,
    (name, shape) => {
      const given = tensors.get(name);
      if (!given) throw new ModelError('bad-file', `the weight '${name}' is missing in the file`);
      // The number of rows differs where rows of zeros were left out; `withAllRows` checks it.
      const isCut = tensors.has(rowsOf(name) ?? '');
      const [rows, needed] = isCut ? [given.shape.slice(1), shape.slice(1)] : [given.shape, shape];
      if (rows.join() !== needed.join())
        throw new ModelError(
          'bad-file',
          `the weight '${name}' has shape (${given.shape.join(', ')}), this model needs (${shape.join(', ')})`,
        );
      if (!given.dtype.includes('F'))
        throw new ModelError(
          'bad-file',
          `the weight '${name}' has the dtype ${given.dtype}, expected floats`,
        );
    },
    tokens,
  );
  let all: ReadonlyMap<string, SafeTensor> = tensors;
  for (const [name, p] of model.parameters) all = withAllRows(all, name, p.shape[0]!);
  for (const name of all.keys())
    if (!model.parameters.has(name))
      throw new ModelError('bad-file', `the file has a weight '${name}' that this model does not have`);
  for (const [name, p] of model.parameters) p.set(finiteWeights(name, toFloat32(all.get(name)!)));
  return model;
}

/** The parameter of that name. @throws {ModelError} `bad-input` where the model has none. */
export function parameterOf(parameters: Parameters, name: string): Tensor {
  const parameter = parameters.get(name);
  if (parameter) return parameter;
  throw new ModelError('bad-input', `the model has no weight '${name}'`);
}

/** The weight of the linear layer `name`. @throws {ModelError} `bad-input` where the model has none. */
export function weightOf(parameters: Parameters, name: string): Tensor {
  if (name.endsWith('.weight') && parameters.has(name))
    throw new ModelError(
      'bad-input',
      `a linear layer is named without .weight: '${name.slice(0, -'.weight'.length)}', given '${name}'`,
    );
  return parameterOf(parameters, `${name}.weight`);
}

/** Returns `data`. @throws {ModelError} `not-finite` where a weight is NaN or infinite. */
export function finiteWeights(name: string, data: Float32Array): Float32Array {
  // Not `findIndex`, whose calls for each weight would take most of the time of loading a small model.
  const { isFinite } = Number;
  let at = 0;
  while (at < data.length && isFinite(data[at])) at++;
  if (at === data.length) return data;
  throw new ModelError(
    'not-finite',
    `the weight '${name}' is ${data[at]} at element ${at}, so the model cannot predict; use a checkpoint from before the training diverged`,
  );
}

/** Parses the configuration in a file's metadata. Its values are checked where the model is built. */
export function configFrom<C>(json: string | undefined, writer: string): C {
  try {
    const config: unknown = JSON.parse(json ?? '');
    const isFlat =
      typeof config === 'object' &&
      config !== null &&
      Object.entries(config).every(([key, value]) => NESTED.has(key) || isScalar(value));
    if (isFlat) return config as C;
  } catch {
    // Reported below, like a missing configuration.
  }
  throw new ModelError(
    'bad-file',
    `the file's metadata holds no model configuration; it was not written by ${writer}`,
  );
}

/** Keys of configurations whose values are lists or objects; the models check them. */
const NESTED = new Set(['calibration', 'known', 'words', 'constants', 'templates', 'evidence']);

const isScalar = (value: unknown): boolean => value === null || typeof value !== 'object';
