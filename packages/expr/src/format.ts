import { ExprError } from './error.js';
import type { ChainType, Expr } from './expr.js';
import { fold } from './fold.js';
import { isSymbolName } from './names.js';
import { operands } from './operands.js';

const OPERATORS: Record<ChainType, string> = { Add: ' + ', Sub: ' - ', Mul: ' * ', Div: ' / ' };

/** How tightly an expression holds together: a looser one inside a tighter place needs parentheses. */
const SUM = 1;
const PRODUCT = 2;
const SIGNED = 3;
const POWER = 4;
const ATOM = 5;
const TIGHTNESS = { Add: SUM, Sub: SUM, Mul: PRODUCT, Div: PRODUCT } satisfies Record<ChainType, number>;

/**
 * The text of an expression: spaces around binary operators, no more parentheses than needed, numbers as the
 * shortest decimals that give the same double. `parse(format(e))` is `e` again, node for node.
 *
 * @throws ExprError `not-finite` for a number that no decimal can write, `unsupported` for a symbol that `parse` would not read.
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
        // '-2' reads as the number −2, so the minus of a group that holds 2 keeps its parentheses.
        return `-${inside(texts[0]!, tightness(node.arg) < SIGNED || isUnsignedNumber(node.arg))}`;
      case 'Pow':
        return `${inside(texts[0]!, tightness(node.base) < ATOM)}^-1`;
      default: {
        const own = TIGHTNESS[node.type];
        // On the left 'a - b + c' needs none; 'a + b + c' would be one chain, so a group of the same operator does.
        const part = (i: number): string => {
          const arg = node.args[i]!;
          const looser = tightness(arg) < own;
          return inside(texts[i]!, looser || (i === 0 ? arg.type === node.type : tightness(arg) === own));
        };
        // Concatenation shares strings where join copies them, which would be quadratic in a deep tree.
        return texts.reduce((text, _, i) => (i === 0 ? part(0) : text + OPERATORS[node.type] + part(i)), '');
      }
    }
  });
}

const inside = (text: string, parentheses: boolean): string => (parentheses ? `(${text})` : text);

function tightness(expr: Expr): number {
  switch (expr.type) {
    case 'Num':
      return isUnsignedNumber(expr) ? ATOM : SIGNED;
    case 'Sym':
      return ATOM;
    case 'Neg':
      return SIGNED;
    case 'Pow':
      return POWER;
    default:
      return TIGHTNESS[expr.type];
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
