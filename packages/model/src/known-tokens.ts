import { named } from './arguments.js';
import { ModelError } from './error.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

/** Rows that are shared: of all other numbers, and of all other tokens. */
const [OTHER_NUMBER, OTHER] = [0, 1];
const SHARED = 2;

/** Rows of an embedding in which only some tokens have one of their own; the others share the first two. */
export class KnownTokens {
  /** Number of rows. */
  readonly size: number;
  readonly #ids: readonly number[];
  readonly #rows: Map<number, number>;
  readonly #tokenizer: Tokenizer;

  /** @throws {ModelError} `bad-config` unless `ids` are ascending token ids. */
  constructor(ids: readonly number[], tokenizer: Tokenizer) {
    const areIds =
      Array.isArray(ids) &&
      ids.every((id, i) => Number.isInteger(id) && id > (ids[i - 1] ?? -1) && id < tokenizer.vocabSize);
    if (!areIds)
      throw new ModelError(
        'bad-config',
        `known is a list of ascending token ids below ${tokenizer.vocabSize}, given ${named(ids)}`,
      );
    this.size = ids.length + SHARED;
    this.#ids = ids;
    this.#rows = new Map(ids.map((id, i) => [id, i + SHARED]));
    this.#tokenizer = tokenizer;
  }

  /** The rows of tokens. @throws {ModelError} `bad-token` for an id outside the vocabulary. */
  rows(ids: Int32Array): Int32Array {
    return ids.map((id) => this.#rows.get(id) ?? this.#shared(id));
  }

  /** The row of a token that is not known; it is kept. */
  #shared(id: number): number {
    const row = this.#tokenizer.record(id).digits.length > 0 ? OTHER_NUMBER : OTHER;
    this.#rows.set(id, row);
    return row;
  }

  /** Logits of rows as those of all ids: −∞ for tokens without a row of their own. */
  logitsById(rows: Float32Array): Float32Array {
    const logits = new Float32Array(this.#tokenizer.vocabSize).fill(-Infinity);
    this.#ids.forEach((id, i) => (logits[id] = rows[i + SHARED]!));
    return logits;
  }
}
