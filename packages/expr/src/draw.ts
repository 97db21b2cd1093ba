import type { ChainType } from './expr.js';
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
    };

/** The options of `GenerateOptions` that decide the expression, checked and with their defaults. */
export interface Shape {
  readonly depth: number;
  readonly maxDigits: number;
  readonly maxDecimals: number;
  readonly negatedGroups: number;
  readonly wholeNumbers: number;
  readonly largest: number;
}

const OPERATORS: readonly ChainType[] = ['Add', 'Sub', 'Mul', 'Div'];

/**
 * Draws an expression with k = 0 … depth − 1 binary operations, k with weight k + 1, and at most depth − k minuses of groups.
 * With probability `largest` it has depth − 1 operations and longer numbers.
 */
export function draw(random: Random, shape: Shape): Drawn {
  const isLargest = shape.largest > 0 && random.chance(shape.largest);
  const operations = isLargest ? shape.depth - 1 : drawOperations(random, shape.depth);
  const maxDecimals = shape.wholeNumbers > 0 && random.chance(shape.wholeNumbers) ? 0 : shape.maxDecimals;
  let minuses = shape.depth - operations;
  return drawTree(operations, true, () => false);

  /** `begins`: whether the tree stands at the beginning of the text or after an open parenthesis, where a minus is allowed. */
  function drawTree(
    count: number,
    begins: boolean,
    needsParentheses: (operator: ChainType) => boolean,
  ): Drawn {
    if (count === 0)
      return { kind: 'number', text: drawNumber(random, shape.maxDigits, maxDecimals, isLargest) };
    const negated = begins && minuses > 0 && shape.negatedGroups > 0 && random.chance(shape.negatedGroups);
    if (negated) minuses--;
    const operator = OPERATORS[random.below(OPERATORS.length)]!;
    const onTheLeft = random.below(count);
    const left = drawTree(onTheLeft, begins || negated || needsParentheses(operator), (inner) =>
      needsParenthesesOnLeft(inner, operator),
    );
    const right = drawTree(count - 1 - onTheLeft, false, (inner) => needsParenthesesOnRight(inner, operator));
    return { kind: 'operation', operator, left: withoutMinusOne(operator, left, right), right, negated };
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
  if (operator !== 'Mul' || left.kind !== 'number' || right.kind === 'number') return left;
  return Number(left.text) === -1 ? { kind: 'number', text: left.text.slice(1) } : left;
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
