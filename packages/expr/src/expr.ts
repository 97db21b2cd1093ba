import type { FunctionName } from './names.js';

/**
 * An arithmetic expression: a tree of plain objects. No function of this package changes a node, so parts may be shared. Trees
 * may have any depth and up to 1,000,000 nodes.
 */
export type Expr =
  /** A number. A sign written directly before a literal is part of it: `-2` is `Num(-2)`. */
  | { readonly type: 'Num'; readonly value: number }
  /** A variable. */
  | { readonly type: 'Sym'; readonly name: string }
  /** `-arg`, where `arg` is no literal. */
  | { readonly type: 'Neg'; readonly arg: Expr }
  /** `args[0] ∘ args[1] ∘ …`, evaluated from the left; at least two arguments. */
  | { readonly type: 'Add' | 'Sub' | 'Mul' | 'Div'; readonly args: readonly Expr[] }
  /**
   * `base ^ exponent` with a finite exponent: 0.5 is the square root, 1/3 the cube root. The absolute value of x is √(x²),
   * `Pow(Pow(x, 2), 0.5)`.
   */
  | { readonly type: 'Pow'; readonly base: Expr; readonly exponent: number };

/** The types of chains: sums, differences, products and quotients of two or more operands. */
export type ChainType = 'Add' | 'Sub' | 'Mul' | 'Div';

export const Num = (value: number): Expr => ({ type: 'Num', value });
export const Sym = (name: string): Expr => ({ type: 'Sym', name });
export const Neg = (arg: Expr): Expr => ({ type: 'Neg', arg });
export const Pow = (base: Expr, exponent: number): Expr => ({ type: 'Pow', base, exponent });
export const Abs = (arg: Expr): Expr => Pow(Pow(arg, 2), 0.5);
export const Chain = (type: ChainType, args: readonly Expr[]): Expr => ({ type, args });

/** sqrt, cbrt or abs of an expression. */
export function applied(name: FunctionName, arg: Expr): Expr {
  switch (name) {
    case 'sqrt':
      return Pow(arg, 0.5);
    case 'cbrt':
      return Pow(arg, 1 / 3);
    case 'abs':
      return Abs(arg);
  }
}

/** x of `Pow(Pow(x, 2), 0.5)`; null for other nodes. */
export function absArgument(expr: Expr): Expr | null {
  if (expr.type !== 'Pow' || expr.exponent !== 0.5) return null;
  // A caller without types may give anything for a base.
  const square = expr.base as Expr | null | undefined;
  return square?.type === 'Pow' && square.exponent === 2 ? square.base : null;
}
