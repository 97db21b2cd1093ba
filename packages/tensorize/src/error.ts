/** The kinds of `TensorizeError`, its `code`. */
export type TensorizeErrorCode =
  /** The expression needs more numbers or steps than `depth` holds; `needed` is the smallest depth that fits. */
  | 'depth'
  /** The expression has variables where only numbers can be stored; `bind` gives them values. */
  | 'symbols'
  /** Values for variables that are missing, unknown, of different lengths, empty or not finite. */
  | 'bad-values'
  /** A number that is not finite, a malformed node, or (in `tensorizeAll`) a text that does not parse. */
  | 'bad-expression'
  /** An unknown option, or an option or index outside its range. */
  | 'bad-option'
  /**
   * Tensors whose array types or lengths do not fit the format, a magnitude that is negative or not finite, or a template that is
   * not one graph of finite numbers.
   */
  | 'bad-tensors'
  /** `detensorize` met a coefficient that is not whole, a domain other than 0 or 1, or a sign other than ±1. */
  | 'soft-plan'
  /** An expression of more than 10,000 nodes, a power above 16, or tensors that do not fit into memory. */
  | 'too-large';

/** The error that every function of this package throws on bad input. A text that does not parse is an `ExprError` instead. */
export class TensorizeError extends Error {
  override readonly name = 'TensorizeError';
  readonly code: TensorizeErrorCode;
  /** With code `depth`: the smallest depth that fits; undefined with all others. */
  readonly needed: number | undefined;
  /** From `tensorizeAll`: the index of the source that failed; undefined elsewhere. */
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
