import type { ChainType } from './expr.js';
import type { Random } from './random.js';

/** A random expression before it is written: numbers keep their digits as drawn, `2.50` with its zero. */
export type Drawn =
  | { readonly kind: 'number'; readonly text: string }
  | {
      readonly kind: 'operation';
      readonly operator: ChainType;
      readonly left: Drawn;
      readonly right: Drawn;
      /** Whether a minus stands before the parentheses around it. */
      readonly negated: boolean;
    };

export interface Shape {
  readonly depth: number;
  readonly maxDigits: number;
  readonly maxDecimals: number;
  readonly negatedGroups: number;
}

const OPERATORS: readonly ChainType[] = ['Add', 'Sub', 'Mul', 'Div'];

/** Draws an expression with 0 … depth − 1 binary operations, more of them more often, and at most `depth` in all. */
export function draw(random: Random, shape: Shape): Drawn {
  const operations = drawOperations(random, shape.depth);
  let minuses = shape.depth - operations;

  return drawTree(operations, true);

  /** `begins` says whether nothing but an open parenthesis can stand before the tree in the text. */
  function drawTree(count: number, begins: boolean): Drawn {
    if (count === 0) return { kind: 'number', text: drawNumber(random, shape) };
    const negated = begins && shape.negatedGroups > 0 && minuses > 0 && random.chance(shape.negatedGroups);
    if (negated) minuses--;
    const operator = OPERATORS[random.below(OPERATORS.length)]!;
    const before = random.below(count);
    const left = drawTree(before, begins || isGroupOnTheLeft(operator, before));
    const right = drawTree(count - 1 - before, false);
    return { kind: 'operation', operator, left: signOfItsOwn(operator, left, right), right, negated };
  }
}
