import { evaluate, type Expr } from '@dag/expr';
import { normalize } from '@dag/expr/normalize';
import type { DagTensors } from './dag-tensors.js';
import { TensorizeError } from './error.js';
import { firstAppearance, readingOrder, readPlan, type PlanStep, type Term } from './plan.js';

/** A plan that uses its nodes again and again doubles at every step; texts are far shorter than this. */
const MAX_NODES = 10_000;

const num = (value: number): Expr => ({ type: 'Num', value });
const chain = (type: 'Add' | 'Sub' | 'Mul' | 'Div', ...args: Expr[]): Expr => ({ type, args });

/**
 * Reads graph `index` back as an expression in normal form. Evaluating it gives the same bits as executing the plan:
 * operands stand in the order in which the executor takes them. Where every step has two operands and no node is
 * used twice, as in what `tensorize` makes of such an expression, tensorizing it again gives the same tensors.
 *
 * Plans that a model predicted can be read too: steps that the value does not depend on are left out, identity steps
 * vanish, and a node that several steps use is written out in each. A linear coefficient k other than ±1 becomes a
 * factor, `k * x`; a log coefficient k becomes k factors, up to 16 of them. A sum of nothing is 0, a product of nothing 1.
 *
 * The plan has to be hard: G exactly 0 or 1, whole coefficients, signs exactly ±1, in all that the value depends on.
 *
 * @example
 * format(detensorize(tensorize('(1 + 2) * 3 - 4', { depth: 4 }))) // '(1 + 2) * 3 - 4'
 *
 * @throws TensorizeError `soft-plan` that names the step or node, `too-large` where the expression would have more
 *   than 10,000 nodes or a log coefficient is above 16 in size, `bad-tensors` where lengths or magnitudes are not the format's, `bad-option` for the index
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

/** The nodes of the step's expression, at most; throws before anything too large is built. */
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
 * Whole powers up to this are products of that many factors to the executor. A larger one it rounds once, which no product of
 * factors does (@dag/executor, dag/step.ts).
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
  // a·a·b multiplies in another order than b·a·a: only single factors may be exchanged.
  const [first, second] = factors;
  const single = first?.coefficient === 1 && second?.coefficient === 1;
  const numerators = repeated(single ? readingOrder(factors, appearance) : factors, exprs);
  const dividend =
    numerators.length === 0 ? num(1) : numerators.reduce((left, factor) => chain('Mul', left, factor));
  if (numerators.length > 1 && divisors.length > 0 && !isNormal(evaluate(dividend)))
    return inNodeOrder(terms, exprs);
  return repeated(divisors, exprs).reduce((left, divisor) => chain('Div', left, divisor), dividend);
}

/** Where the product of the numerators leaves the range of doubles, the executor takes factor by factor. */
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
