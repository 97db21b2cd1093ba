import { chatter, chatterWord } from './chatter.js';
import { chosen, pick } from './choose.js';
import { ENDS, FOREIGN, PEOPLE, THINGS, UNKNOWN, VERBS } from './foreign.js';
import { SYMBOLS_DENSE, SymbolText } from './symbols.js';
import { CLOSINGS, GREETINGS } from './surroundings.js';
import type { Word } from './writer.js';

/** A text to be refused: an expression with a fault, a story, or what plans cannot say. */
export class ForeignText extends SymbolText {
  write(): boolean {
    const { random } = this;
    const roll = random.below(20);
    if (random.chance(0.1)) this.say(pick(random, GREETINGS));
    this.begin = this.w.words.length;
    if (roll < 5) this.corrupted();
    else if (roll < 8) this.story();
    else if (roll < 13) this.foreignTemplate(chosen(random, pick(random, UNKNOWN)));
    else {
      if (random.chance(0.1)) this.opening();
      this.foreignTemplate(chosen(random, pick(random, FOREIGN)));
    }
    this.leaveStartOpen();
    if (random.chance(0.3)) this.say(pick(random, CLOSINGS));
    return true;
  }

  /** "What is 5" may be all of a text, whatever follows here. */
  private leaveStartOpen(): void {
    const { words } = this.w;
    const end = words.findIndex(({ text }) => /^\d/.test(text));
    if (end < 0) return;
    let first = end;
    while (first > this.begin && /^(?:[-+]|minus|negative)$/.test(words[first - 1]!.text)) first--;
    if (!this.isBare(first)) return;
    for (let i = end; i <= end || /^(?:%|percent)$/.test(words[i]?.text ?? ''); i++)
      words[i] = { ...words[i]!, complete: null };
  }

  foreignTemplate(phrase: string): void {
    const { w, random } = this;
    // What stands before the mark may begin other texts, in which it writes something.
    const before = w.words.length;
    const leaveOpen = (): void =>
      w.words.forEach((word, i) => {
        if (i >= before && !w.foreign) w.words[i] = { ...word, decision: null, complete: null };
      });
    for (const part of phrase.split(' ')) {
      if (part === '!') {
        leaveOpen();
        w.foreign = true;
      } else if (part === '!!') w.word('!');
      else if (part === 'W') this.say(chatterWord(random));
      else if (part === 'WW') this.say(chatter(random, 4));
      else if (part === 'X') {
        w.lacking++;
        this.tree(random.chance(0.6) ? 1 : 1 + random.below(3), 'right', 0, SYMBOLS_DENSE);
      } else if (part === 'N') {
        w.lacking++;
        this.signed();
      } else if (part === 'H') {
        this.fraction(true);
        w.setComplete(false);
      } else if (part === 'U') {
        w.lacking++;
        w.number(this.draw());
      } else if (/^[-+*/=<>,?.:()^;]$/.test(part))
        w.word(part, { '+': 'add', '-': 'sub', '*': 'mul', '/': 'div' }[part] ?? 'none');
      else this.say(part);
    }
    w.foreign = true;
  }

  story(): void {
    const { w, random } = this;
    w.foreign = true;
    const words = (phrase: string): void => {
      const filled = chosen(random, phrase)
        .split(' ')
        .map((word) => (word === 'T' ? pick(random, THINGS) : word === 'P' ? pick(random, PEOPLE) : word));
      for (const word of filled.join(' ').split(' ')) if (word !== '') this.say(word);
    };
    const sentences = 1 + random.below(3);
    for (let i = 0; i < sentences; i++) {
      if (i > 0)
        words(pick(random, ['.', '.', 'and', ', and then', '. if', '. then', 'but', '. after that ,']));
      words(pick(random, PEOPLE));
      words(pick(random, VERBS));
      this.signed();
      words(pick(random, THINGS));
      if (random.chance(0.3)) {
        words(pick(random, ['and', 'for', 'at', 'in', 'with', 'each with', 'that cost', 'from']));
        this.signed();
        words(pick(random, THINGS));
      }
    }
    words('.');
    words(pick(random, ENDS));
  }

  /** An expression with a fault. */
  corrupted(): void {
    const { w, random } = this;
    if (random.chance(0.4)) this.opening();
    this.left = Math.max(2, this.left);
    this.symbols(this.left, 0);
    const words = [...w.words];
    const places = (test: (word: Word, i: number) => boolean): number[] =>
      words.flatMap((word, i) => (test(word, i) ? [i] : []));
    const isNumber = (word: Word | undefined): boolean => word !== undefined && /^\d/.test(word.text);
    const binary = places(
      ({ decision, text }, i) =>
        ['add', 'sub', 'mul', 'div'].includes(decision!) &&
        /^[-+*/]$/.test(text) &&
        isNumber(words[i - 1]) &&
        isNumber(words[i + 1]),
    );
    const kind = random.below(5);
    let at: number;
    if (kind === 0 && binary.length > 0) {
      at = pick(random, binary);
      words.splice(at, 1);
    } else if (kind === 1 && binary.length > 0) {
      at = pick(random, binary) + 1;
      words.splice(at, 0, { ...words[at - 1]!, text: pick(random, ['*', '/', ')', '^', '%']) });
    } else if (kind === 2) {
      at = words.length;
      words.push({
        ...words[0]!,
        text: pick(random, ['+', '-', '*', '/', '^', '( ', 'plus', 'times', ')']).trim(),
      });
    } else if (kind === 3) {
      const open = places(({ text }) => text === ')');
      at = open.length > 0 ? pick(random, open) : words.length;
      if (open.length > 0) words.splice(at, 1);
      else words.push({ ...words[0]!, text: ')' });
    } else {
      const numbers = places((word) => isNumber(word));
      at = pick(random, numbers) + 1;
      words.splice(at, 0, { ...words[at - 1]!, text: this.draw() });
    }
    w.words.length = 0;
    words.forEach((word, i) =>
      w.words.push(i < at ? word : { ...word, decision: null, nesting: 0, complete: false }),
    );
    w.foreign = true;
  }
}
