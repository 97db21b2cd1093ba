export type ExprErrorCode =
  /** The text is no expression: something is missing or unexpected at `position`. */
  | 'syntax'
  /** Valid elsewhere (functions, units, `2^3`, …) but not part of arithmetic here. */
  | 'unsupported'
  /** A number that is too large for an IEEE double, or not finite. */
  | 'not-finite'
  /** Longer than `maxLength` characters, or an expression of more than 1,000,000 nodes, as one that contains itself. */
  | 'too-long'
  /** Nested deeper than `maxDepth` levels. */
  | 'too-deep'
  /** A node that is none of an expression's, from a caller without types. */
  | 'bad-expression'
  /** `evaluate` met a variable that `scope` does not define. */
  | 'unknown-symbol'
  /** An option or argument outside its range. */
  | 'bad-option';

/** What every function of this package throws on bad input. */
export class ExprError extends Error {
  override readonly name = 'ExprError';
  readonly code: ExprErrorCode;
  /** Index of the first offending character of the text, counted from 0; −1 where there is no text. */
  readonly position: number;

  constructor(code: ExprErrorCode, message: string, position = -1) {
    super(message);
    this.code = code;
    this.position = position;
  }
}
