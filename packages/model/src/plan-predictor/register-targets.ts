import type { Expr } from '@dag/expr';
import { checkList, checkObject, checkText, isWhole, named } from '../arguments.js';
import { ModelError } from '../error.js';
import {
  absentDigit,
  MOST_DEPTH,
  operatorClasses,
  operatorCount,
  slotCount,
  type OperatorClass,
  type RegisterLayout,
} from './layout.js';

/** Register targets of N tokens, row-major. Rows without a target are those of an empty text. */
export interface RegisterTargets {
  /** (N, S, R) class of each digit register: 0 … 9, or 10 where no token wrote it. */
  readonly digits: Uint8Array;
  /** (N, S) 1 where the slot holds a number; elsewhere `length` and `negative` have no meaning. */
  readonly begun: Uint8Array;
  /** (N, S) digits before the decimal point. */
  readonly length: Uint8Array;
  /** (N, S) 1 where the number has a minus. */
  readonly negative: Uint8Array;
  /** (N, K) class of each operator (see `operatorClasses`): 0 absent, −1 unknown, to be masked. */
  readonly operators: Int8Array;
  /** (N, K, K) [k, j]: 1 where operator k is an ancestor of operator j. */
  readonly above: Uint8Array;
  /** (N) number of operators so far; −1 (unknown) if the text ends in one that may turn out to be a sign. */
  readonly count: Int8Array;
}

/** Empty targets of `size` tokens. @throws {ModelError} `bad-config` for an invalid layout, `bad-input` for an invalid or too large size. */
export function createRegisterTargets(size: number, layout: RegisterLayout): RegisterTargets {
  const K = operatorCount(layout);
  const S = slotCount(layout);
  if (!Number.isSafeInteger(size) || size < 0) throw badInput('a whole number of tokens from 0', size);
  try {
    return {
      digits: new Uint8Array(size * S * layout.digits).fill(absentDigit),
      begun: new Uint8Array(size * S),
      length: new Uint8Array(size * S),
      negative: new Uint8Array(size * S),
      operators: new Int8Array(size * K),
      above: new Uint8Array(size * K * K),
      count: new Int8Array(size).fill(-1),
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ModelError('bad-input', `there is no memory for the targets of ${size} tokens`, {
      cause: error,
    });
  }
}

const badInput = (expected: string, given: unknown): ModelError =>
  new ModelError('bad-input', `expected ${expected}, given ${named(given)}`);

/** @throws {ModelError} `bad-input` unless `targets` are those of more than `index` tokens by this layout. */
function checkTargets(targets: RegisterTargets, index: number, layout: RegisterLayout): void {
  const K = operatorCount(layout);
  const S = slotCount(layout);
  checkObject('targets, as createRegisterTargets makes them,', targets);
  const { count } = targets;
  const size = ArrayBuffer.isView(count) ? count.length : 0;
  checkArray('count', count, 'Int8Array', size);
  // Read after that check: reading the length of a proxy of an array throws.
  const { digits, begun, length, negative, operators, above } = targets;
  checkArray('digits', digits, 'Uint8Array', size * S * layout.digits);
  checkArray('begun', begun, 'Uint8Array', size * S);
  checkArray('length', length, 'Uint8Array', size * S);
  checkArray('negative', negative, 'Uint8Array', size * S);
  checkArray('operators', operators, 'Int8Array', size * K);
  checkArray('above', above, 'Uint8Array', size * K * K);
  if (!isWhole(index, size)) throw badInput(`the index of one of ${size} tokens`, index);
}

/** Called for every token, so it checks no more than needed; a detached array has length 0. */
function checkArray(name: string, array: Uint8Array | Int8Array, type: string, length: number): void {
  if (ArrayBuffer.isView(array) && array[Symbol.toStringTag] === type && array.length === length) return;
  throw badInput(`${name} of the targets as a ${type} of ${length} numbers`, array);
}

/**
 * Writes the targets of one prefix as row `index`.
 *
 * @param text The prefix as it was typed, in symbols; its digits are those of the tokens.
 * @param expr The completed prefix as `parse` gives it. Not its normal form: that turns `-(1` into the number −1 and
 *   `-(1 + 2` into a minus of a group, and running sums cannot move a number from one slot to another.
 * @returns false if it does not fit into the registers (exponents, variables, too many digits or operators); the row then stays empty.
 */
export function writeRegisterTargets(
  targets: RegisterTargets,
  index: number,
  text: string,
  expr: Expr,
  layout: RegisterLayout,
): boolean {
  checkText('a prefix', text);
  checkTargets(targets, index, layout);
  const infix = /[eE]/.test(text) ? null : readInfix(expr);
  const literals = text.match(/\d+\.?\d*|\.\d+/g) ?? [];
  const open = /[-+*/×÷−(]\s*$/.test(text);
  return infix !== null && writeInfixTargets(targets, index, infix, literals, open, layout);
}

/** An expression in reading order: numbers with their slots, operators with the range of operators that they are ancestors of. */
export interface Infix {
  readonly numbers: readonly { readonly slot: number; readonly negative: boolean }[];
  readonly operators: readonly {
    readonly operator: OperatorClass;
    readonly above: { readonly from: number; readonly to: number };
  }[];
}

/**
 * An expression as an alternation of numbers and operators, as registers have it; null for variables and powers, which they do not have.
 *
 * @throws {ModelError} `bad-input` unless it is an expression.
 */
export function readInfix(expr: Expr): Infix | null {
  const numbers: { slot: number; negative: boolean }[] = [];
  const operators: { operator: OperatorClass; above: { from: number; to: number } }[] = [];
  const put = (operator: OperatorClass, from: number, operand: Expr, level: number): boolean => {
    const above = { from, to: 0 };
    operators.push({ operator, above });
    const read = visit(operand, level + 1);
    above.to = operators.length;
    return read;
  };
  const visit = (e: Expr, level: number): boolean => {
    checkObject('an expression, as parse returns it', e);
    // Each level has an operator of its own, and no layout has room for more.
    if (level > MOST_DEPTH || operators.length > MOST_DEPTH) return false;
    switch (e.type) {
      case 'Num':
        if (typeof e.value !== 'number') throw badInput('a number in an expression', e.value);
        numbers.push({ slot: operators.length, negative: e.value < 0 || Object.is(e.value, -0) });
        return true;
      case 'Neg':
        return put(5, operators.length, e.arg, level);
      case 'Add':
      case 'Sub':
      case 'Mul':
      case 'Div': {
        const from = operators.length;
        if (!Array.isArray(e.args) || e.args.length < 2) throw badInput('two operands or more', e.args);
        // Not `every` on the array itself, which passes over its holes.
        return Array.from(e.args as readonly Expr[]).every((arg, i) =>
          i === 0 ? visit(arg, level + 1) : put(CLASS[e.type], from, arg, level),
        );
      }
      case 'Sym':
      case 'Pow':
        return false;
      default:
        throw badInput('an expression, as parse returns it', (e satisfies never as { type?: unknown }).type);
    }
  };
  return visit(expr, 0) ? { numbers, operators } : null;
}

const CLASS = { Add: 1, Sub: 2, Mul: 3, Div: 4 } as const;

/**
 * `writeRegisterTargets` for many prefixes of one text: those that end between two numbers, or in the second of them,
 * have the infix of one expression.
 *
 * @param literals The digits of each number that the tokens have written, with the decimal point and without signs.
 * @param open Whether the prefix ends in an operator, a sign or an open parenthesis.
 * @returns false if it does not fit into the registers (too many digits or operators); the row then stays empty.
 */
export function writeInfixTargets(
  targets: RegisterTargets,
  index: number,
  infix: Infix,
  literals: readonly string[],
  open: boolean,
  layout: RegisterLayout,
): boolean {
  checkTargets(targets, index, layout);
  checkInfix(infix, literals);
  const { numbers, operators } = infix;
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

/** @throws {ModelError} `bad-input` unless `infix` is a result of `readInfix` and the literals are digits. */
function checkInfix(infix: Infix, literals: readonly string[]): void {
  checkObject('an infix, as readInfix returns it,', infix);
  const { numbers, operators } = infix;
  checkList('numbers of an infix', numbers);
  checkList('operators of an infix', operators);
  checkList('digits of each number as an array', literals);
  for (const number of numbers) {
    checkObject('a number of an infix', number);
    if (!isWhole(number.slot, operators.length + 1)) throw badInput('a slot beside an operator', number.slot);
  }
  for (const operator of operators) {
    checkObject('an operator of an infix', operator);
    checkObject('the range that an operator stands above', operator.above);
    const { from, to } = operator.above;
    const isClass = isWhole(operator.operator, operatorClasses.length) && (operator.operator as number) > 0;
    if (!isClass || !isWhole(from, operators.length) || !isWhole(to, operators.length + 1))
      throw badInput(
        'a class of operators and a range of operators',
        [operator.operator, from, to].map(named).join(),
      );
  }
  for (const literal of literals)
    if (typeof literal !== 'string' || !LITERAL.test(literal))
      throw badInput('the digits of a number', literal);
}

const LITERAL = /^\d*\.?\d*$/;
const ZERO = '0'.charCodeAt(0);
const POINT = '.'.charCodeAt(0);

const digitCount = (literal: string): number => literal.length - (literal.includes('.') ? 1 : 0);
