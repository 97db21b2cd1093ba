export type ModelErrorCode =
  /** A configuration, or a name in it, that no model has. */
  | 'bad-config'
  /** A token id outside the vocabulary. */
  | 'bad-token'
  /** A file that is missing, damaged or no file of its format. */
  | 'bad-file'
  /** Weights that could not be downloaded, or not be put into the cache. */
  | 'download'
  /** What is asked for needs onnxruntime-node, which is not installed, or files, which a page does not have, or a module that was not imported. */
  | 'no-runtime'
  /** Weights, or what a model makes of a text by them, are NaN or infinite. */
  | 'not-finite'
  /** A tensor whose shape or number of elements is not the one that was asked for. */
  | 'shape'
  /** An argument outside its range. */
  | 'bad-input';

/** What every function of this package throws on bad input. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** @throws {ModelError} `not-finite` where one of the values is NaN or infinite: the model's weights are not sound. */
export function checkFinite(values: ArrayLike<number>, what: string): void {
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i]))
      throw new ModelError(
        'not-finite',
        `the ${what} are ${values[i]} by the weights of this model, which are too large or no numbers`,
      );
}
