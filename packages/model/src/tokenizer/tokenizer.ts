import { DIGIT_WORDS, fnv1a } from '@dag/expr';
import { checkList, checkText, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { characters } from './characters.js';
import { gpt2 } from './gpt2.js';
import type { Vocabulary } from './vocabulary.js';

/** Kinds of tokens that are told apart; with this prime all that expressions are written with are. */
export const TOKEN_KINDS = 4091;

/** What a token contributes to the numbers of an expression, and of what kind it is; fixed by its text. */
export interface TokenRecord {
  /** The digits it holds, 0 … 9, in the order of the text; a digit word (` five`) holds one. */
  readonly digits: readonly number[];
  /** It holds a minus: `-`, `−` (U+2212) or a word for it (` minus`, ` negative`). Whether that is a sign or an operator, the context tells. */
  readonly minus: boolean;
  /** It holds a decimal point: `.` or the word. */
  readonly point: boolean;
  /** 0 … TOKEN_KINDS − 1, a hash of its text: tokens that differ in digits or case alone are of one kind. */
  readonly kind: number;
}

export type TokenizerName = 'gpt2' | 'char';

/** Text to token ids and back. Ids are `0 … vocabSize − 1`. */
export interface Tokenizer {
  readonly name: TokenizerName;
  readonly vocabSize: number;
  /** The id that ends a document; null where there is none. No text encodes to it. */
  readonly endOfText: number | null;
  /** Most characters (UTF-16 code units) of one token: a text of n tokens has at most n times as many. */
  readonly longestToken: number;
  /** The ids of a text; any text encodes. */
  encode(text: string): number[];
  /**
   * The text of some ids. Bytes that are not (yet) whole characters become U+FFFD.
   * @throws ModelError `bad-token` for an id outside the vocabulary
   */
  decode(ids: readonly number[]): string;
  /**
   * What a token contributes to numbers; the same object at every call.
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
  const word = text.trim().toLowerCase();
  const digit = DIGIT_WORDS.indexOf(word);
  return {
    digits: digit >= 0 ? [digit] : Array.from(text.match(/[0-9]/g) ?? [], Number),
    minus: word === 'minus' || word === 'negative' || /[-−]/.test(text),
    point: word === 'point' || text.includes('.'),
    kind: fnv1a(text.toLowerCase().replace(/[0-9]/g, '0')) % TOKEN_KINDS,
  };
}

const made = new Map<TokenizerName, Tokenizer>();

/**
 * The tokenizer of a name; one shared instance each.
 *
 * - `gpt2`: GPT-2's byte-pair encoding, 50,257 ids.
 * - `char`: one id a character, 100 ids: for small models.
 *
 * @throws ModelError `bad-config` for any other name
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
