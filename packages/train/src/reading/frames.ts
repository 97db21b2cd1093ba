import { fnv1a, randomStream, type Random } from '@dag/expr';
import { ENDS, FOREIGN, PEOPLE, THINGS, VERBS } from './foreign.js';
import {
  BEHIND,
  CLOSINGS,
  COMMANDS,
  CONNECTORS,
  GREETINGS,
  INFIX,
  NOUNS,
  OPENINGS,
  POWERS,
  PRODUCTS,
  QUESTIONS,
  REQUESTS,
  STARTS,
  STEPS,
} from './phrases.js';

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

export interface FrameOptions {
  readonly seed: number;
  readonly index: number;
  /** Most numbers, about: a phrase may have one more. */
  readonly numbers: number;
  /** Fewest numbers to be asked for; 1 by default. */
  readonly fewest?: number;
  readonly maxDigits: number;
  readonly maxDecimals: number;
  /** Which phrases: those to train on, those held out, or all. */
  readonly phrases: 'trained' | 'held-out' | 'all';
  /** Probability of a text to be refused; 0 by default. */
  readonly foreign?: number;
}

export interface Frame {
  readonly words: readonly Word[];
  /** The rarest phrase in it: how it is counted in evaluations. */
  readonly kind: string;
  readonly readable: boolean;
}

/** Writes words, and keeps count of what each of them closes and lacks. */
class Writer {
  readonly words: Word[] = [];
  /** Changes of nesting that the next operator brings. */
  #closing = 0;
  /** Operands and closings that are still to come. */
  lacking = 0;
  #numbers = 0;
  foreign = false;

  word(text: string, decision = 'none', open = 0, then = false): void {
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
  number(text: string): void {
    this.#numbers++;
    this.lacking--;
    this.word(text);
  }
  /** The last word is no end of an expression. */
  incomplete(value: boolean | null = false): void {
    const last = this.words.at(-1)!;
    this.words[this.words.length - 1] = { ...last, complete: value };
  }
}

const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

const CHOICE = /\[([^\]]*)\]/g;
/** A template with its choices made. */
const chosen = (random: Random, template: string): string =>
  template
    .replace(CHOICE, (_, choices: string) => pick(random, choices.split('|')))
    .replace(/\s+/g, ' ')
    .trim();

/** One phrase in so many is held out. */
const HELD_OUT = 12;
/** With this salt of the hash all common phrases are trained, such as "the sum of". */
const SALT = 'held out 294';
const isHeldOut = (phrase: string): boolean => {
  let h = fnv1a(`${SALT} ${phrase}`);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h >>> 8) % HELD_OUT === 0;
};

/** All phrases that templates stand for. */
export function allPhrases(templates: readonly string[]): string[] {
  const expand = (template: string): string[] => {
    const match = /\[([^\]]*)\]/.exec(template);
    if (!match) return [template.replace(/\s+/g, ' ').trim()];
    return match[1]!.split('|').flatMap((choice) => expand(template.replace(match[0], choice)));
  };
  return templates.flatMap(expand);
}

/** The most digits of a number, with its decimals. */
const MOST_DIGITS = 30;

type Slot = 'atom' | 'sum';

/** Generates text `index` of the stream `seed` word by word. */
export function generateFrame(options: FrameOptions): Frame {
  const random = randomStream(options.seed, options.index);
  for (;;) {
    const frame = new Generator(random, options).frame();
    if (frame && frame.words.every(({ nesting }) => nesting === 'then' || Math.abs(nesting) <= 6))
      return frame;
  }
}

class Generator {
  readonly w = new Writer();
  readonly random: Random;
  readonly options: FrameOptions;
  left: number;
  depth = 0;
  hasHeldOut = false;
  readonly wholeNumbers: boolean;
  readonly small: boolean;

  constructor(random: Random, options: FrameOptions) {
    this.random = random;
    this.options = options;
    const { numbers, fewest = 1 } = options;
    this.left = fewest + random.below(numbers - fewest + 1);
    this.wholeNumbers = random.chance(0.4);
    this.small = random.chance(0.5);
  }

  frame(): Frame | null {
    const { random, w, options } = this;
    if (random.chance(options.foreign ?? 0)) return this.foreignText();
    const asks = random.below(100);
    const greets = random.chance(0.12);
    if (greets) this.say(pick(random, GREETINGS));
    let kind: string;
    let closes = 0.5;
    if (asks < 34) {
      kind = 'symbols';
      if (random.chance(0.6)) this.opening();
      this.symbols(this.left, 0);
    } else if (asks < 46) {
      kind = 'words';
      if (random.chance(0.6)) this.opening();
      this.infixWords();
    } else if (asks < 64) {
      kind = 'nouns';
      if (random.chance(0.85)) this.opening();
      this.left = Math.max(2, this.left);
      if (random.chance(0.2)) this.product();
      else if (random.chance(0.1)) this.template(pick(random, BEHIND));
      else this.noun();
      if (random.chance(0.25)) this.tail();
    } else if (asks < 78) {
      kind = 'commands';
      if (random.chance(0.25)) this.say(pick(random, REQUESTS));
      this.left = Math.max(2, this.left);
      this.template(this.phrase(COMMANDS));
    } else if (asks < 90) {
      kind = 'questions';
      this.left = Math.max(2, this.left);
      this.template(this.phrase(QUESTIONS));
      closes = 0.05;
    } else {
      kind = 'sequences';
      this.left = Math.max(2, this.left);
      this.sequence();
    }
    if (random.chance(closes)) this.say(pick(random, CLOSINGS));
    if (options.phrases === 'held-out' && !this.hasHeldOut) return null;
    return { words: w.words, kind, readable: true };
  }

  foreignText(): Frame {
    const { random, w } = this;
    const roll = random.below(10);
    if (random.chance(0.1)) this.say(pick(random, GREETINGS));
    if (roll < 3) this.corrupted();
    else if (roll < 5) this.story();
    else {
      if (roll === 9 && random.chance(0.5)) this.opening();
      this.foreignTemplate(chosen(random, pick(random, FOREIGN)));
    }
    if (random.chance(0.3)) this.say(pick(random, CLOSINGS));
    return { words: w.words, kind: 'foreign', readable: false };
  }

  foreignTemplate(phrase: string): void {
    const { w, random } = this;
    for (const part of phrase.split(' ')) {
      if (part === '!') w.foreign = true;
      else if (part === '!!') w.word('!');
      else if (part === 'X') {
        w.lacking++;
        this.tree(random.chance(0.6) ? 1 : 1 + random.below(3), 'right', 0, SYMBOLS_DENSE);
      } else if (part === 'N') {
        w.lacking++;
        this.signed();
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

  /** Words that write nothing. */
  say(text: string): void {
    for (const word of text.split(' ')) this.w.word(this.mistyped(word));
  }

  /** Now and then a letter of a word that writes nothing is wrong. */
  mistyped(word: string): string {
    const { random } = this;
    if (word.length < 4 || !/^[a-z]+$/.test(word) || !random.chance(0.01)) return word;
    const at = 1 + random.below(word.length - 2);
    const kind = random.below(3);
    if (kind === 0) return word.slice(0, at) + word.slice(at + 1);
    if (kind === 1) return word.slice(0, at) + word[at] + word.slice(at);
    return word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2);
  }

  opening(): void {
    this.say(pick(this.random, OPENINGS));
  }

  /** A phrase of the templates, trained or held out. */
  phrase(templates: readonly string[]): string {
    const { random, options } = this;
    const wantsHeldOut = options.phrases === 'held-out' && random.chance(0.7);
    for (let draw = 0; ; draw++) {
      const phrase = chosen(random, pick(random, templates));
      const heldOut = isHeldOut(phrase);
      if (options.phrases === 'trained' ? heldOut : wantsHeldOut && !heldOut && draw < 200) continue;
      if (heldOut) this.hasHeldOut = true;
      return phrase;
    }
  }

  /** Writes a template with its operands. */
  template(phrase: string): void {
    const { w, random } = this;
    const parts = phrase.split(' ');
    const slots = parts.filter((part) => /^[A-GINPEF](>|$)/.test(part) || part.startsWith('*')).length;
    w.lacking += slots;
    let opened = 0;
    let rest = slots;
    let isFirst = true;
    for (const part of parts) {
      // "5" is whole, until "less than 9" follows.
      if (!isFirst && rest === slots - 1 && /^[ABGNPF]/.test(parts[0]!) && part === parts[1])
        w.incomplete(null);
      isFirst = false;
      if (/^[AB]>/.test(part)) {
        this.writes = part.slice(2);
        this.startingOperand();
        rest--;
      } else if (/^[ABG]$/.test(part)) {
        const share =
          rest > 1 ? 1 + random.below(Math.max(1, this.left - rest + 1)) : random.chance(0.4) ? 1 : this.left;
        this.operand(Math.max(1, Math.min(share, this.left)), part === 'G' ? 'group' : 'atom');
        rest--;
      } else if (part === 'N') {
        this.signed(false);
        rest--;
      } else if (part === 'E') {
        this.exponent();
        rest--;
      } else if (part === 'P') {
        w.number(this.draw());
        if (part === parts[0]) w.incomplete(null);
        w.lacking++;
        const said = random.chance(0.5) ? '%' : pick(random, ['percent', 'per cent']);
        for (const word of said.split(' ').slice(0, -1)) w.word(word);
        w.lacking--;
        w.word(said.split(' ').at(-1)!, 'percent');
        rest--;
      } else if (part === 'F') {
        this.fraction();
        rest--;
      } else if (part === 'C') {
        w.lacking--;
        rest--;
        this.template(this.phrase(COMMANDS.filter((c) => !c.includes('find the'))));
      } else if (part === 'I') {
        w.lacking--;
        rest--;
        this.infix();
      } else if (part.startsWith('*')) {
        this.list(part.slice(1));
        rest--;
      } else {
        const [text, mark = ''] = part.split(':') as [string, string?];
        if (text === '') {
          w.word(':');
          continue;
        }
        if (mark === '') {
          this.say(text);
          continue;
        }
        const opens = mark.endsWith('(');
        const decision = mark.replace('(', '') || 'none';
        w.word(text, decision, opens ? 1 : 0);
        if (opens) {
          opened++;
          this.depth++;
        }
      }
    }
    for (; opened > 0; opened--) {
      w.close();
      this.depth--;
    }
  }

  /** What the next word writes besides its text. */
  writes: string | null = null;

  /** An operand whose first word writes an operator: a number without a minus, a group, or a noun phrase that begins with "the". */
  startingOperand(): void {
    const { w, random } = this;
    const before = w.words.length;
    const roll = random.below(10);
    if (roll < 5 || this.left < 2) {
      w.number(this.draw());
      this.left--;
    } else if (roll < 7) this.group(this.left);
    else {
      const phrase = this.phrase(NOUNS.filter((noun) => noun.startsWith('[the|]'))).replace(/^the /, '');
      this.nested(() => this.template(`the ${phrase}`));
    }
    const first = w.words[before]!;
    w.words[before] = { ...first, decision: this.writes };
    this.writes = null;
  }

  /** Operands in a list, at least two. */
  list(operator: string): void {
    const { w, random } = this;
    const most = operator === 'mean' ? 5 : 6;
    const n = Math.min(
      most,
      Math.max(2, 2 + (random.chance(0.5) ? 0 : random.below(Math.max(1, this.left - 1)))),
    );
    w.lacking += n - 1;
    const style = random.below(10);
    for (let i = 0; i < n; i++) {
      if (i > 0) {
        const joint = operator === 'mean' ? `mean${i + 1}` : operator;
        const isLast = i === n - 1;
        if (isLast) {
          if (n > 2 && style < 3) {
            w.word(',', joint);
            w.word('and');
          } else if (style === 9) {
            w.word('and', joint);
            w.word('also');
          } else w.word('and', joint);
        } else w.word(style === 8 ? 'and' : ',', joint);
      }
      const share = 1 + (this.left > n - i ? this.random.below(this.left - (n - i) + 1) : 0);
      this.operand(random.chance(0.7) ? 1 : share, operator === 'add' ? 'sum' : 'atom');
      // "3 and 4" may go on with "and 5".
      if (style === 8 && i > 0 && i < n - 1) w.incomplete(null);
    }
  }

  /** An operand of up to `n` numbers. */
  operand(n: number, slot: Slot | 'group'): void {
    const { random } = this;
    if (n <= 1 || this.depth >= 5) {
      if (this.depth < 4 && slot !== 'group' && random.chance(0.06)) {
        const unary = NOUNS.filter((t) => !t.includes('*') && !t.includes('B'));
        return this.nested(() => this.template(this.phrase(unary)));
      }
      if (slot !== 'group' && random.chance(0.02)) return this.behind();
      // "Add 15 % to 80" may mean 15 % of 80.
      return this.signed(false);
    }
    const roll = random.below(10);
    if (slot !== 'group' && roll < 6) {
      this.left = Math.max(this.left, 1);
      return this.nested(() => this.noun());
    }
    if (slot === 'sum' && roll < 8)
      return this.nested(() => (random.chance(0.5) ? this.product() : this.chain(n)));
    this.group(n);
  }

  /** A phrase in place of an operand that is lacking. */
  nested(write: () => void): void {
    this.w.lacking--;
    write();
  }

  behind(): void {
    const { w } = this;
    this.signed(false);
    const [word, decision] = pick(this.random, [
      ['squared', 'squared'],
      ['cubed', 'cubed'],
      ['doubled', 'doubled'],
      ['halved', 'halved'],
    ] as const);
    w.word(word, decision);
  }

  noun(): void {
    this.template(this.phrase(NOUNS));
  }

  product(): void {
    this.template(this.phrase(PRODUCTS));
  }

  /** `3 * 4 / 5`: a product in symbols. */
  chain(n: number): void {
    const { w, random } = this;
    const size = Math.min(3, Math.max(2, n));
    for (let i = 0; i < size; i++) {
      w.lacking++;
      const [sign, operator] = random.chance(0.7) ? ['*', 'mul'] : ['/', 'div'];
      if (i > 0) w.word(sign!, operator);
      this.signed();
    }
  }

  /** A group in parentheses in place of an operand. */
  group(n: number): void {
    const { w } = this;
    w.word('(', 'none', 1);
    this.depth++;
    w.lacking--;
    w.lacking++;
    this.symbols(n, 1);
    w.lacking--;
    w.word(')', 'none', -1);
    this.depth--;
  }

  fraction(): void {
    const { w, random } = this;
    w.lacking++;
    const d = 2 + random.below(9);
    w.number(String(random.chance(0.6) ? 1 : 1 + random.below(d)));
    w.incomplete(null);
    w.word('/', 'div');
    w.number(String(d));
    w.incomplete(null);
  }

  /** A number, perhaps with a minus. */
  signed(mayBePercent = true): void {
    const { w, random } = this;
    if (random.chance(0.2)) w.word(random.chance(0.75) ? '-' : pick(random, ['minus', 'negative']), 'neg');
    else if (random.chance(0.004)) w.word('+');
    w.number(this.draw());
    this.left--;
    if (mayBePercent && random.chance(0.03)) w.word(random.chance(0.6) ? '%' : 'percent', 'percent');
  }

  /** A number in digits. */
  draw(): string {
    const { random, options } = this;
    const long = random.chance(0.06);
    const most = this.small ? Math.min(2, options.maxDigits) : options.maxDigits;
    const digits = long ? 6 + random.below(15) : 1 + random.below(most);
    let text = String(digits > 1 ? 1 + random.below(9) : random.below(10));
    for (let i = 1; i < digits; i++) text += random.below(10);
    const decimals =
      this.wholeNumbers || options.maxDecimals === 0
        ? 0
        : random.chance(0.5)
          ? 0
          : 1 + random.below(long ? Math.min(15, MOST_DIGITS - digits) : options.maxDecimals);
    if (decimals > 0) text += '.';
    for (let i = 0; i < decimals; i++) text += random.below(10);
    return text;
  }

  exponent(): void {
    const { w, random } = this;
    if (random.chance(0.15)) w.word('-', 'neg');
    w.number(
      random.chance(0.6)
        ? String(2 + random.below(4))
        : random.chance(0.5)
          ? pick(random, ['0.5', '1.5', '0.25', '2.5'])
          : this.draw(),
    );
  }

  /** An expression in symbols of about n numbers. `lacking` operands are counted here. */
  symbols(n: number, level: number): void {
    this.w.lacking++;
    const words = this.random.chance(0.5) ? SYMBOLS : this.random.chance(0.6) ? SYMBOLS_DENSE : SYMBOLS;
    this.tree(n, 'sum', level, words);
  }

  /** "3 plus 4 times 5", with parentheses in symbols or in words. */
  infixWords(): void {
    const { random } = this;
    this.w.lacking++;
    const spoken = random.chance(0.5);
    this.tree(this.left, 'sum', 0, {
      ...SYMBOLS,
      words: spoken ? 1 : 0.5,
      open: spoken && random.chance(0.6) ? pick(random, ['open', 'open parenthesis', 'open bracket']) : '(',
      close: '',
    });
  }

  /** One operand is lacking: writes it with n numbers. `binds` is the loosest operator that needs no parentheses. */
  tree(
    n: number,
    binds: 'sum' | 'product' | 'right' | 'power' | 'atom',
    level: number,
    style: SymbolStyle,
  ): void {
    const { random } = this;
    if (n <= 1) {
      const roll = random.below(200);
      if (roll < 4 && style.functions > 0) return this.call(1, level, style);
      if (roll < 8 && style.powers > 0 && binds !== 'power' && binds !== 'atom')
        return this.power(1, level, style);
      if (roll < 10) return this.parenthesized(1, level, style);
      return this.signed();
    }
    if (level < 6 && random.chance(style.functions)) return this.call(n, level, style);
    if (level < 6 && (random.chance(0.12) || binds === 'atom')) return this.parenthesized(n, level, style);
    if (random.chance(style.powers) && binds !== 'power') return this.power(n, level, style);
    const isSum = random.chance(style.sums);
    // A group of another operator than its place allows is in parentheses.
    const needs = isSum ? binds !== 'sum' : binds === 'right' || binds === 'power';
    if (needs) return level < 6 ? this.parenthesized(n, level, style, isSum) : this.signed();
    this.binary(n, isSum, level, style);
  }

  binary(n: number, isSum: boolean, level: number, style: SymbolStyle): void {
    const { w, random } = this;
    const left = 1 + random.below(n - 1);
    this.tree(left, isSum ? 'sum' : 'product', level, style);
    const operator = isSum ? (random.chance(0.5) ? 'add' : 'sub') : random.chance(0.5) ? 'mul' : 'div';
    // "3" is whole, until an operator follows.
    w.lacking++;
    this.operator(operator, style);
    this.tree(n - left, isSum ? 'product' : 'right', level, style);
  }

  operator(operator: 'add' | 'sub' | 'mul' | 'div', style: SymbolStyle): void {
    const { w, random } = this;
    const symbol = { add: '+', sub: '-', mul: '*', div: '/' }[operator];
    if (!random.chance(style.words)) return w.word(symbol, operator);
    const said = random.chance(0.6)
      ? { add: 'plus', sub: 'minus', mul: 'times', div: 'divided by' }[operator]
      : pick(random, WORDED[operator]!);
    const words = said.split(' ');
    words.forEach((word, i) => w.word(word, i === words.length - 1 ? operator : 'none'));
  }

  parenthesized(n: number, level: number, style: SymbolStyle, isSum?: boolean): void {
    const { w, random } = this;
    if (random.chance(0.12)) w.word(style.words === 1 ? 'minus' : '-', 'neg');
    w.lacking++;
    const open = style.open.split(' ');
    open.forEach((word, i) => w.word(word, 'none', i === open.length - 1 ? 1 : 0));
    if (n > 1 && isSum !== undefined) this.binary(n, isSum, level + 1, style);
    else this.tree(n, 'sum', level + 1, style);
    w.lacking--;
    const close = style.open.replace('open', 'close').replace('(', ')').split(' ');
    close.forEach((word, i) => {
      w.word(word, 'none', i === 0 ? -1 : 0);
    });
    if (random.chance(style.behind / 2)) w.word('%', 'percentOf');
    else if (random.chance(style.behind)) {
      const [word, decision] = pick(random, [
        ['squared', 'squared'],
        ['cubed', 'cubed'],
      ] as const);
      w.word(word, decision);
    }
  }

  call(n: number, level: number, style: SymbolStyle): void {
    const { w, random } = this;
    const name = pick(random, ['sqrt', 'sqrt', 'sqrt', 'cbrt', 'abs', '|', '|']);
    if (random.chance(0.08)) w.word('-', 'neg');
    w.lacking++;
    if (name === '|') w.word('|', 'sqrt', 1);
    else {
      w.word(name, name === 'abs' ? 'sqrt' : name);
      if (n === 1 && name !== 'abs' && random.chance(0.1)) {
        w.lacking--;
        return this.signed();
      }
      w.word('(', name === 'abs' ? 'square' : 'none', 1);
    }
    this.tree(n, 'sum', level + 1, style);
    w.lacking--;
    if (name === '|') {
      w.word('|', 'bar');
      w.close();
    } else w.word(')', 'none', -1);
  }

  power(n: number, level: number, style: SymbolStyle): void {
    const { w, random } = this;
    if (n > 1) this.parenthesized(n, level, { ...style, behind: 0 });
    else this.signed(false);
    w.lacking++;
    this.marked(random.chance(style.words) ? pick(random, POWERS) : '^:pow');
    this.exponent();
  }

  /** "5 less than 9", "(3 + 4) multiplied by the sum of 2 and 3". */
  infix(): void {
    const { w, random } = this;
    const operator = pick(random, ['add', 'sub', 'mul', 'div', 'subFrom', 'divInto', 'sub', 'subFrom']);
    const said = this.phrase(INFIX[operator]!);
    w.lacking += 2;
    if (this.left > 2 && random.chance(0.3)) this.group(this.left - 1);
    else this.signed(false);
    w.incomplete(null);
    this.marked(said);
    if (this.left > 1 && random.chance(0.5)) this.nested(() => this.noun());
    else if (this.left > 1 && random.chance(0.3)) this.group(this.left);
    else this.signed(false);
  }

  /** Words with what they write. */
  marked(phrase: string): void {
    for (const part of phrase.split(' ')) {
      const [text, mark = 'none'] = part.split(':') as [string, string?];
      this.w.word(text, mark);
    }
  }

  /** After a noun phrase: ", times 5". */
  tail(): void {
    const { w, random } = this;
    const operator = pick(random, ['add', 'sub', 'mul', 'div'] as const);
    w.word(',');
    w.incomplete(null);
    w.lacking++;
    w.word(
      random.chance(0.7)
        ? { add: 'plus', sub: 'minus', mul: 'times', div: 'over' }[operator]
        : { add: '+', sub: '-', mul: '*', div: '/' }[operator],
      operator,
    );
    this.signed(false);
  }

  /** ", and then": the text before it is whole, and may be after a point; a comma or "and" may begin anything. */
  connect(phrase: string): void {
    const { w } = this;
    for (const part of phrase.split(' ')) {
      const [text, mark] = part.split(':') as [string, string?];
      w.word(text, 'none', 0, mark === 'then');
      if (!/^[.;]$/.test(text)) w.incomplete(/^(,|and)$/.test(text) ? null : false);
    }
  }

  sequence(): void {
    const { random } = this;
    const roll = random.below(10);
    if (roll < 3) this.template(this.phrase(STARTS));
    else if (roll < 7) this.template(this.phrase(COMMANDS.filter((c) => !c.includes('G'))));
    else {
      this.opening();
      this.noun();
    }
    const steps = 1 + random.below(4);
    for (let i = 0; i < steps; i++) {
      const step = this.phrase(STEPS);
      this.connect(pick(random, CONNECTORS));
      this.template(step);
    }
  }
}

const WORDED: Readonly<Record<string, readonly string[]>> = {
  add: ['plus', 'added to'],
  sub: ['minus', 'take away'],
  mul: ['times', 'multiplied by'],
  div: ['divided by', 'over'],
};

interface SymbolStyle {
  /** Probability that an operator is a word. */
  readonly words: number;
  readonly open: string;
  readonly close: string;
  /** Probabilities of a call, of a power, and that an operator is + or −. */
  readonly functions: number;
  readonly powers: number;
  readonly sums: number;
  /** … of a word behind a group. */
  readonly behind: number;
}
const SYMBOLS: SymbolStyle = {
  words: 0,
  open: '(',
  close: ')',
  functions: 0.05,
  powers: 0.06,
  sums: 0.5,
  behind: 0.03,
};
const SYMBOLS_DENSE: SymbolStyle = { ...SYMBOLS, functions: 0, powers: 0, behind: 0 };
