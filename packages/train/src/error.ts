/** The `code` of a `TrainError`. */
export type TrainErrorCode =
  /** A configuration has wrong keys or values; the message has a line for each. */
  | 'bad-config'
  /** A checkpoint is damaged, or of the wrong kind. */
  | 'bad-checkpoint'
  /** No checkpoint was found. */
  | 'no-checkpoint'
  /** The folder already holds another run or other token files, or another process writes to it. */
  | 'busy-directory'
  /** The file system refused: disk full, no permission, no such folder. */
  | 'io'
  /** There is not enough memory for the model or a step. */
  | 'memory'
  /** MPI cannot be loaded, does not belong to the launcher, or failed; or ranks have different weights. */
  | 'mpi'
  /** An argument or an input text is not accepted, or a loss or gradient is no longer finite. */
  | 'bad-input';

/** Thrown by all functions of this package for errors that the caller can act on. */
export class TrainError extends Error {
  override readonly name = 'TrainError';
  readonly code: TrainErrorCode;

  constructor(code: TrainErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
