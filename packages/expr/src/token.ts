/** The kinds of tokens. */
export type TokenKind =
  | 'number'
  | 'symbol'
  /** A binary operator. */
  | 'operator'
  /** A unary plus or minus. */
  | 'sign'
  | 'open'
  /** The beginning of a function's argument: `sqrt(`, and the first `|` of `|x|`. */
  | 'function'
  | 'close'
  /** `%` after a number or group. */
  | 'percent'
  /** `^` or `**`. */
  | 'power'
  /** A token that the end of the text cut off: `1e`, `.`. */
  | 'cut';

/** A token of an expression. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Index of its first character. */
  readonly position: number;
}
