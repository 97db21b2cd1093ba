/** The kinds of `ExprError`, its `code`. */
export type ExprErrorCode =
  /** The text is no expression: something is missing or unexpected at `position`. */
  | 'syntax'
  /** Something that other languages have and this one does not: functions, units, `2^3`, … */
  | 'unsupported'
  /** A text in words that can be read in two ways, with different values. */
  | 'ambiguous'
  /** A number that is too large for an IEEE double, or not finite. */
  | 'not-finite'
  /** A text of more than `maxLength` characters, phrases of more than 250 words or 1,000 readings of parts, or an expression of more than 1,000,000 nodes, such as one that contains itself. */
  | 'too-long'
  /** Parentheses and signs nested deeper than `maxDepth` levels, or deeper than the stack allows. */
  | 'too-deep'
  /** An object that is no node of an expression, from a caller without types. */
  | 'bad-expression'
  /** `evaluate` met a variable that `scope` does not define. */
  | 'unknown-symbol'
  /** An option or argument outside its range. */
  | 'bad-option';

/** The error that every function of this package throws on bad input. */
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
