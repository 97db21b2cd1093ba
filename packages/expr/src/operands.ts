import type { Expr } from './expr.js';

const NONE: readonly Expr[] = [];

/** The operands of a node, from the left; none for numbers and symbols. */
export function operands(expr: Expr): readonly Expr[] {
  switch (expr.type) {
    case 'Num':
    case 'Sym':
      return NONE;
    case 'Neg':
      return [expr.arg];
    case 'Pow':
      return [expr.base];
    default:
      return expr.args;
  }
}
