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
  /** R: the most digits of a number, from 1 to 30. */
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
