import { checkObject, named } from '../arguments.js';
import { ModelError } from '../error.js';

/**
 * The size of the registers. An expression alternates numbers and operators:
 *
 *     slot 0, operator 0, slot 1, operator 1, …, slot K
 *
 * Operator k stands between slots k and k+1. A slot holds a number, except for the slot to the left of a minus of a group
 * (`-(a + b)`, operator `negate`), which stays empty.
 */
export interface RegisterLayout {
  /** D of the plan: it has room for D numbers and D steps. */
  readonly depth: number;
  /** R: the most digits of a number, from 1 to 30; the readout `registers` has room for 15. */
  readonly digits: number;
}

/** Registers take memory proportional to depth², and a file can claim any depth: no weight has its size. */
export const MOST_DEPTH = 256;

/** The most digits of a number: with more of them, pairs of doubles no longer hold its mantissa. */
export const MOST_DIGITS = 30;

/** @throws {ModelError} `bad-config` unless depth is from 1 to 256 and digits from 1 to 30. */
export function checkLayout(layout: RegisterLayout): void {
  checkObject('a layout such as { depth: 8, digits: 12 }', layout, 'bad-config');
  const { depth, digits } = layout;
  if (!Number.isInteger(depth) || depth < 1 || depth > MOST_DEPTH)
    throw new ModelError('bad-config', `a plan has a depth from 1 to ${MOST_DEPTH}, given ${named(depth)}`);
  if (!Number.isInteger(digits) || digits < 1 || digits > MOST_DIGITS)
    throw new ModelError('bad-config', `digits is from 1 to ${MOST_DIGITS}, given ${named(digits)}`);
}

/** K = D, the most operators of an expression. @throws {ModelError} `bad-config` for an invalid layout. */
export function operatorCount(layout: RegisterLayout): number {
  checkLayout(layout);
  const { depth, digits } = layout;
  if (digits > 15)
    throw new ModelError(
      'bad-config',
      `digits is from 1 to 15, as many as a double holds exactly; given ${digits}`,
    );
  return depth;
}

/** S = D + 1, the number of slots. @throws {ModelError} `bad-config` for an invalid layout. */
export const slotCount = (layout: RegisterLayout): number => operatorCount(layout) + 1;

/** The shape of each field of `Registers` after (B, T). */
export function registerFields(layout: RegisterLayout) {
  const [K, S] = [operatorCount(layout), slotCount(layout)];
  return {
    ...{ digits: [S, layout.digits, 10], length: [S], negative: [S] },
    ...{ operators: [K, 5], priority: [K], count: [] },
  };
}

/** Classes of an operator register, in this order; class 0, absent, means that no token wrote it. */
export const operatorClasses = ['absent', '+', '-', '*', '/', 'negate'] as const;
/** Index into `operatorClasses` of an operator that a token wrote. */
export type OperatorClass = 1 | 2 | 3 | 4 | 5;

/** The class of a digit register that no token wrote; classes 0 … 9 are the digits. */
export const absentDigit = 10;
