import { asRead, asWords, fnv1a, symbolOf } from '@dag/expr';
import { checkList, checkText, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { characters } from './characters.js';
import { gpt2, someOfGpt2 } from './gpt2.js';
import type { TokenTable, Vocabulary } from './vocabulary.js';

/** Number of hash buckets for token kinds. With this prime no two tokens used in expressions collide. */
export const TOKEN_KINDS = 4091;

/** What a token contributes to the numbers of an expression. It follows from the token's text and is not trained. */
export interface TokenRecord {
  /** The digits in the token, 0 … 9, in order. A digit word (` five`) has one. */
  readonly digits: readonly number[];
  /** Whether the token has a decimal point: `.` or ` point`; of the tokenizer `words`, a point within a number alone. */
  readonly point: boolean;
  /** Whether its text begins with a blank, and is no digit or point in words: digits in it are not those of the number before it. */
  readonly begins: boolean;
  /** Whether digits in it are those of the number before it though a comma stands between, as in `80,000`; see `records`. */
  readonly continues?: boolean;
  /** How many more parentheses it opens than it closes; 0 where left out. */
  readonly opens?: number;
  /** Hash bucket of the token's text, 0 … 4090. Tokens that differ only in digits or case are of one kind. */
  readonly kind: number;
}

/** The names of tokenizers: GPT-2's byte-pair encoding, single characters, or GPT-2's tokens of `asWords`. */
export type TokenizerName = 'gpt2' | 'char' | 'words';

/** Text to token ids and back. Ids are `0 … vocabSize − 1`. */
export interface Tokenizer {
  readonly name: TokenizerName;
  /** Number of ids. */
  readonly vocabSize: number;
  /** The id that ends a document; null where there is none. No text encodes to it. */
  readonly endOfText: number | null;
  /** Length of the longest token in UTF-16 code units, so that n tokens have at most n · longestToken. */
  readonly longestToken: number;
  /** A text as models with this tokenizer read it, in training as in prediction: the text that they encode. */
  read(text: string): string;
  /** The row of the embedding that a token has: its own, except that of `words` all tokens of digits share one. */
  row(id: number): number;
  /**
   * The pieces of a text, in order, that are encoded each by itself: words and numbers with the blank before them, punctuation, blanks; of
   * `char` its characters. @throws ModelError `bad-input` for what is no string
   */
  pieces(text: string): string[];
  /** Encodes a text; every string has ids. @throws ModelError `bad-input` for what is no string */
  encode(text: string): number[];
  /**
   * Encodes a text in which people calculate: as `encode`, but of several signs beside a number each by itself, since each may mean something:
   * `)*(` are three tokens. @throws ModelError `bad-input` for what is no string
   */
  encodeSigns(text: string): number[];
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
  /**
   * The records of the tokens of a running text, where a comma between two tokens of digits separates thousands (GPT-2's tokens alone).
   * @throws ModelError `bad-token` for an id outside the vocabulary
   */
  records(ids: ArrayLike<number>): TokenRecord[];
}

/** GPT-2 has tokens such as `*(-`, of which each symbol decides something: a blank keeps them apart. */
const BETWEEN_SYMBOLS = /(?<=[-+*/^%()])(?=[-+*/^%().])/g;

const SIGN = String.raw`[-+*/^%()[\]=$€£×÷·⋅−–—]`;
/** Between two signs of a row that a number precedes or follows. Rows are short, which keeps the search linear. */
const BETWEEN_SIGNS = new RegExp(`(?<=\\d${SIGN}{1,8})(?=${SIGN})|(?<=${SIGN})(?=${SIGN}{1,8}\\.?\\d)`);

class VocabularyTokenizer implements Tokenizer {
  readonly name: TokenizerName;
  readonly vocabSize: number;
  readonly endOfText: number | null;
  readonly longestToken: number;
  readonly #vocabulary: Vocabulary;
  readonly #records = new Map<number, TokenRecord>();
  #zeros: [rest: number, first: number] | null = null;

  constructor(name: TokenizerName, vocabulary: Vocabulary) {
    this.name = name;
    this.vocabSize = vocabulary.size;
    this.endOfText = vocabulary.endOfText;
    this.longestToken = vocabulary.longestToken;
    this.#vocabulary = vocabulary;
  }

  read(text: string): string {
    if (this.name === 'words') return ` ${asWords(text)}`;
    return this.name === 'gpt2' ? asRead(text).replace(BETWEEN_SYMBOLS, ' ') : asRead(text);
  }

  row(id: number): number {
    const [first] = this.record(id).digits;
    if (this.name !== 'words' || first === undefined) return id;
    this.#zeros ??= [this.#vocabulary.encode('0')[0]!, this.#vocabulary.encode(' 0')[0]!];
    return this.#zeros[Number(this.record(id).begins)]!;
  }

  pieces(text: string): string[] {
    checkText('a text', text);
    return this.#vocabulary.pieces(text);
  }

  encode(text: string): number[] {
    checkText('a text', text);
    return this.#vocabulary.encode(text);
  }

  encodeSigns(text: string): number[] {
    checkText('a text', text);
    return text.split(BETWEEN_SIGNS).flatMap((part) => this.#vocabulary.encode(part));
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
      const text = this.#vocabulary.decode([id]);
      record = this.name === 'words' ? wordRecord(text) : recordOf(text);
      this.#records.set(id, record);
    }
    return record;
  }

  records(ids: ArrayLike<number>): TokenRecord[] {
    checkList('token ids as an array', ids);
    const records = Array.from(ids, (id) => this.record(id));
    if (this.name !== 'gpt2') return records;
    return records.map((record, t) => {
      const isBehindComma = !record.begins && t > 1 && this.decode([ids[t - 1]!]) === ',';
      const isJoined = isBehindComma && (records[t - 2]?.digits.length ?? 0) > 0;
      return isJoined && record.digits.length > 0 ? { ...record, continues: true } : record;
    });
  }

  /** What a file needs, so that a page without the whole vocabulary can read texts whose tokens have these rows of the embedding. */
  tokensFor(rows: readonly number[]): TokenTable | null {
    const used = new Set(rows);
    const ids = Array.from({ length: this.vocabSize }, (_, id) => id);
    return this.#vocabulary.tokensFor(ids.filter((id) => id !== this.endOfText && used.has(this.row(id))));
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

/** How many more parentheses a text opens than it closes. */
export const opensIn = (text: string): number => text.split('(').length - text.split(')').length;

/** Whether a bar of `|x|` has no partner within the same parentheses. */
export function hasLoneBar(text: string): boolean {
  const isOpen = [false];
  for (const sign of text)
    if (sign === '|') isOpen.push(!isOpen.pop());
    else if (sign === '(') isOpen.push(false);
    else if (sign === ')' && isOpen.pop()) return true;
  return isOpen.includes(true);
}

function recordOf(text: string): TokenRecord {
  const said = symbolOf(text.trim()) ?? '';
  const isSpoken = /^[\d.]$/.test(said);
  const symbols = isSpoken ? said : text;
  return {
    digits: Array.from(symbols.match(/[0-9]/g) ?? [], Number),
    point: symbols.includes('.'),
    begins: /^\s/.test(text) && !isSpoken,
    opens: opensIn(text),
    kind: fnv1a(text.toLowerCase().replace(/[0-9]/g, '0')) % TOKEN_KINDS,
  };
}

/** The record of a token of `asWords`, where a number begins with a blank, and a point without one is within a number. */
function wordRecord(text: string): TokenRecord {
  const digits = /^ ?[0-9]+$/.test(text) ? Array.from(text.trim(), Number) : [];
  const point = text === '.';
  return { ...recordOf(text), digits, point };
}

const made = new Map<TokenizerName, Tokenizer>();

/**
 * Returns the shared tokenizer of a name:
 *
 * - `gpt2`: GPT-2's byte-pair encoding, 50,257 ids.
 * - `char`: one id a character, 100 ids, for small models.
 * - `words`: GPT-2's ids of texts as `asWords` of @dag/expr writes them. All tokens of digits share an embedding.
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

/**
 * The tokenizer of a model whose file has a table of tokens: that of the table, also where all tokens are here, so that unknown words are the same
 * tokens everywhere.
 */
export function tokenizerWith(name: TokenizerName, table: TokenTable | null): Tokenizer {
  if (table === null || name === 'char') return tokenizer(name);
  return new VocabularyTokenizer(name, someOfGpt2(table));
}

/** The table of tokens for a file that has these rows of the embedding; null where the tokenizer needs none. */
export function tokenTableFor(of: Tokenizer, rows: readonly number[]): TokenTable | null {
  return of instanceof VocabularyTokenizer ? of.tokensFor(rows) : null;
}

function vocabularyOf(name: TokenizerName): Vocabulary {
  switch (name) {
    case 'gpt2':
    case 'words':
      return gpt2();
    case 'char':
      return characters();
    default:
      throw new ModelError(
        'bad-config',
        `there is no tokenizer ${named(name satisfies never)}: expected "gpt2", "char" or "words"`,
      );
  }
}
