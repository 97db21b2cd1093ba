/** A tokenizer without checks: `decode` is only called with ids of the vocabulary. */
export interface Vocabulary {
  readonly size: number;
  readonly endOfText: number | null;
  readonly longestToken: number;
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
}
