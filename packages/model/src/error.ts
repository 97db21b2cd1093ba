export type ModelErrorCode =
  /** A configuration, or a name in it, that no model has. */
  | 'bad-config'
  /** A token id outside the vocabulary. */
  | 'bad-token'
  /** A file that is missing, damaged or no file of its format. */
  | 'bad-file'
  /** Weights that could not be downloaded, or not be put into the cache. */
  | 'download'
  /** onnxruntime-node is asked for and not installed. */
  | 'no-runtime'
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
