import { ExprError } from './error.js';
import { evaluate } from './evaluate.js';
import { applied, Chain, Neg, Num, Pow, Sym, type ChainType, type Expr } from './expr.js';
import type { FunctionName } from './names.js';
import { refuse } from './refuse.js';
import { scan, type Limits } from './scan.js';
import type { Token, TokenKind } from './token.js';
import { percentOf } from './decimal.js';

/**
 * Parses an arithmetic expression: decimal numbers (`2`, `.5`, `2.`, `1e-3`), variables, `+ - * /`, signs,
 * parentheses, constant powers (`x^2`, `2 ** 10`, `x^-0.5`), `sqrt(x)`, `cbrt(x)`, `abs(x)`, `|x|` and percentages (`15%` is 0.15, `(2 + 3)%` is `(2 + 3) / 100`), with the precedence of
 * mathjs: powers bind tighter than signs, and the right one first. An exponent is any expression without variables. A run of one operator is one chain, and parentheses make a node of
 * their own: `a + b + c` is `Add(a, b, c)`, `(a + b) + c` is `Add(Add(a, b), c)`. A minus directly before a literal
 * belongs to the number.
 *
 * @param limits `maxLength` (10,000 characters) and `maxDepth` (256 levels of parentheses and signs).
 * @throws ExprError `syntax`, `unsupported`, `not-finite`, `too-long` or `too-deep`, with the `position` of the mistake;
 *   `bad-option` for limits out of range and for what is no string.
 * @example parse('2.5 * -3') // { type: 'Mul', args: [{ type: 'Num', value: 2.5 }, { type: 'Num', value: -3 }] }
 */
export function parse(text: string, limits: Limits = {}): Expr {
  const { tokens, incomplete } = scan(text, limits);
  const error = incomplete();
  if (error !== null) throw error;
  try {
    return parseTokens(tokens, tokens.length);
  } catch (error) {
    // The recursion overflows the stack where maxDepth was raised or the stack was nearly full before.
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

const SUMS: Readonly<Record<string, ChainType>> = { '+': 'Add', '-': 'Sub' };
const PRODUCTS: Readonly<Record<string, ChainType>> = { '*': 'Mul', '/': 'Div' };

/**
 * Parses the first `count` tokens, by recursive descent along the grammar of the README. The last of them must be the end of an
 * operand. `scan` has checked the rest of the syntax; parentheses that are still open are closed at the end.
 */
export function parseTokens(tokens: readonly Token[], count: number): Expr {
  let next = 0;
  return sum();

  function sum(): Expr {
    return chain(product, SUMS);
  }

  function product(): Expr {
    return chain(signed, PRODUCTS);
  }

  /** Operands of one level and the operators between them; a run of one operator is one node. */
  function chain(operand: () => Expr, operators: typeof SUMS): Expr {
    let expr = operand();
    let run: Expr[] = [];
    let runType: ChainType | undefined;
    while (next < count) {
      const { kind, text } = tokens[next]!;
      const type = kind === 'operator' ? operators[text] : undefined;
      if (type === undefined) break;
      next++;
      const right = operand();
      if (type === runType) {
        run.push(right);
      } else {
        run = [expr, right];
        runType = type;
        expr = Chain(type, run);
      }
    }
    return expr;
  }

  function signed(): Expr {
    if (tokens[next]!.kind !== 'sign') return power();
    const minus = tokens[next++]!.text === '-';
    const literal = tokens[next]!.kind === 'number';
    const arg = signed();
    if (!minus) return arg;
    // '-2 ^ -1' is Neg(Pow(2)), because the power binds tighter.
    return literal && arg.type === 'Num' ? Num(-arg.value) : Neg(arg);
  }

  function power(): Expr {
    const base = atom();
    if (next === count || tokens[next]!.kind !== 'power') return base;
    next++;
    const first = next;
    const exponent = signed();
    const { position } = tokens[first]!;
    const name = tokens.slice(first, next).find(({ kind }) => kind === 'symbol');
    if (name !== undefined) throw refuse.exponent(name.text, position);
    const value = evaluate(exponent);
    if (!Number.isFinite(value)) throw refuse.infiniteExponent(value, position);
    return Pow(base, value);
  }

  function atom(): Expr {
    const { kind, text } = tokens[next++]!;
    if (kind === 'number') return Num(takesPercent() ? percentOf(text) : Number(text));
    const inside = kind === 'symbol' ? Sym(text) : group(kind, text);
    return takesPercent() ? Chain('Div', [inside, Num(100)]) : inside;
  }

  function takesPercent(): boolean {
    if (next === count || tokens[next]!.kind !== 'percent') return false;
    next++;
    return true;
  }

  /** The rest of a group that `text` opens. */
  function group(kind: TokenKind, text: string): Expr {
    const inside = sum();
    if (next < count) next++;
    if (kind !== 'function') return inside;
    return applied(text === '|' ? 'abs' : (text.slice(0, -1).trimEnd() as FunctionName), inside);
  }
}
