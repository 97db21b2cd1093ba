import { absArgument, type ChainType, type Expr } from './expr.js';
import { fold } from './fold.js';
import { operands } from './operands.js';

export { ExprError, type ExprErrorCode } from './error.js';
export { type ChainType, type Expr } from './expr.js';
export { fromMathNode, type MathNodeLike } from './from-math-node.js';

/** An expression under construction. All its chains were made by this call of `normalize`, so it may append to them. */
type Draft =
  | Extract<Expr, { type: 'Num' | 'Sym' }>
  | { readonly type: 'Neg'; readonly arg: Draft }
  | { readonly type: 'Pow'; readonly base: Draft; readonly exponent: number }
  | { readonly type: ChainType; readonly args: Draft[] };

/**
 * Brings an expression to its normal form, for tensors, comparison and printing:
 *
 * - powers in a product divide by their positive power: `a · b⁻³` is `Div(a, b³)` and `a / b⁻³` is `Mul(a, b³)`; `x⁻¹` elsewhere is
 *   `Div(1, x)`, and `x¹` is x. The cube root of a negative number or `Neg` is the `Neg` of a cube root;
 * - `Neg` only of what is neither a number nor a `Neg`; `−1 · x` of two factors is `Neg(x)` where x is no number;
 * - `a + (−b)` is `Sub(a, b)` and `a − (−b)` is `Add(a, b)`, where b is no number: numbers keep their signs;
 * - chains are flat on the left, `(a + b) + c` is `Add(a, b, c)`. A group on the right of an operator stays, because
 *   it is evaluated first and IEEE addition is not associative.
 *
 * Numbers keep their order of appearance. The value keeps its bits, except where a `Pow` in a product changed its side:
 * `a · b⁻¹` rounds twice, `a / b` once. Normalising twice changes nothing.
 *
 * @throws ExprError `bad-expression` and `too-long` for what is no expression.
 * @example normalize(parse('a + (-b) + c')) // Add(Sub(a, b), c)
 */
export function normalize(expr: Expr): Expr {
  return fold<Expr, Draft>(expr, operands, (node, args) => {
    switch (node.type) {
      case 'Num':
      case 'Sym':
        return node;
      case 'Neg':
        return negate(args[0]!);
      case 'Pow':
        return absArgument(node) === null
          ? power(args[0]!, node.exponent)
          : power(power(args[0]!, 2), node.exponent);
      case 'Add':
      case 'Sub':
        return sum(node.type, args);
      case 'Mul':
        return product(node.args, args);
      case 'Div':
        return minusOneAsSign(args.reduce(divide));
    }
  });
}

function negate(expr: Draft): Draft {
  if (expr.type === 'Num') return { type: 'Num', value: -expr.value };
  return expr.type === 'Neg' ? expr.arg : { type: 'Neg', arg: expr };
}

function power(base: Draft, exponent: number): Draft {
  if (exponent === 1) return base;
  if (exponent === -1) return divide({ type: 'Num', value: 1 }, base);
  // Plans have no power of a negative number under a fraction; the cube root is odd.
  if (Math.abs(exponent) === 1 / 3) {
    if (base.type === 'Neg') return negate(power(base.arg, exponent));
    if (base.type === 'Num' && (base.value < 0 || Object.is(base.value, -0)))
      return negate(power({ type: 'Num', value: -base.value }, exponent));
  }
  return { type: 'Pow', base, exponent };
}

/** `left / right`; by a negative power, `left` times the positive one. */
function divide(left: Draft, right: Draft): Draft {
  return right.type === 'Pow' && right.exponent < 0
    ? append(left, 'Mul', power(right.base, -right.exponent))
    : append(minusOneAsSign(left), 'Div', right);
}

function sum(type: 'Add' | 'Sub', args: readonly Draft[]): Draft {
  const opposite = type === 'Add' ? 'Sub' : 'Add';
  return args.reduce((left, right) =>
    right.type === 'Neg' ? append(left, opposite, right.arg) : append(left, type, right),
  );
}

function product(sources: readonly Expr[], args: readonly Draft[]): Draft {
  let left = args[0]!;
  for (let i = 1; i < args.length; i++) {
    const right = args[i]!;
    // In normal form, a Pow and a division 1 / x look alike; the source tells them apart.
    const source = sources[i]!;
    if (source.type === 'Pow' && source.exponent === -1 && right.type === 'Div')
      left = append(minusOneAsSign(left), 'Div', right.args[1]!);
    else if (right.type === 'Pow' && right.exponent < 0)
      left = append(minusOneAsSign(left), 'Div', power(right.base, -right.exponent));
    else left = append(left, 'Mul', right);
  }
  return minusOneAsSign(left);
}

/** `−1 · x` is `Neg(x)`, where x is no number and the only other factor. */
function minusOneAsSign(expr: Draft): Draft {
  if (expr.type !== 'Mul' || expr.args.length !== 2) return expr;
  const [first, second] = expr.args;
  return first!.type === 'Num' && first!.value === -1 && second!.type !== 'Num' ? negate(second!) : expr;
}

/** `left ∘ right`: appends to `left` where it is a chain of this type, else makes a new chain. */
function append(left: Draft, type: ChainType, right: Draft): Draft {
  if (left.type !== type) return { type, args: [left, right] };
  left.args.push(right);
  return left;
}
