import { evaluate, type Expr } from '@dag/expr';
import { normalize } from '@dag/expr/normalize';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { firstAppearance, readingOrder, readPlan, type PlanStep, type Term } from './plan.js';

/** A plan that reuses its nodes can double the expression at every step; expressions of real texts are far smaller. */
const MAX_NODES = 10_000;

const num = (value: number): Expr => ({ type: 'Num', value });
const chain = (type: 'Add' | 'Sub' | 'Mul' | 'Div', ...args: Expr[]): Expr => ({ type, args });

/**
 * Reads graph `index` back as an expression in normal form. Evaluating that expression gives the bits of executing the plan, but
 * for powers with fractions other than ±½, which `Math.pow` of each engine rounds in its own way, and cube roots of negative
 * results, which are NaN in a plan: operands stand in the order in which the executor takes them. Where every step
 * has two operands and no node is used twice, tensorizing the expression gives the same tensors again.
 *
 * The plan must be hard in everything that its value depends on: G exactly 0 or 1, signs exactly ±1.
 * Predicted plans may differ from those of `tensorize`: steps that the value does not depend on and identity steps are
 * left out, and a node that several steps use is written out in each of them. A linear coefficient k other than ±1 becomes a
 * factor, `k * x`. A log coefficient k becomes a power, `x^k`, or |k| factors or divisors where only those have the bits of
 * the plan. An empty sum is 0, an empty product 1.
 *
 * @example
 * format(detensorize(tensorize('(1 + 2) * 3^2 - 4', { depth: 4 }))) // '(1 + 2) * 3^2 - 4'
 *
 * @throws TensorizeError `soft-plan` naming the step or node; `too-large` where the expression would have more than 10,000
 *   nodes; `bad-tensors` where array lengths are wrong or a magnitude is negative or not finite; `bad-option` where `index` is
 *   outside 0 … N − 1
 */
export function detensorize(tensors: DagTensors, index = 0): Expr {
  const { initial, steps } = readPlan(tensors, index);
  const { depth } = tensors;

  const exprs: Expr[] = [];
  const sizes: number[] = [];
  const appearance: number[] = [];
  for (const node of initial) {
    exprs[node] = num(readNumber(tensors, index, node));
    sizes[node] = 1;
    appearance[node] = node;
  }
  for (const step of steps) {
    const node = depth + step.index;
    const domain = hardDomain(step);
    sizes[node] = expressionSize(step, sizes);
    appearance[node] = firstAppearance(step, appearance);
    exprs[node] =
      domain === 'linear'
        ? sum(readingOrder(step.terms, appearance), exprs)
        : product(step.terms, exprs, appearance);
  }
  return normalize(exprs[2 * depth - 1]!);
}

function readNumber({ depth, V_mag, V_sign }: DagTensors, index: number, node: number): number {
  const magnitude = V_mag[index * 2 * depth + node]!;
  const sign = V_sign[index * 2 * depth + node]!;
  if (!(magnitude >= 0 && magnitude < Infinity)) {
    throw new TensorizeError(
      'bad-tensors',
      `V_mag of node ${node} is finite and at least 0, got ${magnitude}`,
    );
  }
  if (sign !== 1 && sign !== -1) {
    throw new TensorizeError(
      'soft-plan',
      `V_sign of node ${node} is ${sign}, expected 1 or -1: round the plan, or read it with describe`,
    );
  }
  return sign * magnitude;
}

function hardDomain({ index, gate, terms }: PlanStep): 'linear' | 'log' {
  const soft = terms.find(({ coefficient }) => !Number.isFinite(coefficient));
  if (soft !== undefined) {
    throw new TensorizeError(
      'soft-plan',
      `step ${index} has coefficient ${soft.coefficient} on node ${soft.node}, expected a finite number: ` +
        'round the plan, or read it with describe',
    );
  }
  if (gate !== 0 && gate !== 1) {
    throw new TensorizeError(
      'soft-plan',
      `step ${index} has G ${gate}, expected 0 or 1: round the plan, or read it with describe`,
    );
  }
  return gate === 1 ? 'linear' : 'log';
}

/** An upper bound of the nodes in the step's expression. Throws `too-large` before such an expression is built. */
function expressionSize({ index, gate, terms }: PlanStep, sizes: readonly number[]): number {
  let size = 1;
  for (const { node, coefficient } of terms)
    size += (sizes[node]! + 2) * (gate === 0 && isRepeated(coefficient) ? Math.abs(coefficient) : 1);
  if (size > MAX_NODES) {
    throw new TensorizeError(
      'too-large',
      `the expression of step ${index} has more than ${MAX_NODES} nodes, because the plan repeats its operands`,
    );
  }
  return size;
}

/**
 * The executor computes whole powers up to 16 as products, factor by factor (@dag/executor, dag/step.ts). Other powers it rounds
 * once.
 */
const isRepeated = (coefficient: number): boolean =>
  Number.isInteger(coefficient) && Math.abs(coefficient) <= 16;

function sum([first, ...rest]: readonly Term[], exprs: readonly Expr[]): Expr {
  if (first === undefined) return num(0);
  const start = exprs[first.node]!;
  return rest.reduce(
    (left, { node, coefficient }) =>
      chain(coefficient > 0 ? 'Add' : 'Sub', left, times(Math.abs(coefficient), exprs[node]!)),
    first.coefficient === -1 ? negated(start) : times(first.coefficient, start),
  );
}

function product(terms: readonly Term[], exprs: readonly Expr[], appearance: readonly number[]): Expr {
  const factors = terms.filter(({ coefficient }) => coefficient > 0);
  const divisors = terms.filter(({ coefficient }) => coefficient < 0);
  // Exchanging the first two operands keeps the bits only where both are single: a·a·b and b·a·a round differently.
  const isSingle = ({ coefficient }: Term): boolean => coefficient === 1 || !isRepeated(coefficient);
  const ordered = factors.slice(0, 2).every(isSingle) ? readingOrder(factors, appearance) : factors;
  // The executor multiplies first, but where that leaves the range of doubles.
  const dividend = chained(ordered.flatMap((term) => repeated(term, exprs)));
  const isInOrder =
    factors.reduce((n, { coefficient }) => n + coefficient, 0) >= 2 && !isNormal(evaluate(dividend));
  const asFactors = chained(
    (isInOrder ? terms : [...ordered, ...divisors]).flatMap((term) => repeated(term, exprs)),
  );
  const withPowers = chained([...ordered, ...divisors].map((term) => asPower(term, exprs)));
  return Object.is(evaluate(withPowers), evaluate(asFactors)) ? withPowers : asFactors;
}

interface Factor {
  readonly type: 'Mul' | 'Div';
  readonly expr: Expr;
  /** Whether `expr` is a power that the coefficient makes; a power that is the operand itself was rounded before. */
  readonly isPower: boolean;
}

/** A product from the left; 1 where there are no factors. */
function chained([first, ...rest]: readonly Factor[]): Expr {
  return rest.reduce(
    (left, { type, expr }) => chain(type, left, asQuotient(expr)),
    first === undefined ? num(1) : start(first),
  );
}

function start({ type, expr, isPower }: Factor): Expr {
  if (type === 'Mul') return expr;
  return isPower && expr.type === 'Pow'
    ? { ...expr, exponent: -expr.exponent }
    : chain('Div', num(1), asQuotient(expr));
}

/** A negative power as the quotient that the executor computes: as a factor, the normal form would move it to the other side. */
function asQuotient(expr: Expr): Expr {
  if (expr.type !== 'Pow' || expr.exponent >= 0) return expr;
  const { base, exponent } = expr;
  return isRepeated(exponent)
    ? chain('Div', num(1), ...Array<Expr>(-exponent).fill(base))
    : chain('Div', num(1), { type: 'Pow', base, exponent: -exponent });
}

const sideOf = ({ coefficient }: Term): Factor['type'] => (coefficient > 0 ? 'Mul' : 'Div');

function asPower(term: Term, exprs: readonly Expr[]): Factor {
  const expr = exprs[term.node]!;
  const exponent = Math.abs(term.coefficient);
  if (exponent === 1) return { type: sideOf(term), expr, isPower: false };
  const base =
    exponent === 0.5 && expr.type === 'Pow' && losesDigits(expr) ? chain('Mul', expr.base, expr.base) : expr;
  return { type: sideOf(term), expr: { type: 'Pow', base, exponent }, isPower: true };
}

/** Whether the root of a square is not |x|, which √(x²) is as an expression: where x² overflows or underflows. */
const losesDigits = (square: Extract<Expr, { type: 'Pow' }>): boolean =>
  square.exponent === 2 && !Object.is(Math.sqrt(evaluate(square)), Math.abs(evaluate(square.base)));

/** A term as the executor computes it: whole powers factor by factor. */
function repeated(term: Term, exprs: readonly Expr[]): Factor[] {
  if (!isRepeated(term.coefficient)) return [asPower(term, exprs)];
  const factor: Factor = { type: sideOf(term), expr: exprs[term.node]!, isPower: false };
  return Array<Factor>(Math.abs(term.coefficient)).fill(factor);
}

const MIN_NORMAL = 2 ** -1022;
const isNormal = (value: number): boolean => Math.abs(value) >= MIN_NORMAL && Math.abs(value) < Infinity;

const times = (coefficient: number, expr: Expr): Expr =>
  coefficient === 1 ? expr : chain('Mul', num(coefficient), asQuotient(expr));

const negated = (expr: Expr): Expr => (expr.type === 'Num' ? num(-expr.value) : { type: 'Neg', arg: expr });
