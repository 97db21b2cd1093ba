import type { Expr } from '@dag/expr';
import { TensorizeError } from './error.js';
import { normalForm, type Source } from './source.js';

/** The domain of a step: `linear` adds and subtracts (G = 1), `log` multiplies and divides (G = 0). */
export type Domain = 'linear' | 'log';

/** An operand of a step: an initial node (a number or variable), or the result of an earlier step. */
export interface Operand {
  readonly from: 'initial' | 'step';
  /** Index of the initial node or of the step, from 0. */
  readonly index: number;
}

/** One operation of a `Program`: a chain at one precedence level. */
export interface Step {
  readonly domain: Domain;
  /** In the order of the text. An operand that appears twice is listed twice. */
  readonly operands: readonly Operand[];
  /**
   * `coefficients[i]` belongs to `operands[i]`: −1 after a minus or a division sign, else 1; of a power in a log step times its
   * exponent.
   */
  readonly coefficients: readonly number[];
}

/** An expression as numbers and steps, independent of a depth. */
export interface Program {
  /** Values of the initial nodes, in order of appearance; 0 for variables. */
  readonly numbers: readonly number[];
  /** Variable name → index of its initial node, in order of first appearance. */
  readonly symbols: ReadonlyMap<string, number>;
  /** In post-order, so that a step stands after all steps that it uses. The last one gives the value. */
  readonly steps: readonly Step[];
}

type Leaf = Extract<Expr, { type: 'Num' | 'Sym' }>;
type Chain = Extract<Expr, { args: readonly Expr[] }>;

const OPERATORS: Record<Chain['type'], { domain: Domain; coefficient: number }> = {
  Add: { domain: 'linear', coefficient: 1 },
  Sub: { domain: 'linear', coefficient: -1 },
  Mul: { domain: 'log', coefficient: 1 },
  Div: { domain: 'log', coefficient: -1 },
};

const isLeaf = (expr: Expr): expr is Leaf => expr.type === 'Num' || expr.type === 'Sym';
const isChain = (expr: Expr): expr is Chain => 'args' in expr;

/** A step whose operands are being compiled: `operands` holds the results of the first of `parts`. */
interface OpenStep extends Step {
  readonly parts: readonly Expr[];
  readonly operands: Operand[];
}

/**
 * Compiles an expression to numbers and steps, for `writeGraph`. It does not recurse, so nesting of any depth compiles.
 *
 * @throws ExprError where the text is no expression
 * @throws TensorizeError `bad-expression` where a number is not finite
 */
export function compile(source: Source): Program {
  const numbers: number[] = [];
  const symbols = new Map<string, number>();
  const steps: Step[] = [];
  const initialNode = (leaf: Leaf): Operand => {
    const known = leaf.type === 'Sym' ? symbols.get(leaf.name) : undefined;
    if (known !== undefined) return { from: 'initial', index: known };
    const index = numbers.push(leaf.type === 'Num' ? finite(leaf.value) : 0) - 1;
    if (leaf.type === 'Sym') symbols.set(leaf.name, index);
    return { from: 'initial', index };
  };

  const open: OpenStep[] = [];
  let expr = normalForm(source);
  for (;;) {
    if (!isLeaf(expr)) {
      const step = openStep(expr);
      open.push(step);
      expr = step.parts[0]!;
      continue;
    }
    let operand = initialNode(expr);
    for (;;) {
      const step = open.at(-1);
      if (step === undefined) return { numbers, symbols, steps };
      step.operands.push(operand);
      if (step.operands.length < step.parts.length) {
        expr = step.parts[step.operands.length]!;
        break;
      }
      open.pop();
      const { domain, operands, coefficients } = step;
      operand = { from: 'step', index: steps.push({ domain, operands, coefficients }) - 1 };
    }
  }
}

function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new TensorizeError('bad-expression', `expected finite numbers, got ${value}`);
}

function openStep(expr: Exclude<Expr, Leaf>): OpenStep {
  switch (expr.type) {
    case 'Neg':
      return { domain: 'linear', parts: [expr.arg], operands: [], coefficients: [-1] };
    case 'Pow':
      return { domain: 'log', parts: [expr.base], operands: [], coefficients: [expr.exponent] };
    default: {
      const { domain } = OPERATORS[expr.type];
      const chains = leftSpine(expr);
      const parts: Expr[] = [];
      const coefficients: number[] = [];
      const add = (part: Expr, coefficient: number): void => {
        const isPower = domain === 'log' && part.type === 'Pow';
        parts.push(isPower ? part.base : part);
        coefficients.push(isPower ? coefficient * part.exponent : coefficient);
      };
      add(chains[0]!.args[0]!, 1);
      for (const { type, args } of chains)
        for (let i = 1; i < args.length; i++) add(args[i]!, OPERATORS[type].coefficient);
      return { domain, parts, operands: [], coefficients };
    }
  }
}

/** The nested chains that one step computes, innermost (leftmost) first: `a − b + c` is [Sub(a, b), Add(…, c)]. */
function leftSpine(chain: Chain): Chain[] {
  const { domain } = OPERATORS[chain.type];
  const chains: Chain[] = [];
  for (
    let expr: Expr = chain;
    isChain(expr) && OPERATORS[expr.type].domain === domain;
    expr = expr.args[0]!
  ) {
    if (expr.args.length < 2) {
      throw new TensorizeError(
        'bad-expression',
        `${expr.type} takes two operands or more, got ${expr.args.length}`,
      );
    }
    chains.push(expr);
  }
  return chains.reverse();
}

/** The smallest depth that holds a program: its numbers or its steps, whichever are more; at least 1. */
export const programDepth = ({ numbers, steps }: Program): number =>
  Math.max(numbers.length, steps.length, 1);
