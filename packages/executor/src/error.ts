/** The kind of an `ExecutorError`. */
export type ExecutorErrorCode =
  /** Shapes that do not fit the operation. */
  | 'shape'
  /** A dtype that the operation does not take. */
  | 'dtype'
  /** A value outside its range, such as an index beyond a table. */
  | 'value'
  /** Tensors of different devices in one operation, or a device that is not there. */
  | 'device'
  /** A device has no memory left for what was asked for. */
  | 'memory'
  /** `backward` where nothing requires a gradient, or where a saved tensor was changed in place. */
  | 'autograd'
  /** What a recorded step cannot repeat, such as a value that JavaScript reads in its middle. */
  | 'recording'
  /** A tensor used after the scope that owned it was left. */
  | 'released';

/** Error of every function of this package for bad input; the message names the function, what it was given and what it expects. */
export class ExecutorError extends Error {
  override readonly name = 'ExecutorError';
  readonly code: ExecutorErrorCode;

  constructor(code: ExecutorErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The first line of an error's message; Node adds lines that list the requiring modules. */
export function firstLine(error: unknown): string {
  const { message } = Object(error) as { message?: unknown };
  return String(message ?? error).split('\n')[0]!;
}
