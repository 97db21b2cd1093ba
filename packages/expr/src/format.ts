import { ExprError } from './error.js';
import { absArgument, type ChainType, type Expr } from './expr.js';
import { fold } from './fold.js';
import { isSymbolName } from './names.js';
import { operands } from './operands.js';

const OPERATORS: Record<ChainType, string> = { Add: ' + ', Sub: ' - ', Mul: ' * ', Div: ' / ' };

/** Precedence levels. An operand of a lower level than its place requires needs parentheses. */
const SUM = 1;
const PRODUCT = 2;
const SIGNED = 3;
const POWER = 4;
const ATOM = 5;
const LEVELS = { Add: SUM, Sub: SUM, Mul: PRODUCT, Div: PRODUCT } satisfies Record<ChainType, number>;

/**
 * Writes an expression as text: spaces around binary operators, the fewest parentheses, and each number as the
 * shortest decimal that gives the same double. `parse(format(e))` is `e` again, node for node.
 *
 * @throws ExprError `not-finite` for NaN and infinities, `unsupported` for a symbol that is no name of a variable,
 *   `bad-expression` and `too-long` for what is no expression.
 * @example format(parse('((2.50)*3)+1')) // '2.5 * 3 + 1'
 */
export function format(expr: Expr): string {
  return fold<Expr, string>(expr, operands, (node, texts) => {
    switch (node.type) {
      case 'Num':
        return formatNumber(node.value);
      case 'Sym':
        return formatSymbol(node.name);
      case 'Neg':
        // '-2' would be read as the number −2, so Neg(2) is written '-(2)'.
        return `-${inside(texts[0]!, levelOf(node.arg) < SIGNED || isUnsignedNumber(node.arg))}`;
      case 'Pow':
        return formatPower(node, texts[0]!);
      default: {
        const level = LEVELS[node.type];
        // On the left, '(a - b) + c' needs no parentheses; '(a + b) + c' does, because 'a + b + c' is one chain.
        const part = (i: number): string => {
          const arg = node.args[i]!;
          const isLower = levelOf(arg) < level;
          return inside(texts[i]!, isLower || (i === 0 ? arg.type === node.type : levelOf(arg) === level));
        };
        // Concatenation shares strings. `join` copies them, which is quadratic in a deep tree.
        return texts.reduce((text, _, i) => (i === 0 ? part(0) : text + OPERATORS[node.type] + part(i)), '');
      }
    }
  });
}

type Pow = Extract<Expr, { type: 'Pow' }>;

/** @param text The base, or the argument of an absolute value. */
function formatPower(node: Pow, text: string): string {
  const name = functionOf(node);
  if (name !== null) return `${name}(${text})`;
  return `${inside(text, levelOf(node.base) < ATOM)}^${formatNumber(node.exponent)}`;
}

/** The function that a power is written as; null for those that are written with ^. */
function functionOf(node: Pow): string | null {
  if (absArgument(node) !== null) return 'abs';
  return node.exponent === 0.5 ? 'sqrt' : node.exponent === 1 / 3 ? 'cbrt' : null;
}

const inside = (text: string, parentheses: boolean): string => (parentheses ? `(${text})` : text);

function levelOf(expr: Expr): number {
  switch (expr.type) {
    case 'Num':
      return isUnsignedNumber(expr) ? ATOM : SIGNED;
    case 'Sym':
      return ATOM;
    case 'Neg':
      return SIGNED;
    case 'Pow':
      return functionOf(expr) === null ? POWER : ATOM;
    default:
      return LEVELS[expr.type];
  }
}

const isUnsignedNumber = (expr: Expr): boolean =>
  expr.type === 'Num' && !(expr.value < 0 || Object.is(expr.value, -0));

function formatNumber(value: number): string {
  if (!Number.isFinite(value)) {
    throw new ExprError(
      'not-finite',
      `${value} cannot be written: the numbers of an expression are finite decimals.`,
    );
  }
  return Object.is(value, -0) ? '-0' : String(value);
}

function formatSymbol(name: string): string {
  if (!isSymbolName(name)) {
    throw new ExprError(
      'unsupported',
      `'${name}' cannot be written: a variable's name is letters, digits, _ and $.`,
    );
  }
  return name;
}
