import type { ProblemWord } from './problem-text.js';

/** Words that a model does not know are one of so many unknown things, the same one within a problem. */
export const UNKNOWN = 24;
/** Most numbers of a problem. */
export const MOST_SLOTS = 8;
/** Ids before those of words: padding, the end, unknown things, numbers. */
const FIRST_NUMBER = 2 + UNKNOWN;
const FIRST_WORD = FIRST_NUMBER + MOST_SLOTS;
const END = 1;

/** Endings of tokens: none, plural, and of the tokens after the text. */
export const ENDINGS = 3;
/** Where tokens stand: among the facts, there with the same token in the question, in the question, after the text. */
export const PLACES = 4;

/** A problem as token ids, endings and places: its words, then its numbers once more, then the end. */
export interface EncodedProblem {
  readonly ids: number[];
  readonly endings: number[];
  readonly places: number[];
}

/** What hides words: other numbers of the unknown things, and known words as unknown ones. */
export interface Hiding {
  /** The order in which unknown things are numbered. */
  readonly order: readonly number[];
  /** Whether a known word is hidden. */
  readonly hides: (stem: string) => boolean;
}

const IN_ORDER: Hiding = { order: Array.from({ length: UNKNOWN }, (_, i) => i), hides: () => false };

/** The words that a model knows. */
export class ProblemVocabulary {
  readonly words: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  constructor(words: readonly string[]) {
    this.words = words;
    this.#ids = new Map(words.map((word, i) => [word, FIRST_WORD + i]));
  }

  /** Number of token ids. */
  get size(): number {
    return FIRST_WORD + this.words.length;
  }

  /** Ids that end a sentence. */
  get stops(): readonly number[] {
    return ['.', '?'].flatMap((stop) => this.#ids.get(stop) ?? []);
  }

  /** Tokens of a problem of so many numbers. @param hiding In training; none by default. */
  encode(
    words: readonly ProblemWord[],
    numbers: number,
    { order, hides }: Hiding = IN_ORDER,
  ): EncodedProblem {
    const ids: number[] = [];
    const endings: number[] = [];
    const unknown = new Map<string, number>();
    for (const { stem, isPlural } of words) {
      const number = /^number(\d+)$/.exec(stem);
      let id = number ? FIRST_NUMBER + Math.min(Number(number[1]), MOST_SLOTS - 1) : unknown.get(stem);
      if (id === undefined) {
        id = this.#ids.get(stem);
        if (id === undefined || hides(stem)) {
          id = 2 + order[unknown.size % UNKNOWN]!;
          unknown.set(stem, id);
        }
      }
      ids.push(id);
      endings.push(Number(isPlural));
    }
    const from = questionOf(words);
    const asked = new Set(ids.slice(from));
    const places: number[] = ids.map((id, i) => (i >= from ? 2 : asked.has(id) ? 1 : 0));
    for (let i = 0; i < numbers; i++) ids.push(FIRST_NUMBER + i);
    ids.push(END);
    while (endings.length < ids.length) {
      endings.push(2);
      places.push(3);
    }
    return { ids, endings, places };
  }
}

const ASKS = new Set(['how', 'what', 'which', 'find']);
/** Index of the word with which the question begins: the last one that asks, or else the first of the last sentence. */
function questionOf(words: readonly ProblemWord[]): number {
  const asks = words.findLastIndex(({ stem }) => ASKS.has(stem));
  return asks >= 0 ? asks : words.slice(0, -1).findLastIndex(({ stem }) => stem === '.') + 1;
}
