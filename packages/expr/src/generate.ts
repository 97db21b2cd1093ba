import { checkObject, checkWhole, named } from './arguments.js';
import { percentOf } from './decimal.js';
import { draw, type Drawn } from './draw.js';
import { ExprError } from './error.js';
import { applied, Chain, Neg, Num, Pow, type Expr } from './expr.js';
import { randomStream, type Random } from './random.js';
import { TEXT_STYLES, write, type TextStyle } from './write.js';

/** What decides a random expression and how it is written. All probabilities are from 0 to 1. */
export interface GenerateOptions {
  /** Seed of the stream; a whole number from 0. */
  readonly seed: number;
  /** Index of the example in the stream; a whole number from 0. */
  readonly index: number;
  /**
   * Maximum of numbers, and of operations: binary ones, minuses and percentages of groups, powers and functions; 1 … 256. A plan of
   * this depth holds the expression.
   */
  readonly depth: number;
  /** Maximum of digits before the decimal point, 1 … 15. */
  readonly maxDigits: number;
  /** Maximum of digits after the decimal point, 0 … 15. */
  readonly maxDecimals: number;
  /** Probability that all numbers of an example are whole; 0 by default. */
  readonly wholeNumbers?: number;
  /**
   * Probability that an example is as large as it may be: it has `depth` numbers, and each has `maxDigits` digits with probability
   * ½, and independently `maxDecimals` decimals with probability ½; 0 by default.
   */
  readonly largest?: number;
  /** How `generateText` writes the example; 'spaced' by default. The expression does not depend on it. */
  readonly style?: TextStyle;
  /**
   * Probability that the words of an example are drawn from all synonyms: 'multiplied by', 'over', 'negative', 'open
   * parenthesis'; 0 by default. The expression does not depend on it.
   */
  readonly synonyms?: number;
  /** Probability of a minus before a group, where one is allowed: at the beginning and after an open parenthesis; 0 by default. */
  readonly negatedGroups?: number;
  /** Probability that a number or group is a percentage, `15%`, `(2 + 3)%`; 0 by default. */
  readonly percentages?: number;
  /** Probability of `sqrt`, `cbrt` or `abs` of a number or group; 0 by default. */
  readonly functions?: number;
  /** Probability of a constant exponent of a number or group, `(2 + 3)^-0.5`: whole numbers from −3 to 10, halves and quarters; 0 by default. */
  readonly powers?: number;
}

/**
 * Generates example `index` of the stream `seed`: a pure function of the options. The expression has k binary operations,
 * k = 0 … depth − 1 with weight k + 1, in a tree of random shape. Operators, signs, and the numbers of digits and decimals
 * are uniform. No number is 0, and −1 is never the left factor of a group, whose normal form would have one number less.
 *
 * `parse` of the text that `generateText` writes for the same options, in the style 'spaced' or 'compact', is this expression;
 * `fromText` reads it in every style.
 *
 * @throws ExprError `bad-option` where an option is outside its range
 * @example generateExpression({ seed: 1, index: 0, depth: 4, maxDigits: 2, maxDecimals: 1 })
 */
export function generateExpression(options: GenerateOptions): Expr {
  return expressionOf(drawExample(options).drawn);
}

/**
 * Writes the example of `generateExpression` as text in `style`. Decimals may end in zeros, `2.50`. It has the fewest
 * parentheses, except in the style 'loose'.
 *
 * @throws ExprError `bad-option` where an option is outside its range
 * @example generateText({ seed: 1, index: 7, depth: 4, maxDigits: 2, maxDecimals: 2 }) // '-4 - -87.08'
 */
export function generateText(options: GenerateOptions): string {
  return generateTexts(options).text;
}

/**
 * Returns `text`, as `generateText` writes it, and `plain`, the same example in the style 'compact'. Examples that differ only in
 * style or synonyms have the same `plain` text.
 *
 * @throws ExprError `bad-option` where an option is outside its range
 */
export function generateTexts(options: GenerateOptions): { text: string; plain: string } {
  const { drawn, random } = drawExample(options);
  // The style draws from the stream after the expression, which therefore does not depend on it.
  const { style = 'spaced', synonyms } = options;
  return { text: write(drawn, style, random, synonyms), plain: write(drawn, 'compact', random) };
}

function drawExample(options: GenerateOptions): { drawn: Drawn; random: Random } {
  checkObject('Options are', options);
  const { seed, index, depth, maxDigits, maxDecimals, style = 'spaced' } = options;
  const { negatedGroups = 0, wholeNumbers = 0, largest = 0, synonyms = 0 } = options;
  const { percentages = 0, functions = 0, powers = 0 } = options;
  checkWhole('depth', depth, 1, 256);
  checkWhole('maxDigits', maxDigits, 1, 15);
  checkWhole('maxDecimals', maxDecimals, 0, 15);
  checkProbability('negatedGroups', negatedGroups);
  checkProbability('wholeNumbers', wholeNumbers);
  checkProbability('largest', largest);
  checkProbability('synonyms', synonyms);
  checkProbability('percentages', percentages);
  checkProbability('functions', functions);
  checkProbability('powers', powers);
  if (!TEXT_STYLES.includes(style)) {
    throw new ExprError('bad-option', `style must be one of ${TEXT_STYLES.join(', ')}, not ${named(style)}.`);
  }
  const random = randomStream(seed, index);
  const shape = {
    ...{ depth, maxDigits, maxDecimals, negatedGroups, wholeNumbers, largest },
    ...{ percentages, functions, powers },
  };
  return { drawn: draw(random, shape), random };
}

function checkProbability(name: string, value: number): void {
  if (typeof value === 'number' && value >= 0 && value <= 1) return;
  throw new ExprError('bad-option', `${name} must be a probability from 0 to 1, not ${named(value)}.`);
}

function expressionOf(drawn: Drawn): Expr {
  switch (drawn.kind) {
    case 'number':
      return Num(Number(drawn.text));
    case 'percent':
      return drawn.of.kind === 'number'
        ? Num(percentOf(drawn.of.text))
        : Chain('Div', [expressionOf(drawn.of), Num(100)]);
    case 'function':
      return applied(drawn.name, expressionOf(drawn.of));
    case 'power':
      return Pow(expressionOf(drawn.of), Number(drawn.exponent));
    case 'operation': {
      const { operator, left, right, negated } = drawn;
      const first = expressionOf(left);
      const second = expressionOf(right);
      // 'a + b + c' is one chain; a group in parentheses is a node that no chain continues.
      const continues = left.kind === 'operation' && !left.negated && first.type === operator;
      const chain = Chain(operator, continues ? [...first.args, second] : [first, second]);
      return negated ? Neg(chain) : chain;
    }
  }
}
