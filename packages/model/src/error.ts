import type { PredictedValue } from './predicted-value.js';

/** The kinds of `ModelError`, its `code`. */
export type ModelErrorCode =
  /** A configuration with a value out of range or an unknown name. */
  | 'bad-config'
  /** A token id outside the vocabulary. */
  | 'bad-token'
  /** A file that is missing, damaged or of another format. */
  | 'bad-file'
  /** Weights that could not be downloaded or written to the cache. */
  | 'download'
  /** A download whose signal was aborted. */
  | 'aborted'
  /** The function needs onnxruntime-node, which is not installed, files, which a page does not have, or a module that was not imported. */
  | 'no-runtime'
  /** Weights, or the numbers that a model computes with them, are NaN or infinite. */
  | 'not-finite'
  /** A tensor has another shape or number of elements than expected. */
  | 'shape'
  /** A text that a model refuses to read: `reading` has what it would have read. */
  | 'unreadable'
  /** An argument outside its range. */
  | 'bad-input';

/** The error that every function of this package throws on bad input. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelErrorCode;
  /** Of `unreadable`: the prediction that is refused. */
  readonly reading: PredictedValue | undefined;

  constructor(
    code: ModelErrorCode,
    message: string,
    options?: ErrorOptions & { readonly reading?: PredictedValue },
  ) {
    super(message, options);
    this.code = code;
    this.reading = options?.reading;
  }
}

/** @throws {ModelError} `not-finite` where a value is NaN or infinite, which means that the weights are too large or damaged. */
export function checkFinite(values: ArrayLike<number>, what: string): void {
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i]))
      throw new ModelError(
        'not-finite',
        `this model computes ${values[i]} among its ${what}: its weights are too large or not finite`,
      );
}
