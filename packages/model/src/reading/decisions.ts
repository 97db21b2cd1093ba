import { named } from '../arguments.js';
import { ModelError } from '../error.js';

/**
 * What a token may write: nothing, a mark of the number before it, or an operator. An operator has a coefficient for each operand (0: it
 * has none on that side), a domain, and a level: of two operators at one depth of nesting the one of the higher level binds first.
 */
export interface Decision {
  readonly name: string;
  /** Coefficient of the left operand; 0 for an operator before its operand. */
  readonly left: number;
  /** Coefficient of the right operand; 0 for an operator behind its operand. */
  readonly right: number;
  readonly linear: boolean;
  readonly level: number;
}

const [SUM, PRODUCT, MINUS, PREFIX, POWER, POSTFIX] = [1, 2, 3, 4, 5, 6];

const infix = (name: string, linear: boolean, left: number, right: number): Decision => ({
  ...{ name, left, right, linear, level: linear ? SUM : PRODUCT },
});
const before = (name: string, linear: boolean, right: number, level = PREFIX): Decision => ({
  ...{ name, left: 0, right, linear, level },
});
const behind = (name: string, linear: boolean, left: number, level = POSTFIX): Decision => ({
  ...{ name, left, right: 0, linear, level },
});

/** The decisions that write an operator, in the order of their classes. */
export const OPERATORS: readonly Decision[] = [
  infix('add', true, 1, 1),
  infix('sub', true, 1, -1),
  infix('mul', false, 1, 1),
  infix('div', false, 1, -1),
  // "subtract 3 from 10", "5 less than 9", "how many times does 3 go into 12".
  infix('subFrom', true, -1, 1),
  infix('divInto', false, -1, 1),
  // Several in a row are the mean of all their operands.
  infix('mean', true, 1, 1),
  before('neg', true, -1, MINUS),
  before('twice', true, 2),
  before('thrice', true, 3),
  before('half', true, 0.5),
  before('square', false, 2),
  before('cube', false, 3),
  before('sqrt', false, 0.5),
  before('cbrt', false, 1 / 3),
  before('reciprocal', false, -1),
  // The exponent, its right operand, is a constant: a coefficient and no node.
  { name: 'pow', left: 1, right: 0, linear: false, level: POWER },
  behind('squared', false, 2),
  behind('cubed', false, 3),
  behind('rooted', false, 0.5),
  behind('doubled', true, 2),
  behind('halved', true, 0.5),
  behind('tripled', true, 3),
  // The second bar of |x|, which is √(x²): all within the bars binds before it.
  behind('bar', false, 2, 0),
  // Of a group: a division by the number 100, which it writes itself.
  { name: 'percentOf', left: 1, right: -1, linear: false, level: POSTFIX },
  // Behind a number b: b % of the left operand of the operator before it. "Increase 80 by 25 %" is 80 + 25 % · 80.
  { name: 'percentOfLeft', left: 1, right: 0, linear: false, level: POSTFIX },
  // a "added to" b and a "off" b, of a percentage a: b + a·b and b − a·b, in two steps.
  { name: 'onto', left: 1, right: 1, linear: false, level: PRODUCT },
  { name: 'off', left: 1, right: 1, linear: false, level: PRODUCT },
];

/** Names of all classes. `none` writes nothing, `percent` moves the point of the number before it by two places. */
export const DECISIONS = ['none', 'percent', ...OPERATORS.map(({ name }) => name)] as const;
export const FIRST_OPERATOR = 2;

/** The class of that name, an index of `DECISIONS`. @throws {ModelError} `bad-input` where there is none. */
export const decisionOf = (name: string): number => {
  const index = DECISIONS.indexOf(name);
  if (index < 0) throw new ModelError('bad-input', `there is no decision ${named(name)}`);
  return index;
};

const MOST_NESTING = 6;
/** The change of nesting that ends a part of a sequence, as "then" does: all before it binds before all after it. */
export const THEN = -1024;
/** Changes of nesting in the order of their classes: none, 1 … 6, −1 … −6, and `THEN`. */
export const NESTING: readonly number[] = [
  0,
  ...Array.from({ length: MOST_NESTING }, (_, i) => i + 1),
  ...Array.from({ length: MOST_NESTING }, (_, i) => -1 - i),
  THEN,
];

/** Levels are below this, so that a level never outweighs a depth of nesting. */
export const DEPTH = 8;
