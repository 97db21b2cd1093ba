import type { ChainType } from './expr.js';
import { FUNCTIONS, type FunctionName } from './names.js';
import type { Random } from './random.js';

/** A random expression as a tree. Numbers are texts, so that `2.50` keeps its zero. */
export type Drawn =
  | { readonly kind: 'number'; readonly text: string }
  | {
      readonly kind: 'operation';
      readonly operator: ChainType;
      readonly left: Drawn;
      readonly right: Drawn;
      /** Whether it is written in parentheses with a minus before them. */
      readonly negated: boolean;
    }
  | { readonly kind: 'percent'; readonly of: Drawn }
  | { readonly kind: 'function'; readonly name: FunctionName; readonly of: Drawn }
  | { readonly kind: 'power'; readonly of: Drawn; readonly exponent: string };

/** The options of `GenerateOptions` that decide the expression, checked and with their defaults. */
export interface Shape {
  readonly depth: number;
  readonly maxDigits: number;
  readonly maxDecimals: number;
  readonly negatedGroups: number;
  readonly wholeNumbers: number;
  readonly largest: number;
  readonly percentages: number;
  readonly functions: number;
  readonly powers: number;
}

/** Constant exponents: whole ones, with squares and cubes more often, and fractions that are roots. */
const EXPONENTS = ['2', '2', '3', '3', '4', '5', '10', '-1', '-2', '-3', '0.5', '-0.5', '1.5', '0.25'];

const OPERATORS: readonly ChainType[] = ['Add', 'Sub', 'Mul', 'Div'];

/**
 * Draws an expression with k = 0 … depth − 1 binary operations, k with weight k + 1. Minuses of groups, powers, functions and
 * percentages of groups take the steps and numbers that are left of `depth`, as its plan needs them. With probability `largest` it
 * has depth − 1 operations and longer numbers.
 */
export function draw(random: Random, shape: Shape): Drawn {
  const isLargest = shape.largest > 0 && random.chance(shape.largest);
  const operations = isLargest ? shape.depth - 1 : drawOperations(random, shape.depth);
  const maxDecimals = shape.wholeNumbers > 0 && random.chance(shape.wholeNumbers) ? 0 : shape.maxDecimals;
  let steps = shape.depth - operations;
  let numbers = shape.depth - operations - 1;
  return drawTree(operations, true, () => false);

  /** `begins`: whether the tree stands at the beginning of the text or after an open parenthesis, where a minus is allowed. */
  function drawTree(
    count: number,
    begins: boolean,
    needsParentheses: (operator: ChainType) => boolean,
  ): Drawn {
    if (count === 0) {
      const text = drawNumber(random, shape.maxDigits, maxDecimals, isLargest);
      return raised({ kind: 'number', text });
    }
    const negated = begins && steps > 0 && shape.negatedGroups > 0 && random.chance(shape.negatedGroups);
    if (negated) steps--;
    const operator = OPERATORS[random.below(OPERATORS.length)]!;
    const onTheLeft = random.below(count);
    const left = drawTree(onTheLeft, begins || negated || needsParentheses(operator), (inner) =>
      needsParenthesesOnLeft(inner, operator),
    );
    const right = drawTree(count - 1 - onTheLeft, false, (inner) => needsParenthesesOnRight(inner, operator));
    const first = withoutMinusOne(operator, left, right);
    const operation: Drawn = { kind: 'operation', operator, left: first, right, negated };
    return negated ? operation : raised(operation);
  }

  /** An operand, or a percentage, function or power of it, or several of these. */
  function raised(operand: Drawn): Drawn {
    let drawn = operand;
    if (isDrawn(shape.percentages) && (drawn.kind === 'number' || takes(1, 1)))
      drawn = { kind: 'percent', of: drawn };
    // The absolute value and the cube root of a negative number take two steps.
    if (isDrawn(shape.functions) && takes(2, 0))
      drawn = { kind: 'function', name: FUNCTIONS[random.below(FUNCTIONS.length)]!, of: drawn };
    // x^-1 may be 1 / x, with a number more.
    if (isDrawn(shape.powers) && takes(1, 1))
      drawn = { kind: 'power', of: drawn, exponent: EXPONENTS[random.below(EXPONENTS.length)]! };
    return drawn;
  }

  /** Without the option nothing is drawn, so that the stream stays as it is. */
  function isDrawn(probability: number): boolean {
    return probability > 0 && random.chance(probability);
  }

  function takes(moreSteps: number, moreNumbers: number): boolean {
    if (steps < moreSteps || numbers < moreNumbers) return false;
    steps -= moreSteps;
    numbers -= moreNumbers;
    return true;
  }
}

const isSum = (operator: ChainType): boolean => operator === 'Add' || operator === 'Sub';

/** Whether the parse of an operand `inner` of `outer` changes without parentheses, on the left and on the right. */
export const needsParenthesesOnLeft = (inner: ChainType, outer: ChainType): boolean =>
  isSum(inner) && !isSum(outer);
export const needsParenthesesOnRight = (inner: ChainType, outer: ChainType): boolean =>
  isSum(inner) || !isSum(outer);

/** The normal form of `−1 · (…)` is `−(…)`, which has no number −1: a −1 drawn there becomes 1. */
function withoutMinusOne(operator: ChainType, left: Drawn, right: Drawn): Drawn {
  const { text, isPercent } = literalOf(left) ?? { text: '', isPercent: false };
  if (operator !== 'Mul' || right.kind === 'number' || Number(text) !== (isPercent ? -100 : -1)) return left;
  const positive: Drawn = { kind: 'number', text: text.slice(1) };
  return isPercent ? { kind: 'percent', of: positive } : positive;
}

/** The digits of a number or of a percentage of one; null for other expressions. */
export function literalOf(drawn: Drawn): { text: string; isPercent: boolean } | null {
  if (drawn.kind === 'number') return { text: drawn.text, isPercent: false };
  return drawn.kind === 'percent' && drawn.of.kind === 'number'
    ? { text: drawn.of.text, isPercent: true }
    : null;
}

/** Draws k = 0 … depth − 1 with weight k + 1. */
function drawOperations(random: Random, depth: number): number {
  let rest = random.below((depth * (depth + 1)) / 2);
  let count = 0;
  while (rest > count) rest -= ++count;
  return count;
}

/**
 * Draws a number other than 0. The numbers of digits and of decimals are uniform; in a largest expression each is the
 * maximum with probability ½.
 */
function drawNumber(random: Random, maxDigits: number, maxDecimals: number, isLargest: boolean): string {
  const sign = random.below(2) === 0 ? '' : '-';
  const takesAll = (): boolean => isLargest && random.chance(0.5);
  const digits = takesAll() ? maxDigits : 1 + random.below(maxDigits);
  const decimals = takesAll() ? maxDecimals : random.below(maxDecimals + 1);
  for (;;) {
    let text = String(digits > 1 ? 1 + random.below(9) : random.below(10));
    for (let i = 1; i < digits; i++) text += random.below(10);
    if (decimals > 0) text += '.';
    for (let i = 0; i < decimals; i++) text += random.below(10);
    if (Number(text) !== 0) return sign + text;
  }
}
