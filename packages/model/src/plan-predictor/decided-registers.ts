import { DECISIONS, DEPTH, FIRST_OPERATOR, NESTING, OPERATORS, type Decision } from '../reading/decisions.js';
import type { ArrayOps, ReadoutOps } from './array-ops.js';
import type { TokenFeatures } from './token-features.js';
import { checkLayout, type RegisterLayout } from './layout.js';

/** K, the most operators of an expression: twice its numbers, since operators before or behind an operand come in addition. */
export function decidedOperators(layout: RegisterLayout): number {
  checkLayout(layout);
  return 2 * layout.depth;
}

/** What is known of an operator, each a column of its register. The last one is its priority, of which the table holds the level. */
const COLUMNS = {
  active: () => true,
  left: ({ left }) => left,
  right: ({ right }) => right,
  linear: ({ linear }) => linear,
  /** Operators of which several in a row are one step. */
  adds: (operator) => operator.linear && isChained(operator),
  multiplies: (operator) => !operator.linear && isChained(operator),
  /** Several of these at one depth of nesting are one mean. */
  averages: ({ name }) => name === 'mean',
  prefix: ({ left }) => left === 0,
  postfix: ({ name, right }) => right === 0 && name !== 'pow',
  pow: ({ name }) => name === 'pow',
  neg: ({ name }) => name === 'neg',
  cbrt: ({ name }) => name === 'cbrt',
  percentOf: ({ name }) => name === 'percentOf',
  percentOfLeft: ({ name }) => name === 'percentOfLeft',
  /** Its second step adds the first one to its right operand. */
  onto: ({ name }) => name === 'onto',
  off: ({ name }) => name === 'off',
  priority: ({ level }) => level,
} satisfies Record<string, (operator: Decision) => number | boolean>;
export type OperatorColumn = keyof typeof COLUMNS;
export const OPERATOR_COLUMNS = Object.keys(COLUMNS) as OperatorColumn[];

const isChained = ({ name, left, right }: Decision): boolean =>
  !['mean', 'onto', 'off'].includes(name) && left === 1 && Math.abs(right) === 1;

/** (classes, columns). */
const OPERATOR_TABLE = DECISIONS.flatMap((_, c) =>
  OPERATOR_COLUMNS.map((name) =>
    c < FIRST_OPERATOR ? 0 : Number(COLUMNS[name](OPERATORS[c - FIRST_OPERATOR]!)),
  ),
);

/** Columns of a slot's register after those of its R digits and of the R places that have one. */
export const SLOT_COLUMNS = ['length', 'percents', 'breaks', 'count'] as const;

/** Registers of N texts: what their tokens have written, in sums. Operator k stands between slots k and k + 1. */
export interface DecidedRegisters<T> {
  /** (N, K, columns), zeros where there is no operator. */
  readonly operators: T;
  /** (N, K + 1, 2R + columns) of the numbers. */
  readonly slots: T;
}

/** max(0, 1 − |x − k|) for k = 0 … n − 1: (…, 1) → (…, n). A whole number addresses one place, others two of them in parts. */
export function address<T>(ops: ArrayOps<T>, x: T, n: number): T {
  const distance = ops.abs(ops.sub(x, ops.f64(Array.from({ length: n }, (_, k) => k))));
  return ops.clamp(ops.sub(ops.f64(1), distance), 0, 1);
}

/**
 * Writes the registers of the texts up to each of the N tokens at which to predict, and counts their operators, (N). Exact where
 * decisions are certain.
 *
 * @param decisions (B, T, classes) probabilities of `DECISIONS`.
 * @param nestings (B, T, classes) probabilities of `NESTING`.
 */
export function decidedRegisters<T>(
  ops: ReadoutOps<T>,
  decisions: T,
  nestings: T,
  { count, point, begins, digits }: TokenFeatures<T>,
  layout: RegisterLayout,
): DecidedRegisters<T> & { readonly total: T } {
  const { digits: R } = layout;
  const K = decidedOperators(layout);
  const one = ops.f64(1);
  const column = (x: T): T => ops.unsqueeze(x, 2);
  const atMostOne = (x: T): T => ops.clamp(x, 0, 1);

  const P = OPERATOR_COLUMNS.length;
  const written = ops.matmul(decisions, ops.f64(OPERATOR_TABLE, [DECISIONS.length, P]));
  const writes = ops.select(written, 2, 0);
  const total = ops.cumsum(writes, 1);
  // An opening change of nesting counts from the next token on.
  const changes = ops.matmul(
    nestings,
    ops.f64(
      NESTING.flatMap((n) => [Math.max(n, 0), n]),
      [NESTING.length, 2],
    ),
  );
  const depth = ops.sub(ops.cumsum(ops.select(changes, 2, 1), 1), ops.select(changes, 2, 0));
  const priority = ops.add(
    ops.slice(written, 2, P - 1, P),
    column(ops.mul(ops.mul(writes, depth), ops.f64(DEPTH))),
  );
  const ofOperator = ops.concat([ops.slice(written, 2, 0, P - 1), priority], 2);

  const slots = address(ops, column(total), K + 1);
  /** x (B, T) summed over the tokens so far that write to the slot of each token: (B, T). */
  const inOwnSlot = (x: T): T => ops.sum(ops.mul(slots, ops.cumsum(ops.mul(slots, column(x)), 1)), 2);
  const already = ops.sub(inOwnSlot(count), ops.mul(count, ops.sum(ops.mul(slots, slots), 2)));
  const [hasDigits, isBehindDigits] = [atMostOne(count), atMostOne(already)];

  // A run is a row of tokens with digits or a point. A point counts behind digits, or directly before them where it begins their run.
  const previous = (x: T): T =>
    ops.concat([ops.mul(ops.slice(x, 1, 0, 1), ops.f64(0)), ops.slice(x, 1, 0, -1)], 1);
  const isNumeric = atMostOne(ops.add(count, point));
  const isNew = ops.add(begins, writes);
  const goesOn = ops.mul(isNumeric, atMostOne(ops.sub(previous(isNumeric), isNew)));
  const isAfterFirst = ops.mul(previous(ops.mul(point, ops.sub(one, goesOn))), hasDigits);
  const pointed = ops.mul(goesOn, ops.add(ops.mul(point, isBehindDigits), isAfterFirst));
  const points = inOwnSlot(pointed);
  const there = ops.select(digits, 2, 1);
  const places = ops.add(column(already), ops.sub(ops.cumsum(there, 2), there));
  const placed = ops.matmul(digits, address(ops, ops.unsqueeze(places, 3), R));
  // Digits count as before the point until their number has one.
  const before = ops.mul(count, ops.sub(one, atMostOne(points)));
  const percents = ops.select(decisions, 2, 1);
  // A second number in the slot: digits in another run than those before them, or behind a second point.
  const laterRuns = ops.mul(ops.sub(isNumeric, goesOn), isBehindDigits);
  const isSecond = ops.add(inOwnSlot(laterRuns), ops.clamp(ops.sub(points, one), 0, 1));
  const breaks = ops.mul(hasDigits, atMostOne(isSecond));

  const parts = [before, percents, breaks, count].map(column);
  const ofSlot = ops.concat([ops.select(placed, 2, 0), ops.select(placed, 2, 1), ...parts], 2);
  return {
    operators: ops.sumSoFar(address(ops, column(ops.sub(total, writes)), K), ofOperator, K, P),
    slots: ops.sumSoFar(slots, ofSlot, K + 1, 2 * R + SLOT_COLUMNS.length),
    total: ops.reshape(ops.asked(column(total)), [-1]),
  };
}
