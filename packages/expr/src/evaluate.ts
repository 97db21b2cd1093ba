import { checkObject } from './arguments.js';
import { ExprError } from './error.js';
import { absArgument, type Expr } from './expr.js';
import { fold } from './fold.js';
import { operands } from './operands.js';
import { power } from './power.js';

/**
 * Computes the value of an expression in IEEE double arithmetic. Chains go from the left: `Sub(a, b, c)` is `(a − b) − c`;
 * `x ^ -1` is `1 / x`, `x ^ n` for whole n up to 16 is n factors, and for larger ones the nearest double. The cube root of a
 * negative number is negative; its other fractional powers are NaN. Division by zero and overflow give ±Infinity or NaN.
 *
 * @param scope The values of variables, by name. Inherited properties do not count.
 * @throws ExprError `unknown-symbol` for a variable that `scope` does not define, `bad-option` where its value is no number,
 *   `bad-expression` and `too-long` for what is no expression.
 * @example evaluate(parse('2.5 * x + 1'), { x: 3 }) // 8.5
 */
export function evaluate(expr: Expr, scope: Readonly<Record<string, number>> = {}): number {
  checkObject('The scope is', scope);
  return fold<Expr, number>(expr, operands, (node, values) => {
    switch (node.type) {
      case 'Num':
        return node.value;
      case 'Sym':
        return lookUp(node.name, scope);
      case 'Neg':
        return -values[0]!;
      case 'Pow':
        return absArgument(node) === null ? power(values[0]!, node.exponent) : Math.abs(values[0]!);
      case 'Add':
        return values.reduce((a, b) => a + b);
      case 'Sub':
        return values.reduce((a, b) => a - b);
      case 'Mul':
        return values.reduce((a, b) => a * b);
      case 'Div':
        return values.reduce((a, b) => a / b);
    }
  });
}

function lookUp(name: string, scope: Readonly<Record<string, number>>): number {
  if (!Object.hasOwn(scope, name)) {
    const known = Object.keys(scope);
    throw new ExprError(
      'unknown-symbol',
      `The variable '${name}' has no value: the scope defines ${known.length > 0 ? known.join(', ') : 'none'}.`,
    );
  }
  const value: unknown = scope[name];
  if (typeof value !== 'number') {
    throw new ExprError('bad-option', `The variable '${name}' must be a number, not ${typeof value}.`);
  }
  return value;
}
