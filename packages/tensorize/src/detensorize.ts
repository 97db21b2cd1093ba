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
 * Reads graph `index` back as an expression in normal form. Evaluating that expression gives the bits of executing the plan:
 * operands stand in the order in which the executor takes them. Where every step has two operands and no node is
 * used twice, tensorizing the expression gives the same tensors again.
 *
 * The plan must be hard in everything that its value depends on: G exactly 0 or 1, whole coefficients, signs exactly ±1.
 * Predicted plans may differ from those of `tensorize`: steps that the value does not depend on and identity steps are
 * left out, and a node that several steps use is written out in each of them. A linear coefficient k other than ±1 becomes a
 * factor, `k * x`; a log coefficient k becomes |k| factors or divisors, at most 16. An empty sum is 0, an empty product 1.
 *
 * @example
 * format(detensorize(tensorize('(1 + 2) * 3 - 4', { depth: 4 }))) // '(1 + 2) * 3 - 4'
 *
 * @throws TensorizeError `soft-plan` naming the step or node; `too-large` where the expression would have more than 10,000
 *   nodes, or a log coefficient is above 16 in size; `bad-tensors` where array lengths are wrong or a magnitude is negative or
 *   not finite; `bad-option` where `index` is outside 0 … N − 1
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
  const soft = terms.find(({ coefficient }) => !Number.isInteger(coefficient));
  if (soft !== undefined) {
    throw new TensorizeError(
      'soft-plan',
      `step ${index} has coefficient ${soft.coefficient} on node ${soft.node}, expected a whole number: ` +
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
  for (const { node, coefficient } of terms) {
    if (gate === 0 && Math.abs(coefficient) > MAX_POWER) {
      throw new TensorizeError(
        'too-large',
        `step ${index} has coefficient ${coefficient} on node ${node}: a power above ${MAX_POWER} has no expression with the bits of its value`,
      );
    }
    size += gate === 1 ? sizes[node]! + 2 : Math.abs(coefficient) * (sizes[node]! + 1);
  }
  if (size > MAX_NODES) {
    throw new TensorizeError(
      'too-large',
      `the expression of step ${index} has more than ${MAX_NODES} nodes, because the plan repeats its operands`,
    );
  }
  return size;
}

/**
 * The executor computes whole powers up to this one as products, factor by factor. Larger powers it rounds once, which no
 * product of factors reproduces (@dag/executor, dag/step.ts).
 */
const MAX_POWER = 16;

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
  // Exchanging the first two operands keeps the bits only where both are single factors: a·a·b and b·a·a round differently.
  const [first, second] = factors;
  const single = first?.coefficient === 1 && second?.coefficient === 1;
  const numerators = repeated(single ? readingOrder(factors, appearance) : factors, exprs);
  const dividend =
    numerators.length === 0 ? num(1) : numerators.reduce((left, factor) => chain('Mul', left, factor));
  if (numerators.length > 1 && divisors.length > 0 && !isNormal(evaluate(dividend)))
    return inNodeOrder(terms, exprs);
  return repeated(divisors, exprs).reduce((left, divisor) => chain('Div', left, divisor), dividend);
}

/**
 * Factors and divisors in node order: how the executor computes a step whose product of numerators overflows or underflows.
 */
function inNodeOrder(terms: readonly Term[], exprs: readonly Expr[]): Expr {
  const [first, ...rest] = terms.flatMap((term) =>
    repeated([term], exprs).map((expr) => ({ type: term.coefficient > 0 ? 'Mul' : 'Div', expr }) as const),
  );
  const start = first!.type === 'Mul' ? first!.expr : chain('Div', num(1), first!.expr);
  return rest.reduce((left, { type, expr }) => chain(type, left, expr), start);
}

const MIN_NORMAL = 2 ** -1022;
const isNormal = (value: number): boolean => Math.abs(value) >= MIN_NORMAL && Math.abs(value) < Infinity;

const repeated = (terms: readonly Term[], exprs: readonly Expr[]): Expr[] =>
  terms.flatMap(({ node, coefficient }) => Array<Expr>(Math.abs(coefficient)).fill(exprs[node]!));

const times = (coefficient: number, expr: Expr): Expr =>
  coefficient === 1 ? expr : chain('Mul', num(coefficient), expr);

const negated = (expr: Expr): Expr => (expr.type === 'Num' ? num(-expr.value) : { type: 'Neg', arg: expr });
