/** What a tokenizer is made of: ids it is asked to decode are inside the vocabulary. */
export interface Vocabulary {
  readonly size: number;
  readonly endOfText: number | null;
  readonly longestToken: number;
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
}
