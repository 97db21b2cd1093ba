/** Why training, evaluation or a file of theirs failed. */
export type TrainErrorCode =
  /** A configuration with wrong keys or values; the message has a line for each. */
  | 'bad-config'
  /** A checkpoint that is damaged, or not of the kind that is needed. */
  | 'bad-checkpoint'
  /** No checkpoint where one was looked for. */
  | 'no-checkpoint'
  /** The folder holds another run, or other token files, already; or another process writes to it. */
  | 'busy-directory'
  /** The file system refused: disk full, no permission, no such folder. */
  | 'io'
  /** This machine has no memory left for the model or a step. */
  | 'memory'
  /** MPI that cannot be loaded, does not belong to the launcher, or failed. */
  | 'mpi'
  /** An argument or an input text outside what is accepted. */
  | 'bad-input';

/** What every function of this package throws for reasons that its caller can act on. */
export class TrainError extends Error {
  override readonly name = 'TrainError';
  readonly code: TrainErrorCode;

  constructor(code: TrainErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
