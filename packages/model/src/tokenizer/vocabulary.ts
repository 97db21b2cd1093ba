/** A tokenizer without checks: `decode` is only called with ids of the vocabulary. */
export interface Vocabulary {
  readonly size: number;
  readonly endOfText: number | null;
  readonly longestToken: number;
  /** The pieces of a text, in order, that are encoded each by itself. */
  pieces(text: string): string[];
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
  /** The tokens that encode texts of the tokens `ids` alone, and tell other texts from them; null where there is nothing to load. */
  tokensFor(ids: readonly number[]): TokenTable | null;
}

/** Some tokens of a vocabulary: ids, ascending, and the bytes of each. */
export interface TokenTable {
  readonly ids: readonly number[];
  readonly tokens: readonly Uint8Array[];
}
