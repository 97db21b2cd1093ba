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
  /** `base ^ -1`; `normalize` turns it into a division. */
  | { readonly type: 'Pow'; readonly base: Expr; readonly exponent: -1 };

/** The types of chains: sums, differences, products and quotients of two or more operands. */
export type ChainType = 'Add' | 'Sub' | 'Mul' | 'Div';

export const Num = (value: number): Expr => ({ type: 'Num', value });
export const Sym = (name: string): Expr => ({ type: 'Sym', name });
export const Neg = (arg: Expr): Expr => ({ type: 'Neg', arg });
export const Pow = (base: Expr): Expr => ({ type: 'Pow', base, exponent: -1 });
export const Chain = (type: ChainType, args: readonly Expr[]): Expr => ({ type, args });
