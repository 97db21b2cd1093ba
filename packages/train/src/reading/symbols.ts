import type { Random } from '@dag/expr';
import { pick } from './choose.js';
import { POWERS } from './phrases.js';
import { COMMON_OPENINGS, OPENINGS } from './surroundings.js';
import { Writer } from './writer.js';

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
  /** Probability of a row or a list of numbers alone, without groups; 0 by default. */
  readonly rows?: number;
}

const OPENS: ReadonlySet<string> = new Set(['', ...OPENINGS, ...OPENINGS.map((said) => `${said} :`)]);

/** The most digits of a number, with its decimals. */
const MOST_DIGITS = 30;

/** Words of each operator, the most common first. */
const WORDED = {
  add: ['plus', 'added to', 'add'],
  sub: ['minus', 'take away'],
  mul: ['times', 'multiplied by', 'multiply by'],
  div: ['divided by', 'over', 'divide by'],
} as const;

/** How expressions in symbols are drawn and written. */
export interface SymbolStyle {
  /** Probability that an operator is a word. */
  readonly words: number;
  /** What opens a group: `(`, or words that begin with "open". */
  readonly open: string;
  /** Probabilities of a call, of a power, and that an operator is + or −. */
  readonly functions: number;
  /** Names of the calls. */
  readonly calls: readonly string[];
  readonly powers: number;
  readonly sums: number;
  /** … of a word behind a group. */
  readonly behind: number;
}
export const SYMBOLS: SymbolStyle = {
  words: 0,
  open: '(',
  functions: 0.05,
  calls: ['sqrt', 'sqrt', 'sqrt', 'cbrt', 'abs', '|', '|'],
  powers: 0.06,
  sums: 0.5,
  behind: 0.03,
};
/** Without functions, powers and words behind a group. */
export const SYMBOLS_DENSE: SymbolStyle = { ...SYMBOLS, functions: 0, powers: 0, behind: 0 };
/** Sums of absolute values: `| -3 - 4 | - | 2 - 5 |`. */
const SYMBOLS_BARS: SymbolStyle = { ...SYMBOLS_DENSE, functions: 0.5, calls: ['|'], sums: 0.8 };

/** What is drawn of a text before its first word. */
export interface Drawn {
  /** Numbers that are still to be written, about. */
  readonly left: number;
  readonly wholeNumbers: boolean;
  /** Whether most numbers have at most two digits. */
  readonly small: boolean;
}

/** Texts with expressions in symbols; other texts are made of these and of phrases. */
export abstract class SymbolText {
  readonly w = new Writer();
  /** The first word behind chatter and greetings. */
  protected begin = 0;
  protected readonly random: Random;
  protected readonly options: FrameOptions;
  protected left: number;
  private readonly wholeNumbers: boolean;
  private readonly small: boolean;

  constructor(random: Random, options: FrameOptions, { left, wholeNumbers, small }: Drawn) {
    this.random = random;
    this.options = options;
    this.left = left;
    this.wholeNumbers = wholeNumbers;
    this.small = small;
  }

  /** Writes a text; false where it has to be drawn again. */
  abstract write(): boolean;

  /** Words that write nothing. */
  say(text: string): void {
    for (const word of text.split(' ')) this.w.word(this.mistyped(word));
  }

  /** Now and then a letter of a word that writes nothing is wrong. */
  mistyped(word: string): string {
    const { random } = this;
    // A slip makes "one" of "once" and "ten" of "then", which are numbers.
    if (word.length < 4 || /^(?:once|then)$/.test(word) || !/^[a-z]+$/.test(word) || !random.chance(0.025))
      return word;
    const at = 1 + random.below(word.length - 2);
    const kind = random.below(3);
    if (kind === 0) return word.slice(0, at) + word.slice(at + 1);
    if (kind === 1) return word.slice(0, at) + word[at] + word.slice(at);
    return word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2);
  }

  /** Without slips, as words are said that must be known. */
  sayPlainly(text: string): void {
    for (const word of text.split(' ')) this.w.word(word);
  }

  /** Whether the words before word `end` may stand before a whole expression. */
  isBare(end = this.w.words.length): boolean {
    const said = this.w.words.slice(this.begin, end).map(({ text }) => text);
    return OPENS.has(said.join(' '));
  }

  opening(): void {
    const said = pick(this.random, this.random.chance(0.35) ? COMMON_OPENINGS : OPENINGS);
    this.say(said);
    if (!said.endsWith(':') && this.random.chance(0.08)) this.w.word(':');
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
    const roll = this.random.below(100);
    this.tree(n, 'sum', level, roll < 3 ? SYMBOLS_BARS : roll < 32 ? SYMBOLS_DENSE : SYMBOLS);
  }

  /** One operand is lacking: writes it with n numbers. `binds` is the loosest operator that needs no parentheses. */
  tree(n: number, binds: 'sum' | 'product' | 'right', level: number, style: SymbolStyle): void {
    const { random } = this;
    if (n <= 1) {
      if (random.chance(0.4 * style.functions)) return this.call(1, level, style);
      const roll = random.below(200);
      if (roll < 4 && style.powers > 0) return this.power(1, level, style);
      if (roll >= 4 && roll < 6) return this.parenthesized(1, level, style);
      return this.signed();
    }
    if (level < 6 && random.chance(style.functions)) return this.call(n, level, style);
    if (level < 6 && random.chance(0.12)) return this.parenthesized(n, level, style);
    if (random.chance(style.powers)) return this.power(n, level, style);
    const isSum = random.chance(style.sums);
    // A group of another operator than its place allows is in parentheses.
    const needs = isSum ? binds !== 'sum' : binds === 'right';
    if (needs) return level < 6 ? this.parenthesized(n, level, style, isSum) : this.signed();
    this.binary(n, isSum, level, style);
  }

  binary(n: number, isSum: boolean, level: number, style: SymbolStyle): void {
    const { w, random } = this;
    const left = 1 + random.below(n - 1);
    if (!isSum && style.words === 0 && random.chance(0.06))
      return this.juxtaposed(left, n - left, level, style);
    this.tree(left, isSum ? 'sum' : 'product', level, style);
    const operator = isSum ? (random.chance(0.5) ? 'add' : 'sub') : random.chance(0.5) ? 'mul' : 'div';
    // "3" is whole, until an operator follows.
    w.lacking++;
    this.operator(operator, style);
    this.tree(n - left, isSum ? 'product' : 'right', level, style);
  }

  /** `3 (8 - 2)`, `(2 + 3) (4 + 5)`: a product without a sign, which the second parenthesis writes. */
  juxtaposed(left: number, right: number, level: number, style: SymbolStyle): void {
    if (left === 1) this.signed(false);
    else this.parenthesized(left, level, SYMBOLS_DENSE);
    this.w.lacking++;
    this.parenthesized(right, level, style, undefined, 'mul');
  }

  operator(operator: 'add' | 'sub' | 'mul' | 'div', style: SymbolStyle): void {
    const { w, random } = this;
    const symbol = { add: '+', sub: '-', mul: '*', div: '/' }[operator];
    if (!random.chance(style.words)) return w.word(symbol, operator);
    // "15 % added to 80" is a change by a percentage.
    const isPercent = w.words.at(-1)!.decision === 'percent';
    const said = isPercent || random.chance(0.6) ? WORDED[operator][0] : pick(random, WORDED[operator]);
    const words = said.split(' ');
    words.forEach((word, i) => w.word(word, i === words.length - 1 ? operator : 'none'));
  }

  /** @param operator What the first parenthesis writes: then no minus stands before it. */
  parenthesized(n: number, level: number, style: SymbolStyle, isSum?: boolean, operator = 'none'): void {
    const { w, random } = this;
    if (operator === 'none' && random.chance(0.12)) w.word(style.words === 1 ? 'minus' : '-', 'neg');
    w.lacking++;
    const open = style.open.split(' ');
    open.forEach((word, i) => w.word(word, i === 0 ? operator : 'none', i === 0 ? 1 : 0));
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
    const name = pick(random, style.calls);
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
    // Where a bar closes another one could open.
    this.tree(n, 'sum', level + 1, name === '|' ? { ...style, functions: 0 } : style);
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

  /** `1 / 4`, with or without parentheses, as "a quarter" is written. */
  fraction(isGroup: boolean): void {
    const { w, random } = this;
    w.lacking += isGroup ? 2 : 1;
    if (isGroup) w.word('(', 'none', 1);
    const d = 2 + random.below(9);
    w.number(String(random.chance(0.6) ? 1 : 1 + random.below(d)));
    if (!isGroup) w.setComplete(null);
    w.word('/', 'div');
    w.number(String(d));
    if (isGroup) {
      w.lacking--;
      w.word(')', 'none', -1);
    }
    w.setComplete(null);
  }

  /** Words with what they write. */
  marked(phrase: string): void {
    for (const part of phrase.split(' ')) {
      const [text, mark = 'none'] = part.split(':') as [string, string?];
      this.w.word(text, mark);
    }
  }
}
