import type { Expr } from '@dag/expr';
import { absentDigit, operatorCount, slotCount, type OperatorClass, type RegisterLayout } from './layout.js';

/** What the registers should hold at each of N tokens, row-major. Rows without a target hold what an empty text does. */
export interface RegisterTargets {
  /** (N, S, R) class of each digit register: 0 … 9, or 10 where no token wrote it. */
  readonly digits: Uint8Array;
  /** (N, S) 1 where the slot holds a number; only there `length` and `negative` say something. */
  readonly begun: Uint8Array;
  /** (N, S) digits before the decimal point. */
  readonly length: Uint8Array;
  /** (N, S) 1 where the number has a minus. */
  readonly negative: Uint8Array;
  /** (N, K) class of each operator (see `operatorClasses`), 0 absent, −1 where anything is right. */
  readonly operators: Int8Array;
  /** (N, K, K) [k, j]: 1 where operator k stands above operator j. */
  readonly above: Uint8Array;
  /** (N) operators so far; −1 where the text ends in one, which may still turn out to be a sign. */
  readonly count: Int8Array;
}

export function createRegisterTargets(size: number, layout: RegisterLayout): RegisterTargets {
  const K = operatorCount(layout);
  const S = slotCount(layout);
  return {
    digits: new Uint8Array(size * S * layout.digits).fill(absentDigit),
    begun: new Uint8Array(size * S),
    length: new Uint8Array(size * S),
    negative: new Uint8Array(size * S),
    operators: new Int8Array(size * K),
    above: new Uint8Array(size * K * K),
    count: new Int8Array(size).fill(-1),
  };
}

/**
 * Writes the targets of one prefix as row `index`.
 *
 * @param text The prefix as it was typed, in symbols: its digits are what the tokens have written.
 * @param expr The completed prefix as `parse` gives it. Not its normal form: that turns `-(1` into the number −1 and
 *   `-(1 + 2` into a minus of a group, and running sums cannot move a number from one slot to another.
 * @returns false where registers cannot hold it (exponents, variables, too many digits or operators); the row then stays empty.
 */
export function writeRegisterTargets(
  targets: RegisterTargets,
  index: number,
  text: string,
  expr: Expr,
  layout: RegisterLayout,
): boolean {
  const infix = /[eE]/.test(text) ? null : readInfix(expr);
  const literals = text.match(/\d+\.?\d*|\.\d+/g) ?? [];
  const open = /[-+*/×÷−(]\s*$/.test(text);
  return infix !== null && writeInfixTargets(targets, index, infix, literals, open, layout);
}

/** An expression as it is read: numbers in their slots, operators with the range of operators that they stand above. */
export interface Infix {
  readonly numbers: readonly { readonly slot: number; readonly negative: boolean }[];
  readonly operators: readonly {
    readonly operator: OperatorClass;
    readonly above: { readonly from: number; readonly to: number };
  }[];
}

/** An expression as registers hold it; null where they cannot, as it has variables or powers. */
export function readInfix(expr: Expr): Infix | null {
  const numbers: { slot: number; negative: boolean }[] = [];
  const operators: { operator: OperatorClass; above: { from: number; to: number } }[] = [];
  const put = (operator: OperatorClass, from: number, operand: Expr): boolean => {
    const above = { from, to: 0 };
    operators.push({ operator, above });
    const read = visit(operand);
    above.to = operators.length;
    return read;
  };
  const visit = (e: Expr): boolean => {
    switch (e.type) {
      case 'Num':
        numbers.push({ slot: operators.length, negative: e.value < 0 || Object.is(e.value, -0) });
        return true;
      case 'Neg':
        return put(5, operators.length, e.arg);
      case 'Add':
      case 'Sub':
      case 'Mul':
      case 'Div': {
        const from = operators.length;
        return e.args.every((arg, i) => (i === 0 ? visit(arg) : put(CLASS[e.type], from, arg)));
      }
      default:
        return false;
    }
  };
  return visit(expr) ? { numbers, operators } : null;
}

const CLASS = { Add: 1, Sub: 2, Mul: 3, Div: 4 } as const;

/**
 * `writeRegisterTargets` for many prefixes of one text: those that end between two numbers, or in the second of them,
 * have the infix of one expression.
 *
 * @param literals The digits of each number that the tokens have written, with the decimal point and without signs.
 * @param open Whether the prefix ends in an operator, a sign or an open parenthesis.
 * @returns false where registers cannot hold it (too many digits or operators); the row then stays empty.
 */
export function writeInfixTargets(
  targets: RegisterTargets,
  index: number,
  { numbers, operators }: Infix,
  literals: readonly string[],
  open: boolean,
  layout: RegisterLayout,
): boolean {
  const K = operatorCount(layout);
  const S = slotCount(layout);
  const R = layout.digits;
  if (numbers.length !== literals.length || operators.length > K) return false;
  for (const literal of literals) if (digitCount(literal) > R) return false;

  for (let n = 0; n < numbers.length; n++) {
    const { slot, negative } = numbers[n]!;
    const literal = literals[n]!;
    const at = index * S + slot;
    let digit = at * R;
    let whole = literal.length;
    for (let i = 0; i < literal.length; i++) {
      const code = literal.charCodeAt(i);
      if (code === POINT) whole = i;
      else targets.digits[digit++] = code - ZERO;
    }
    targets.begun[at] = 1;
    targets.length[at] = whole;
    targets.negative[at] = negative ? 1 : 0;
  }
  for (let k = 0; k < operators.length; k++) {
    const { operator, above } = operators[k]!;
    targets.operators[index * K + k] = operator;
    for (let j = above.from; j < above.to; j++) if (j !== k) targets.above[(index * K + k) * K + j] = 1;
  }
  // Operators that were typed but have no operand yet are not in the expression; a minus of a group may follow another.
  const complete = operators.length;
  if (open) targets.operators.fill(-1, index * K + complete, index * K + Math.min(K, complete + 2));
  else targets.count[index] = complete;
  return true;
}

const ZERO = '0'.charCodeAt(0);
const POINT = '.'.charCodeAt(0);

const digitCount = (literal: string): number => literal.length - (literal.includes('.') ? 1 : 0);
