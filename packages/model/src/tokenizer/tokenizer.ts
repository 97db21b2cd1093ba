import { fnv1a, symbolOf } from '@dag/expr';
import { checkList, checkText, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { characters } from './characters.js';
import { gpt2 } from './gpt2.js';
import type { Vocabulary } from './vocabulary.js';

/** Number of hash buckets for token kinds. With this prime no two tokens used in expressions collide. */
export const TOKEN_KINDS = 4091;

/** What a token contributes to the numbers of an expression. It follows from the token's text and is not trained. */
export interface TokenRecord {
  /** The digits in the token, 0 … 9, in order. A digit word (` five`) has one. */
  readonly digits: readonly number[];
  /** Whether the token has a minus: `-`, ` minus` or ` negative`. It may be a sign or an operator. */
  readonly minus: boolean;
  /** Whether the token has a decimal point: `.` or ` point`. */
  readonly point: boolean;
  /** Hash bucket of the token's text, 0 … 4090. Tokens that differ only in digits or case are of one kind. */
  readonly kind: number;
}

/** The names of tokenizers: GPT-2's byte-pair encoding, or single characters. */
export type TokenizerName = 'gpt2' | 'char';

/** Text to token ids and back. Ids are `0 … vocabSize − 1`. */
export interface Tokenizer {
  readonly name: TokenizerName;
  /** Number of ids. */
  readonly vocabSize: number;
  /** The id that ends a document; null where there is none. No text encodes to it. */
  readonly endOfText: number | null;
  /** Length of the longest token in UTF-16 code units, so that n tokens have at most n · longestToken. */
  readonly longestToken: number;
  /** Encodes a text; every string has ids. @throws ModelError `bad-input` unless it is a string */
  encode(text: string): number[];
  /**
   * Decodes ids. Bytes that are not whole characters become U+FFFD.
   * @throws ModelError `bad-token` for an id outside the vocabulary
   */
  decode(ids: readonly number[]): string;
  /**
   * The record of a token; the same object in every call.
   * @throws ModelError `bad-token` for an id outside the vocabulary
   */
  record(id: number): TokenRecord;
}

class VocabularyTokenizer implements Tokenizer {
  readonly name: TokenizerName;
  readonly vocabSize: number;
  readonly endOfText: number | null;
  readonly longestToken: number;
  readonly #vocabulary: Vocabulary;
  readonly #records = new Map<number, TokenRecord>();

  constructor(name: TokenizerName, vocabulary: Vocabulary) {
    this.name = name;
    this.vocabSize = vocabulary.size;
    this.endOfText = vocabulary.endOfText;
    this.longestToken = vocabulary.longestToken;
    this.#vocabulary = vocabulary;
  }

  encode(text: string): number[] {
    checkText('a text', text);
    return this.#vocabulary.encode(text);
  }

  decode(ids: readonly number[]): string {
    checkList('token ids as an array', ids);
    for (const id of ids) this.#check(id);
    return this.#vocabulary.decode(ids);
  }

  record(id: number): TokenRecord {
    let record = this.#records.get(id);
    if (!record) {
      this.#check(id);
      record = recordOf(this.#vocabulary.decode([id]));
      this.#records.set(id, record);
    }
    return record;
  }

  #check(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize) {
      throw new ModelError(
        'bad-token',
        `token id ${named(id)} is not in the ${this.name} vocabulary: expected an integer in 0 … ${this.vocabSize - 1}`,
      );
    }
  }
}

function recordOf(text: string): TokenRecord {
  const said = symbolOf(text.trim()) ?? '';
  const symbols = /^[\d.-]$/.test(said) ? said : text;
  return {
    digits: Array.from(symbols.match(/[0-9]/g) ?? [], Number),
    minus: symbols.includes('-'),
    point: symbols.includes('.'),
    kind: fnv1a(text.toLowerCase().replace(/[0-9]/g, '0')) % TOKEN_KINDS,
  };
}

const made = new Map<TokenizerName, Tokenizer>();

/**
 * Returns the shared tokenizer of a name:
 *
 * - `gpt2`: GPT-2's byte-pair encoding, 50,257 ids.
 * - `char`: one id a character, 100 ids, for small models.
 *
 * @throws ModelError `bad-config` for any other name; `no-runtime` for `gpt2` in a page that has not imported
 *   `@dag/model/gpt2-tokens`
 * @example tokenizer('char').encode('1 + 2') // [17, 0, 11, 0, 18]
 */
export function tokenizer(name: TokenizerName): Tokenizer {
  let found = made.get(name);
  if (!found) {
    found = new VocabularyTokenizer(name, vocabularyOf(name));
    made.set(name, found);
  }
  return found;
}

function vocabularyOf(name: TokenizerName): Vocabulary {
  switch (name) {
    case 'gpt2':
      return gpt2();
    case 'char':
      return characters();
    default:
      throw new ModelError(
        'bad-config',
        `there is no tokenizer ${named(name satisfies never)}: expected "gpt2" or "char"`,
      );
  }
}
