import { randomStream } from '@dag/expr';
import { chosen, isHeldOut, pick } from './choose.js';
import { smallTalk } from './chatter.js';
import { ForeignText } from './foreign-text.js';
import {
  BEHIND,
  CHANGES,
  COMMANDS,
  CONNECTORS,
  INFIX,
  JOINTS,
  NOUNS,
  PRODUCTS,
  QUESTIONS,
  STARTS,
  STEPS,
} from './phrases.js';
import { CLOSINGS, COMMON_CLOSINGS, GREETINGS, REQUESTS } from './surroundings.js';
import { SYMBOLS, SymbolText, type FrameOptions } from './symbols.js';
import type { Word } from './writer.js';

type Slot = 'atom' | 'sum';

/** Parts of a number, the commonest products, which may also follow a plus or a minus: "2 plus a quarter of 350". */
const PARTS = PRODUCTS.filter((phrase) => /^[PF] of:/.test(phrase));

/** What joins the operands of a list: "3, 4 and 5", "3, 4, and 5", "3, 4, 5", "3 and 4 and 5", "3, 4 and also 5", "3 4 5", "3 4 and 5". */
const LIST_STYLES = [
  ...(['and', 'and', 'and', 'comma and', 'comma and', 'comma and'] as const),
  ...(['commas', 'commas', 'commas', 'ands', 'and also', 'blanks', 'blanks and'] as const),
] as const;

/** Decisions with an operand on each side. */
const OPERATORS: ReadonlySet<string> = new Set('add sub mul div subFrom divInto mean onto off'.split(' '));

/** Percent, as people write it, and how it goes wrong. */
const PERCENT = [
  'percent',
  'percent',
  'percent',
  'per cent',
  'per cent',
  'pct',
  'percnt',
  'precent',
  'persent',
  'pecent',
] as const;

/** A part of a template that is an operand, or a list of some. */
const SLOT = /^(?:[A-GIKNPQEF](?:>|$)|\*)/;

/** A phrase of a list and no other operand. */
const LISTING = /^[^A-Z*>]*\*(?:add|mul|mean)(?: [^A-Z*>]*)?$/;

/** Signs and words between the numbers of a row, each as often as it stands here. */
const ROWS: readonly (readonly (readonly [string, string])[])[] = [
  ...Array.from({ length: 3 }, () => [['+', 'add']] as const),
  [['plus', 'add']],
  [['*', 'mul']],
  [
    ['+', 'add'],
    ['-', 'sub'],
  ],
  [
    ['plus', 'add'],
    ['minus', 'sub'],
  ],
  [
    ['+', 'add'],
    ['-', 'sub'],
    ['*', 'mul'],
    ['/', 'div'],
  ],
];

/** Text `index` of the stream `seed`, word by word. */
export function generateFrame(options: FrameOptions): readonly Word[] {
  const random = randomStream(options.seed, options.index);
  const { numbers, fewest = 1, foreign = 0 } = options;
  for (;;) {
    // Half of the texts are short, as most that people write.
    const most = fewest === 1 && random.chance(0.5) ? Math.min(3, numbers) : numbers;
    const drawn = {
      left: fewest + random.below(most - fewest + 1),
      wholeNumbers: random.chance(0.4),
      small: random.chance(0.5),
    };
    const Text = random.chance(foreign) ? ForeignText : PhraseText;
    const text = new Text(random, options, drawn);
    const { words } = text.w;
    if (text.write() && words.every(({ nesting }) => nesting === 'then' || Math.abs(nesting) <= 6))
      return words;
  }
}

/** A text that asks for arithmetic, in symbols, words and phrases. */
class PhraseText extends SymbolText {
  private depth = 0;
  private hasHeldOut = false;
  /** Operands are numbers and groups: in a list, "and" would have two meanings. */
  private isPlain = false;
  private isWithin = false;
  /** Whether steps or a tail follow: then a list ends with "and", since a comma would not say whose it is. */
  private isFollowed = false;
  /** Whether a list ended as "3, 4" does, which may go on. */
  private mayGoOn = false;
  /** Whether lists are of all the numbers that are left, and of nothing else. */
  private isRow = false;

  write(): boolean {
    const { random, options } = this;
    const { words } = this.w;
    const asks = random.below(100);
    const hasChatter = this.left > 1 && random.chance(0.12);
    // "My number is 212 - 555" asks for nothing: between chatter and an expression stands a sign or an opening.
    const isApart = !hasChatter || random.chance(0.6);
    if (hasChatter) {
      this.sayPlainly(smallTalk(random, 9));
      if (isApart) this.say(pick(random, [',', ',', ':', '.', '!', ';']));
    }
    if (random.chance(0.12)) this.say(pick(random, GREETINGS));
    this.begin = words.length;
    let closes = 0.5;
    if (options.rows !== undefined && random.chance(options.rows)) {
      if (!isApart || random.chance(0.6)) this.opening();
      if (random.chance(0.6)) this.row();
      else {
        this.isRow = true;
        this.isPlain = true;
        const listing = this.phrase([...NOUNS, ...COMMANDS].filter((phrase) => LISTING.test(phrase)));
        // "The sum when" may go on with "you add", see `noun`.
        this.template(listing.replace('when:(', 'when'));
      }
    } else if (asks < 26) {
      if (!isApart || random.chance(0.6)) this.opening();
      this.symbols(this.left, 0);
      if (random.chance(0.05)) this.whole();
    } else if (asks < 36) {
      if (!isApart || random.chance(0.6)) this.opening();
      this.infixWords();
      if (random.chance(0.08)) this.whole();
    } else if (asks < 58) {
      if (!isApart || random.chance(0.85)) this.opening();
      this.left = Math.max(2, this.left);
      this.isFollowed = random.chance(0.25);
      if (random.chance(0.2)) this.product();
      else if (random.chance(0.1)) this.template(pick(random, BEHIND));
      else if (random.chance(0.35)) {
        this.infix();
        // ", times 5" would be of the last number alone.
        this.isFollowed = false;
        if (random.chance(0.1)) this.whole();
      } else this.noun();
      if (this.isFollowed) this.tail();
    } else if (asks < 74) {
      if (random.chance(0.25)) this.say(pick(random, REQUESTS));
      this.left = Math.max(2, this.left);
      this.template(this.phrase(COMMANDS));
    } else if (asks < 88) {
      this.left = Math.max(2, this.left);
      this.template(this.phrase(QUESTIONS));
      closes = 0.05;
    } else {
      this.left = Math.max(2, this.left);
      this.sequence();
    }
    if (random.chance(0.08)) {
      this.end([',', '.', '?', ';', ', and', ', because', ', so', ', but']);
      this.sayPlainly(smallTalk(random, 9));
      if (random.chance(0.4)) this.say(pick(random, ['?', '.', '!']));
    } else if (random.chance(closes)) this.end(random.chance(0.4) ? COMMON_CLOSINGS : CLOSINGS);
    if (hasChatter) this.leaveStartOpen();
    return options.phrases !== 'held-out' || this.hasHeldOut;
  }

  /** Says one of these behind the text; nothing with a comma or "and" where a list may go on. */
  private end(from: readonly string[]): void {
    const mayBeOperand = !this.hasOperator();
    let said: string;
    do said = pick(this.random, from);
    while (said.startsWith(',') ? this.mayGoOn : said.startsWith('and ') && (this.mayGoOn || mayBeOperand));
    for (const word of said.split(' ')) {
      this.say(word);
      // "3 and" lacks a number, if it does not go on with "nothing else".
      if (word === 'and') this.w.setComplete(null);
    }
  }

  /** Whether an operator stands outside all groups. "And" behind a group, a noun phrase or a number writes a sum: "twice 3 and 4 make 10". */
  private hasOperator(): boolean {
    let depth = 0;
    return this.w.words.some(({ decision, nesting }) => {
      depth = nesting === 'then' ? 0 : depth + nesting;
      return depth <= 0 && OPERATORS.has(decision!);
    });
  }

  /** Where a word from `first` on does not end a whole text, another text may be whole there. */
  private leaveOpen(first = this.w.words.length - 1): void {
    const { words } = this.w;
    for (let i = first; i < words.length; i++)
      if (words[i]!.complete === false) words[i] = { ...words[i]!, complete: null };
  }

  /** A number behind chatter alone asks for nothing; what it is the beginning of may. */
  private leaveStartOpen(): void {
    const { words } = this.w;
    const first = words.findIndex(({ decision }) => decision !== 'none' && decision !== 'percent');
    words.forEach((word, i) => {
      if (i < first) words[i] = { ...word, complete: word.complete === false ? false : null };
    });
  }

  /** Behind an expression: ", all squared", "all divided by 2". */
  private whole(): void {
    const { w, random } = this;
    if (random.chance(0.5)) {
      w.word(',');
      w.setComplete(null);
      if (random.chance(0.4)) w.word('and');
    }
    const [first, ...more] = pick(random, [
      'all',
      'all',
      'all of that',
      'all of it',
      'the whole thing',
    ]).split(' ');
    w.word(first!, 'none', 0, true);
    w.setComplete(false);
    for (const word of more) {
      w.word(word);
      w.setComplete(false);
    }
    if (random.chance(0.4))
      return this.marked(pick(random, ['squared:squared', 'cubed:cubed', 'doubled:doubled']));
    w.lacking++;
    this.marked(pick(random, ['divided by:div', 'over:div', 'times:mul', 'multiplied by:mul']));
    this.signed(false);
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

  /** Writes a template with its operands. @param ends Whether its first operator ends all that stands before it, as "then" does. */
  template(phrase: string, ends = false): void {
    const { w, random } = this;
    let then = ends;
    const parts = phrase.split(' ');
    const slots = parts.filter((part) => SLOT.test(part)).length;
    w.lacking += slots;
    // "Cut 8" lacks "in half", and "8 cut" does.
    const lastMark = parts.findLastIndex((part) => part.includes(':') && part !== ':');
    const lastSlot = parts.findLastIndex((part) => SLOT.test(part));
    const startsWithSlot = SLOT.test(parts[0]!);
    const marksBehind = lastMark > lastSlot;
    if (marksBehind && !startsWithSlot) w.lacking++;
    // Whole from the word behind `!` on: "5 and 9" asks for nothing.
    if (parts.includes('!')) w.lacking++;
    let opened = 0;
    let rest = slots;
    // "5" is whole, until "less than 9" follows, and so is "what is 5".
    let mayBeWhole = startsWithSlot;
    let first = w.words.length;
    for (const [i, part] of parts.entries()) {
      if (rest === slots && SLOT.test(part)) {
        mayBeWhole ||= this.isBare();
        first = w.words.length;
      } else if (rest < slots && mayBeWhole) {
        this.leaveOpen(first);
        mayBeWhole = false;
        // "5 is", and "5 is how much more than 2".
        if (part === 'is') {
          this.say(part);
          this.leaveOpen();
          continue;
        }
        if (marksBehind && startsWithSlot) w.lacking++;
      }
      if (marksBehind && i === lastMark) w.lacking--;
      if (/^[PQF]>/.test(part)) w.begin(part.slice(2), then);
      if (/^[AB]>/.test(part)) {
        this.startingOperand(part.slice(2), then);
        then = false;
        rest--;
      } else if (/^[ABG]$/.test(part)) {
        const share =
          rest > 1 ? 1 + random.below(Math.max(1, this.left - rest + 1)) : random.chance(0.4) ? 1 : this.left;
        this.operand(Math.max(1, Math.min(share, this.left)), part === 'G' ? 'group' : 'atom');
        rest--;
      } else if (part === 'K') {
        // "Raise -3 to the power of 2" is 9, and "-3 ^ 2" is not.
        if (this.left > 1 && random.chance(0.3)) this.group(this.left);
        else if (this.left > 1 && random.chance(0.2))
          this.nested(() =>
            this.template(this.phrase(NOUNS.filter((noun) => /^[^:]* of:\( [^:]*$/.test(noun)))),
          );
        else {
          w.number(this.draw());
          this.left--;
        }
        rest--;
      } else if (part === 'N') {
        this.signed(false);
        rest--;
      } else if (part === 'E') {
        this.exponent();
        rest--;
      } else if (/^[PQ](?:>|$)/.test(part)) {
        w.number(this.draw());
        if (mayBeWhole) this.leaveOpen();
        w.lacking++;
        const said = random.chance(0.5) ? '%' : pick(random, PERCENT);
        for (const word of said.split(' ').slice(0, -1)) w.word(word);
        w.lacking--;
        w.word(said.split(' ').at(-1)!, part.startsWith('P') ? 'percent' : 'percentOfLeft');
        rest--;
      } else if (/^F(?:>|$)/.test(part)) {
        this.fraction(!then && random.chance(0.6));
        rest--;
      } else if (part === 'C') {
        w.lacking--;
        rest--;
        this.command();
      } else if (part === 'I') {
        w.lacking--;
        rest--;
        this.infix();
      } else if (part.startsWith('*')) {
        const [operator, unary] = part.slice(1).split('>');
        this.list(operator!, unary);
        rest--;
      } else {
        const [text, mark = ''] = part.split(':') as [string, string?];
        if (text === '') {
          w.word(':');
          continue;
        }
        if (text === '!') {
          w.lacking--;
          continue;
        }
        if (text === '~') {
          w.setComplete(null);
          continue;
        }
        if (mark === '') {
          this.say(text);
          continue;
        }
        const opens = mark.endsWith('(');
        const decision = mark.replace('(', '') || 'none';
        w.word(text, decision, opens ? 1 : 0, then && decision !== 'none');
        then &&= decision === 'none';
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

  /** An operand whose first word writes `decision`: a number, a group, or a noun phrase that begins with "the". @param isDigits A number without a minus. */
  startingOperand(decision: string, then = false, isDigits = false): void {
    const { w, random } = this;
    w.begin(decision, then);
    const roll = random.below(10);
    if (roll < 5 || this.left < 2 || then || isDigits || this.isPlain || (roll < 7 && w.closes)) {
      // The minus writes the operator, and the number behind it that it is negative: "5 less -3".
      const isNegative = !isDigits && random.chance(0.2);
      if (isNegative) w.word(random.chance(0.75) ? '-' : pick(random, ['minus', 'negative']));
      w.number(this.draw(), isNegative ? 'neg' : 'none');
      this.left--;
    } else if (roll < 7) this.group(this.left);
    else {
      const phrase = this.phrase(NOUNS.filter((noun) => noun.startsWith('[the|]'))).replace(/^the /, '');
      this.nested(() => this.template(`the ${phrase}`));
    }
  }

  /**
   * Operands in a list, at least two.
   *
   * @param unary What the first word of each but the first writes. The operator itself: joints write nothing, since the last of them may end the list.
   */
  list(operator: string, unary?: string): void {
    const { w, random } = this;
    const n = this.isRow
      ? Math.max(2, this.left)
      : 2 + (random.chance(0.5) ? 0 : random.below(Math.max(1, this.left - 1)));
    w.lacking += n - 1;
    const drawn = this.listStyle();
    // In "3 and 4" no joint is a blank. Only "and" joins numbers that each write a unary operator, too.
    const style = unary !== undefined || (drawn === 'blanks and' && n === 2) ? 'and' : drawn;
    if (unary === operator) return this.numbersOf(n, operator);
    if (style === 'commas') this.mayGoOn = true;
    const canEnd = w.lacking === n;
    for (let i = 0; i < n; i++) {
      const isLast = i === n - 1;
      if (i > 0) {
        if (style.startsWith('blanks') || (style === 'ands' && i > 1)) {
          // "Multiply 3 and 4 and" may go on with "add 5".
          if (style === 'ands' || (style === 'blanks and' && isLast)) w.word('and');
          this.startingOperand(operator, false, style !== 'ands');
          if (!isLast) w.setComplete(null);
          continue;
        }
        if (!isLast || style === 'commas') w.word(style === 'ands' ? 'and' : ',', operator);
        else if (style === 'comma and' && n > 2) {
          w.word(',', operator);
          w.word('and');
        } else w.word('and', operator);
        if (isLast && style === 'and also') w.word('also');
      }
      const share = 1 + (this.left > n - i ? this.random.below(this.left - (n - i) + 1) : 0);
      if (unary !== undefined && i > 0) this.startingOperand(unary);
      else if (unary !== undefined || style.startsWith('blanks')) this.signed(false);
      else this.operand(random.chance(n === 2 ? 0.5 : 0.7) ? 1 : share, operator === 'add' ? 'sum' : 'atom');
      // "The sum of 3, 4" is whole, and may go on with "and 5"; whether "9" is, before "after subtracting 4", is left open.
      if (!this.isWithin && !isLast && (i > 0 || operator === 'sub'))
        w.setComplete(i > 0 && canEnd ? true : null);
    }
  }

  /** "3, 4 and 5" with no operands but numbers, each of which writes the operator. */
  private numbersOf(n: number, operator: string): void {
    const { w, random } = this;
    const last = pick(random, [['and'], ['and'], [',', 'and'], [',']]);
    const isPlain = this.isPlain;
    this.isPlain = true;
    this.signed(false);
    for (let i = 1; i < n; i++) {
      for (const joint of i < n - 1 ? [','] : n > 2 ? last : ['and']) w.word(joint);
      this.startingOperand(operator);
    }
    this.isPlain = isPlain;
  }

  private listStyle(): (typeof LIST_STYLES)[number] {
    for (;;) {
      const style = pick(this.random, LIST_STYLES);
      if (style === 'and' || style === 'comma and') return style;
      // Within another phrase, no one knows where "3, 4, 5" ends, or whose the second "and" is.
      if (!this.isWithin && !(style === 'commas' && this.isFollowed)) return style;
    }
  }

  /** An operand of up to `n` numbers. */
  operand(n: number, slot: Slot | 'group'): void {
    const { random } = this;
    if (this.isPlain) return n > 1 && random.chance(0.3) ? this.group(n) : this.signed(false);
    if (n <= 1 || this.depth >= 4) {
      if (this.depth < 3 && slot !== 'group' && random.chance(0.06)) {
        const unary = NOUNS.filter((t) => !t.includes('*') && !t.includes('B'));
        return this.nested(() => this.template(this.phrase(unary)));
      }
      if (slot !== 'group' && random.chance(0.02)) return this.behind();
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
    const { isWithin } = this;
    this.isWithin = true;
    this.w.lacking--;
    write();
    this.isWithin = isWithin;
  }

  behind(): void {
    const { w } = this;
    this.signed(false);
    const word = pick(this.random, ['squared', 'cubed', 'doubled', 'halved']);
    w.word(word, word);
  }

  noun(): void {
    // "The result when" opens a group, but not where "you add" may follow.
    const begins = this.isWithin && this.isBare();
    const phrase = this.phrase(begins ? NOUNS.filter((noun) => !noun.includes('when:(')) : NOUNS);
    if (this.isWithin || !phrase.includes('when:(')) return this.template(phrase);
    // "What is the result when" may go on with "you add": no group, so no tail.
    this.isFollowed = false;
    this.mayGoOn = true;
    this.template(phrase.replace('when:(', 'when'));
  }

  product(): void {
    this.template(this.phrase(this.random.chance(0.3) ? PARTS : PRODUCTS));
  }

  /** `3 + 4 + 5 + 6`: numbers without groups. */
  private row(): void {
    const { w, random } = this;
    const between = pick(random, ROWS);
    const isSigned = random.chance(0.3);
    for (const n = this.left; this.left > 0;) {
      w.lacking++;
      if (this.left < n) w.word(...pick(random, between));
      if (isSigned) this.signed(false);
      else {
        w.number(this.draw());
        this.left--;
      }
    }
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
    this.symbols(n, 1);
    w.lacking--;
    w.word(')', 'none', -1);
    this.depth--;
  }

  /** "3 plus 4 times 5", with parentheses in symbols or in words. */
  infixWords(): void {
    const { random } = this;
    this.w.lacking++;
    const spoken = random.chance(0.5);
    this.tree(this.left, 'sum', 0, {
      ...SYMBOLS,
      ...{ words: spoken ? 1 : 0.5, powers: 0.12 },
      open: spoken && random.chance(0.6) ? pick(random, ['open', 'open parenthesis', 'open bracket']) : '(',
    });
  }

  /** "5 less than 9", "(3 + 4) multiplied by the sum of 2 and 3". */
  infix(): void {
    const { w, random } = this;
    if (random.chance(0.12)) return this.template(this.phrase(CHANGES));
    const operator = pick(random, ['add', 'sub', 'mul', 'div', 'subFrom', 'divInto', 'sub', 'subFrom']);
    const said = this.phrase(INFIX[operator]!);
    w.lacking += 2;
    // "100 increased by 10 %" is a change, see `CHANGES`.
    const mayBePercent = /^(?:mul|div)/.test(operator);
    const first = w.words.length;
    if (this.left > 2 && random.chance(0.3)) this.group(this.left - 1);
    else this.signed(mayBePercent);
    w.setComplete(null);
    this.leaveOpen(first);
    const [words, decision] = said.split(' >');
    this.marked(words!);
    if (decision !== undefined) this.startingOperand(decision);
    else if (this.left > 0 && /^(?:plus|minus):\w+$/.test(words!) && random.chance(0.3))
      this.nested(() => this.template(this.phrase(PARTS)));
    else if (this.left > 1 && random.chance(0.5)) this.nested(() => this.noun());
    else if (this.left > 1 && random.chance(0.3)) this.group(this.left);
    else this.signed(mayBePercent);
  }

  /** After a noun phrase: ", times 5". */
  tail(): void {
    const { w, random } = this;
    const operator = pick(random, ['add', 'sub', 'mul', 'div'] as const);
    w.word(',');
    w.setComplete(null);
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
      if (!/^[.;]$/.test(text)) w.setComplete(/^(,|and)$/.test(text) ? null : false);
    }
  }

  /** A command within a question, now and then with steps behind it. */
  command(): void {
    const { random } = this;
    const goesOn = random.chance(0.2);
    this.isPlain ||= goesOn;
    this.isFollowed ||= goesOn;
    this.template(this.phrase(COMMANDS.filter((command) => !command.includes('find the'))));
    if (goesOn) this.steps(1 + random.below(2));
  }

  sequence(): void {
    const { random } = this;
    const roll = random.below(10);
    this.isPlain = random.chance(0.6);
    this.isFollowed = true;
    if (random.chance(0.15))
      this.say(pick(random, ['first', 'first ,', 'first of all ,', 'to begin with ,']));
    if (roll < 4) {
      // "Start with 5" asks for nothing yet.
      this.w.lacking++;
      this.template(this.phrase(STARTS));
    } else if (roll < 8) this.template(this.phrase(COMMANDS.filter((command) => !command.includes('G'))));
    else {
      this.opening();
      const begins = random.below(10);
      if (begins < 3) this.infix();
      else if (begins < 7) this.noun();
      else {
        // Of "3 + 4, times 2" the step is of the last number alone; "then" says it is of all.
        this.isPlain = false;
        if (begins < 9) this.symbols(1 + random.below(this.left), 0);
        else this.infixWords();
      }
    }
    this.steps(1 + random.below(4), roll < 4);
  }

  /** Steps on what stands before; of a start, the first one makes it whole. */
  steps(count: number, isStart = false): void {
    const { random } = this;
    let last = '';
    for (let i = 0; i < count; i++) {
      // "Divide by 2 and then by 3".
      const [again] = /\bby:(?:mul|div) A$/.exec(last) ?? [];
      const step = again !== undefined && random.chance(0.2) ? again : this.phrase(STEPS);
      last = step;
      const ends = this.isPlain && random.chance(0.5);
      this.connect(pick(random, ends ? JOINTS : CONNECTORS));
      if (isStart && i === 0) this.w.lacking--;
      this.template(step, ends);
    }
  }
}
