import { literalOf, needsParenthesesOnLeft, needsParenthesesOnRight, type Drawn } from './draw.js';
import type { ChainType } from './expr.js';
import type { Random } from './random.js';
import { printed } from './signs.js';
import { spell, waysToSay } from './vocabulary.js';

/**
 * How `generateText` writes an example:
 *
 * - `spaced`: `2.5 * (3 + 4)`
 * - `compact`: `2.5*(3+4)`
 * - `loose`: as people type, `2.5*( 3+4 ) =`: with random blanks, some redundant parentheses, and × ÷ − for * / -
 * - `words`: "two point five times open three plus four close"
 * - `question`: "What is 2.5 times (3 plus 4)?", with operators or everything in words, or all in symbols
 * - `mixed`: a random one of these for each example
 */
export type TextStyle = 'spaced' | 'compact' | 'loose' | 'words' | 'question' | 'mixed';

const ONE_STYLE = ['spaced', 'compact', 'loose', 'words', 'question'] as const;
export const TEXT_STYLES: readonly string[] = [...ONE_STYLE, 'mixed'] satisfies TextStyle[];

const OPERATORS: Record<ChainType, string> = { Add: '+', Sub: '-', Mul: '*', Div: '/' };

interface Token {
  readonly text: string;
  readonly kind: 'number' | 'sign' | 'operator' | 'open' | 'function' | 'close' | 'power' | 'percent';
}
const OPEN: Token = { text: '(', kind: 'open' };
const CLOSE: Token = { text: ')', kind: 'close' };
const MINUS: Token = { text: '-', kind: 'sign' };

/** @param synonyms Probability that the words of the text are drawn from all synonyms. */
export function write(drawn: Drawn, style: TextStyle, random: Random, synonyms = 0): string {
  switch (style) {
    case 'spaced':
      return spaced(tokensOf(drawn));
    case 'compact':
      return join(tokensOf(drawn), ({ text }) => text);
    case 'loose':
      return loose(drawn, random);
    case 'words':
      return words(tokensOf(drawn), speaker(random, synonyms));
    case 'question':
      return question(drawn, random, speaker(random, synonyms));
    case 'mixed':
      return write(drawn, pick(random, ONE_STYLE), random, synonyms);
  }
}

const pick = <T>(random: Random, of: readonly T[]): T => of[random.below(of.length)]!;

const join = (tokens: readonly Token[], text: (token: Token) => string): string => tokens.map(text).join('');

const spaced = (tokens: readonly Token[]): string =>
  join(tokens, ({ text, kind }) => (kind === 'operator' ? ` ${text} ` : text));

type Say = (token: Token) => string;

/** Decides for one text whether its words are drawn from all synonyms or are the first for each symbol. */
function speaker(random: Random, synonyms: number): Say {
  const all = synonyms > 0 && random.chance(synonyms);
  return ({ text, kind }) => {
    if (kind === 'number') return spell(text);
    const ways = waysToSay(text, kind === 'sign');
    const said = all ? pick(random, ways) : ways[0]!;
    return kind === 'function' ? `${said} ${spell('(')}` : said;
  };
}

const words = (tokens: readonly Token[], say: Say): string => tokens.map(say).join(' ');

/** Probability that `loose` puts a number or group into redundant parentheses. */
const WRAPPED = 0.06;

function loose(drawn: Drawn, random: Random): string {
  const inPrint = random.below(4) === 0;
  const blanks = [0, 0.1, 0.5, 0.9][random.below(4)]!;
  const blank = (): string => (random.chance(blanks) ? (random.below(16) === 0 ? '  ' : ' ') : '');
  const symbol = (text: string): string => (inPrint ? printed(text) : text);
  const text = join(
    tokensOf(drawn, () => random.chance(WRAPPED)),
    ({ text, kind }) => {
      if (kind === 'operator') return blank() + symbol(text) + blank();
      if (kind === 'open' || kind === 'function') return text + (random.below(4) === 0 ? blank() : '');
      if (kind === 'close') return (random.below(4) === 0 ? blank() : '') + text;
      return symbol(text);
    },
  );
  return random.below(8) === 0 ? `${text}${blank()}=` : text;
}

const OPENINGS = ['Calculate', 'Compute', 'How much is', 'what is', "What's"];

function question(drawn: Drawn, random: Random, say: Say): string {
  const opening = random.below(4) === 0 ? pick(random, OPENINGS) : 'What is';
  const closing = random.below(8) === 0 ? '' : '?';
  return `${opening} ${questioned(drawn, random, say)}${closing}`;
}

function questioned(drawn: Drawn, random: Random, say: Say): string {
  const tokens = tokensOf(drawn);
  switch (random.below(4)) {
    case 0:
      return words(tokens, say);
    case 1:
      return spaced(tokens);
    default: {
      const saysAll = random.below(3) === 0;
      return join(tokens, (token) => {
        const { text, kind } = token;
        if (kind === 'operator') return ` ${say(token)} `;
        if (!saysAll) return text;
        if (kind === 'open' || kind === 'function') return `${say(token)} `;
        if (kind === 'power' && text === '^') return ` ${say(token)} `;
        return kind === 'number' || kind === 'sign' ? text : ` ${say(token)}`;
      }).replace(/-(?=open)/g, 'minus ');
    }
  }
}

/** The tokens of an expression. `wraps` decides for each number and group whether it gets redundant parentheses. */
function tokensOf(drawn: Drawn, wraps: () => boolean = () => false): Token[] {
  const tokens: Token[] = [];
  const enclosed = (needed: boolean, write: () => void): void => {
    const opens = needed || wraps();
    if (opens) tokens.push(OPEN);
    write();
    if (opens) tokens.push(CLOSE);
  };
  const number = (text: string): void => {
    const negative = text.startsWith('-');
    if (negative) tokens.push(MINUS);
    tokens.push({ text: negative ? text.slice(1) : text, kind: 'number' });
  };
  const visit = (node: Drawn): void => {
    switch (node.kind) {
      case 'number':
        return number(node.text);
      case 'percent':
        if (node.of.kind === 'number') number(node.of.text);
        else enclosed(true, () => visit(node.of));
        tokens.push({ text: '%', kind: 'percent' });
        return;
      case 'function':
        tokens.push({ text: `${node.name}(`, kind: 'function' });
        visit(node.of);
        tokens.push(CLOSE);
        return;
      case 'power': {
        const { of: base, exponent } = node;
        const isSigned = literalOf(base)?.text.startsWith('-') === true;
        enclosed(isSigned || isGroup(base), () => visit(base));
        if (exponent === '2' || exponent === '3') {
          tokens.push({ text: `^${exponent}`, kind: 'power' });
          return;
        }
        tokens.push({ text: '^', kind: 'power' });
        return number(exponent);
      }
      case 'operation': {
        const { operator, left, right, negated } = node;
        if (negated) tokens.push(MINUS);
        if (negated) tokens.push(OPEN);
        enclosed(isGroup(left) && needsParenthesesOnLeft(left.operator, operator), () => visit(left));
        tokens.push({ text: OPERATORS[operator], kind: 'operator' });
        enclosed(isGroup(right) && needsParenthesesOnRight(right.operator, operator), () => visit(right));
        if (negated) tokens.push(CLOSE);
      }
    }
  };
  visit(drawn);
  return tokens;
}

/** Whether a node is an operation that is not yet in parentheses; negated ones are. */
const isGroup = (drawn: Drawn): drawn is Extract<Drawn, { kind: 'operation' }> =>
  drawn.kind === 'operation' && !drawn.negated;
