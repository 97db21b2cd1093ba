import { draw, needsParenthesesOnLeft, needsParenthesesOnRight, type Drawn } from './draw.js';
import { ExprError } from './error.js';
import { Neg, Num, type ChainType, type Expr } from './expr.js';
import { randomStream, type Random } from './random.js';
import { spell } from './vocabulary.js';

/** How an example is written: `2.5 * 3`, `2.5*3`, "two point five times three", or each example one of these. */
export type TextStyle = 'spaced' | 'compact' | 'words' | 'mixed';

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
  /** How `generateText` writes the example; 'spaced' where left out. It does not change the expression. */
  readonly style?: TextStyle;
  /** Probability of a minus before a group that begins the expression or a group around it; 0 where left out. */
  readonly negatedGroups?: number;
}

const STYLES: readonly string[] = ['spaced', 'compact', 'words', 'mixed'] satisfies TextStyle[];
const OPERATORS: Record<ChainType, string> = { Add: '+', Sub: '-', Mul: '*', Div: '/' };

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
 * The same example as text, with the parentheses it needs and no more, and its decimals as they were drawn: `2.50`.
 *
 * @throws ExprError `bad-option`
 */
export function generateText(options: GenerateOptions): string {
  const { drawn, random } = drawExample(options);
  const { style = 'spaced' } = options;
  // Drawn last, so that the style has no part in what the expression is.
  switch (style === 'mixed' ? (['spaced', 'compact', 'words'] as const)[random.below(3)]! : style) {
    case 'spaced':
      return textOf(drawn, ' ');
    case 'compact':
      return textOf(drawn, '');
    case 'words':
      return spell(textOf(drawn, ''));
  }
}

function drawExample(options: GenerateOptions): { drawn: Drawn; random: Random } {
  const { seed, index, depth, maxDigits, maxDecimals, negatedGroups = 0, style = 'spaced' } = options;
  checkWhole('seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('index', index, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('depth', depth, 1, 256);
  checkWhole('maxDigits', maxDigits, 1, 15);
  checkWhole('maxDecimals', maxDecimals, 0, 15);
  if (!(negatedGroups >= 0 && negatedGroups <= 1)) {
    throw new ExprError(
      'bad-option',
      `negatedGroups must be a probability from 0 to 1, not ${String(negatedGroups)}.`,
    );
  }
  if (!STYLES.includes(style)) {
    throw new ExprError('bad-option', `style must be one of ${STYLES.join(', ')}, not ${String(style)}.`);
  }
  const random = randomStream(seed, index);
  return { drawn: draw(random, { depth, maxDigits, maxDecimals, negatedGroups }), random };
}

function checkWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new ExprError(
    'bad-option',
    `${name} must be a whole number from ${least} to ${most}, not ${String(value)}.`,
  );
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

function textOf(drawn: Drawn, space: string): string {
  if (drawn.kind === 'number') return drawn.text;
  const { operator, left, right, negated } = drawn;
  const first = textOf(left, space);
  const second = textOf(right, space);
  const leftText = isGroup(left) && needsParenthesesOnLeft(left.operator, operator) ? `(${first})` : first;
  const rightText =
    isGroup(right) && needsParenthesesOnRight(right.operator, operator) ? `(${second})` : second;
  const text = leftText + space + OPERATORS[operator] + space + rightText;
  return negated ? `-(${text})` : text;
}

/** An operation that has no parentheses of its own yet. */
const isGroup = (drawn: Drawn): drawn is Extract<Drawn, { kind: 'operation' }> =>
  drawn.kind === 'operation' && !drawn.negated;
