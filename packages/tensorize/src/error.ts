export type TensorizeErrorCode =
  /** The expression needs more numbers or steps than `depth` holds; `needed` is the smallest depth that fits. */
  | 'depth'
  /** The expression has variables where only numbers can be stored; `bind` gives them values. */
  | 'symbols'
  /** Values for variables that are missing, unknown, of different lengths, empty or not finite. */
  | 'bad-values'
  /** The source is no expression, or holds a number that is not finite. */
  | 'bad-expression'
  /** An option or index outside its range. */
  | 'bad-option'
  /** Tensors whose arrays do not have the shapes or contents of the format. */
  | 'bad-tensors'
  /** A plan that is read as an expression has a coefficient, domain or sign between the exact ones. */
  | 'soft-plan'
  /** A plan that would be too long an expression, because it uses its nodes again and again; tensors that memory has no room for. */
  | 'too-large';

/** What every function of this package throws on bad input; text that does not parse is an `ExprError`. */
export class TensorizeError extends Error {
  override readonly name = 'TensorizeError';
  readonly code: TensorizeErrorCode;
  /** With code `depth`: the smallest depth that fits. */
  readonly needed: number | undefined;
  /** From `tensorizeAll`: the index of the source that failed. */
  readonly index: number | undefined;

  constructor(
    code: TensorizeErrorCode,
    message: string,
    details: { needed?: number | undefined; index?: number; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.needed = details.needed;
    this.index = details.index;
  }
}
