/**
 * What the registers hold. An expression is read as numbers and operators in turn:
 *
 *     slot 0, operator 0, slot 1, operator 1, …, slot K
 *
 * Operator k stands between slots k and k+1. A slot holds a number, but for the slot before a minus of a group
 * (`-(a + b)`, operator `negate`): nothing stands to the left of such a minus, so that slot stays empty.
 */
export interface RegisterLayout {
  /** D of the plan: it has room for D numbers and D steps. */
  readonly depth: number;
  /** R: digits that a number may have. */
  readonly digits: number;
}

/** Operators that an expression may have, K = D. */
export const operatorCount = (layout: RegisterLayout): number => layout.depth;
/** Slots between them, S = D + 1. */
export const slotCount = (layout: RegisterLayout): number => layout.depth + 1;

/** Classes of an operator register, in this order; class 0 is that no token wrote it. */
export const operatorClasses = ['absent', '+', '-', '*', '/', 'negate'] as const;
export type OperatorClass = 1 | 2 | 3 | 4 | 5;

/** The class of a digit register that no token wrote; classes 0 … 9 are the digits. */
export const absentDigit = 10;
