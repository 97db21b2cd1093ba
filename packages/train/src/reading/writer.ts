/** A word of a text with what it writes. */
export interface Word {
  readonly text: string;
  /** Name of its decision; 'none' where it writes nothing, null where that has no meaning. */
  readonly decision: string | null;
  /** Change of nesting: an opening one counts from the next word on, a closing one from this word on. */
  readonly nesting: number | 'then';
  /** Whether the text up to here is a whole expression; null where that is left open. */
  readonly complete: boolean | null;
}

/** Writes words, and keeps count of what each of them closes and lacks. */
export class Writer {
  readonly words: Word[] = [];
  /** Changes of nesting that the next operator brings. */
  #closing = 0;
  /** Operands and closings that are still to come. */
  lacking = 0;
  #numbers = 0;
  foreign = false;
  #begun: { readonly decision: string; readonly then: boolean } | null = null;

  /** The next word writes this decision. @param then Whether it ends all that stands before it. */
  begin(decision: string, then: boolean): void {
    this.#begun = { decision, then };
  }
  /** Whether a group ended whose end no word has written yet. */
  get closes(): boolean {
    return this.#closing < 0;
  }

  word(text: string, own = 'none', open = 0, ends = false): void {
    const { decision, then } = this.#begun ?? { decision: own, then: ends };
    this.#begun = null;
    let nesting: number | 'then' = open;
    if (decision !== 'none' && decision !== 'percent' && this.#closing < 0) {
      nesting = this.#closing;
      this.#closing = 0;
      if (open > 0) throw new RangeError(`'${text}' closes and opens`);
    }
    if (then) {
      nesting = 'then';
      this.#closing = 0;
    }
    this.words.push({ text, decision: this.foreign ? null : decision, nesting, complete: this.complete() });
  }
  /** A group ended without a word of its own. */
  close(): void {
    this.#closing--;
  }
  complete(): boolean {
    return !this.foreign && this.lacking === 0 && this.#numbers > 0;
  }
  number(text: string, own = 'none'): void {
    this.#numbers++;
    this.lacking--;
    this.word(text, own);
  }
  /** Says of the text up to the last word whether it is whole; null leaves that open. */
  setComplete(complete: boolean | null): void {
    const last = this.words.at(-1)!;
    this.words[this.words.length - 1] = { ...last, complete };
  }
}
