import { parse as parseMath } from 'mathjs/number';
import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { fromMathNode } from './from-math-node.js';
import { scan, type Limits } from './scan.js';

/**
 * Reads an arithmetic expression: decimal numbers (`2`, `.5`, `2.`, `1e-3`), variables, `+ - * /`, signs,
 * parentheses and `^ -1`. Precedence is mathjs's. A run of one operator is one chain, parentheses make a node of
 * their own: `a + b + c` is `Add(a, b, c)`, `(a + b) + c` is `Add(Add(a, b), c)`. A minus directly before a literal
 * belongs to the number.
 *
 * @param limits `maxLength` (10,000 characters) and `maxDepth` (256 levels of parentheses and signs).
 * @throws ExprError with `code` and `position` for everything else, hostile input included.
 * @example parse('2.5 * -3') // { type: 'Mul', args: [{ type: 'Num', value: 2.5 }, { type: 'Num', value: -3 }] }
 */
export function parse(text: string, limits: Limits = {}): Expr {
  const { incomplete } = scan(text, limits);
  if (incomplete !== null) throw incomplete;
  try {
    return fromMathNode(parseMath(text.trim()));
  } catch (error) {
    // mathjs recurses through some thirty functions a level; a raised maxDepth or a stack nearly full meets the end of it.
    if (error instanceof RangeError) {
      throw new ExprError(
        'too-deep',
        'The expression is nested deeper than the stack allows; lower maxDepth to see where.',
        0,
      );
    }
    throw error;
  }
}
