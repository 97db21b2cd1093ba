import { checkObject, checkWhole, named } from './arguments.js';
import { draw, type Drawn } from './draw.js';
import { ExprError } from './error.js';
import { Neg, Num, type Expr } from './expr.js';
import { randomStream, type Random } from './random.js';
import { TEXT_STYLES, write, type TextStyle } from './write.js';

export interface GenerateOptions {
  /** Which stream; a whole number from 0. */
  readonly seed: number;
  /** Which example of the stream; a whole number from 0. */
  readonly index: number;
  /** Numbers, and operations with minuses, are at most this many; 1 … 256. */
  readonly depth: number;
  /** Most digits before the decimal point, 1 … 15. */
  readonly maxDigits: number;
  /** Most digits after it, 0 … 15. */
  readonly maxDecimals: number;
  /** Probability that no number of an example has decimals; 0 where left out. */
  readonly wholeNumbers?: number;
  /**
   * Probability that an example has `depth` numbers, each with `maxDigits` digits with probability ½, and with `maxDecimals`
   * decimals as well; 0 where left out.
   */
  readonly largest?: number;
  /** How `generateText` writes the example; 'spaced' where left out. It does not change the expression. */
  readonly style?: TextStyle;
  /**
   * Probability that the words of an example are drawn from all ways to say the same: 'multiplied by', 'over', 'negative',
   * 'open parenthesis'; 0 where left out. It does not change the expression.
   */
  readonly synonyms?: number;
  /** Probability of a minus before a group that begins the expression or a group around it; 0 where left out. */
  readonly negatedGroups?: number;
}

/**
 * Example `index` of the stream `seed`: a pure function of the options. An expression has k binary operations,
 * k = 0 … depth − 1 with weight k + 1, in a tree of random shape; operators, signs, and the numbers of digits and decimals
 * are each equally likely. No number is zero, and −1 is no left factor of a group. It is what `parse` gives for the
 * text that `generateText` writes for the same options.
 *
 * @throws ExprError `bad-option`
 * @example generateExpression({ seed: 1, index: 0, depth: 4, maxDigits: 2, maxDecimals: 1 })
 */
export function generateExpression(options: GenerateOptions): Expr {
  return expressionOf(drawExample(options).drawn);
}

/**
 * The same example as text, its decimals as they were drawn: `2.50`. It has the parentheses that it needs, and no more
 * but in the style 'loose'.
 *
 * @throws ExprError `bad-option`
 */
export function generateText(options: GenerateOptions): string {
  return generateTexts(options).text;
}

/**
 * The same with its `plain` text, in the style 'compact': what examples that differ only in their writing have in common.
 *
 * @throws ExprError `bad-option`
 */
export function generateTexts(options: GenerateOptions): { text: string; plain: string } {
  const { drawn, random } = drawExample(options);
  // Written with what is drawn last, so that the style has no part in what the expression is.
  const { style = 'spaced', synonyms } = options;
  return { text: write(drawn, style, random, synonyms), plain: write(drawn, 'compact', random) };
}

function drawExample(options: GenerateOptions): { drawn: Drawn; random: Random } {
  checkObject('Options are', options);
  const { seed, index, depth, maxDigits, maxDecimals, style = 'spaced' } = options;
  const { negatedGroups = 0, wholeNumbers = 0, largest = 0, synonyms = 0 } = options;
  checkWhole('depth', depth, 1, 256);
  checkWhole('maxDigits', maxDigits, 1, 15);
  checkWhole('maxDecimals', maxDecimals, 0, 15);
  checkProbability('negatedGroups', negatedGroups);
  checkProbability('wholeNumbers', wholeNumbers);
  checkProbability('largest', largest);
  checkProbability('synonyms', synonyms);
  if (!TEXT_STYLES.includes(style)) {
    throw new ExprError('bad-option', `style must be one of ${TEXT_STYLES.join(', ')}, not ${named(style)}.`);
  }
  const random = randomStream(seed, index);
  const shape = { depth, maxDigits, maxDecimals, negatedGroups, wholeNumbers, largest };
  return { drawn: draw(random, shape), random };
}

function checkProbability(name: string, value: number): void {
  if (typeof value === 'number' && value >= 0 && value <= 1) return;
  throw new ExprError('bad-option', `${name} must be a probability from 0 to 1, not ${named(value)}.`);
}

function expressionOf(drawn: Drawn): Expr {
  if (drawn.kind === 'number') return Num(Number(drawn.text));
  const { operator, left, right, negated } = drawn;
  const first = expressionOf(left);
  const second = expressionOf(right);
  // 'a + b + c' is one chain; a minus closes it off.
  const continues = first.type === operator;
  const chain: Expr = { type: operator, args: continues ? [...first.args, second] : [first, second] };
  return negated ? Neg(chain) : chain;
}
