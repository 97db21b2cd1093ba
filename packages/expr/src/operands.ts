import { named } from './arguments.js';
import { ExprError } from './error.js';
import { absArgument, type Expr } from './expr.js';

const NONE: readonly Expr[] = [];

/**
 * The operands of a node, from the left; none for numbers and symbols. That of an absolute value is its argument, so that the
 * square under the root is no node of its own.
 *
 * @throws ExprError `bad-expression` for a value that is no node, which a caller without types may give.
 */
export function operands(expr: Expr): readonly Expr[] {
  if (typeof expr === 'string') throw noNode('a text: parse it first');
  if (typeof expr !== 'object' || (expr as unknown) === null || Array.isArray(expr))
    throw noNode(named(expr));
  switch (expr.type) {
    case 'Num':
      if (typeof expr.value !== 'number') throw noNode(`a Num with value ${named(expr.value)}`);
      return NONE;
    case 'Sym':
      if (typeof expr.name !== 'string') throw noNode(`a Sym with name ${named(expr.name)}`);
      return NONE;
    case 'Neg':
      return [expr.arg];
    case 'Pow':
      if (!Number.isFinite(expr.exponent)) throw noNode(`a Pow with exponent ${named(expr.exponent)}`);
      return [absArgument(expr) ?? expr.base];
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
      if (!Array.isArray(expr.args) || expr.args.length < 2)
        throw noNode(`a chain '${expr.type}' without an array of at least two args`);
      return expr.args;
    default:
      throw noNode(`an object of type ${named((expr as { type?: unknown }).type)}`);
  }
}

const noNode = (what: string): ExprError =>
  new ExprError('bad-expression', `Expected an expression, as parse returns it, got ${what}.`);
