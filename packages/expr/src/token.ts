export type TokenKind =
  | 'number'
  | 'symbol'
  /** A binary operator. */
  | 'operator'
  /** A unary plus or minus. */
  | 'sign'
  | 'open'
  | 'close'
  /** A whole `^ -1` or `^(-1)`. */
  | 'inverse'
  /** The begin of a token that the end of the text cut off: `^ -`, `1e`, `.`. */
  | 'cut';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Index of its first character. */
  readonly position: number;
}
