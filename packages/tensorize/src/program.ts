import type { Expr } from '@dag/expr';
import { TensorizeError } from './error.js';

/** `linear` steps add and subtract (G = 1), `log` steps multiply and divide (G = 0). */
export type Domain = 'linear' | 'log';

/** Where the value of an operand comes from: a number or variable, or the result of an earlier step. */
export interface Operand {
  readonly from: 'initial' | 'step';
  readonly index: number;
}

export interface Step {
  readonly domain: Domain;
  /** In the order of the text; an operand that is there twice is listed twice. */
  readonly operands: readonly Operand[];
  /** `coefficients[i]` belongs to `operands[i]`: −1 after a minus or a division sign, else 1. */
  readonly coefficients: readonly number[];
}

/** An expression as numbers and steps, before it is laid out in tensors of some depth. */
export interface Program {
  /** Values of the initial nodes, in order of appearance; a variable's place holds 0. */
  readonly numbers: readonly number[];
  /** The initial node of each variable, in order of first appearance. */
  readonly symbols: ReadonlyMap<string, number>;
  /** In post-order: a step stands after all steps that it uses. */
  readonly steps: readonly Step[];
}

type Chain = Extract<Expr, { args: readonly Expr[] }>;

const OPERATORS: Record<Chain['type'], { domain: Domain; coefficient: number }> = {
  Add: { domain: 'linear', coefficient: 1 },
  Sub: { domain: 'linear', coefficient: -1 },
  Mul: { domain: 'log', coefficient: 1 },
  Div: { domain: 'log', coefficient: -1 },
};

const isChain = (expr: Expr): expr is Chain => 'args' in expr;

/**
 * Compiles a normal form into numbers and steps.
 *
 * @throws TensorizeError `bad-expression` where a number is not finite or a chain has no second operand
 */
export function compile(expr: Expr): Program {
  const numbers: number[] = [];
  const symbols = new Map<string, number>();
  const steps: Step[] = [];

  const addStep = (domain: Domain, operands: Operand[], coefficients: number[]): Operand => ({
    from: 'step',
    index: steps.push({ domain, operands, coefficients }) - 1,
  });

  const visit = (node: Expr): Operand => {
    switch (node.type) {
      case 'Num':
        if (!Number.isFinite(node.value)) {
          throw new TensorizeError('bad-expression', `expected finite numbers, got ${node.value}`);
        }
        return { from: 'initial', index: numbers.push(node.value) - 1 };
      case 'Sym': {
        const known = symbols.get(node.name);
        if (known !== undefined) return { from: 'initial', index: known };
        const index = numbers.push(0) - 1;
        symbols.set(node.name, index);
        return { from: 'initial', index };
      }
      case 'Neg':
        return addStep('linear', [visit(node.arg)], [-1]);
      case 'Add':
      case 'Sub':
      case 'Mul':
      case 'Div': {
        const links = leftSpine(node);
        const operands = [visit(links[0]!.args[0]!)];
        const coefficients = [1];
        for (const { type, args } of links) {
          for (let i = 1; i < args.length; i++) {
            operands.push(visit(args[i]!));
            coefficients.push(OPERATORS[type].coefficient);
          }
        }
        return addStep(OPERATORS[node.type].domain, operands, coefficients);
      }
      case 'Pow':
        throw new TensorizeError('bad-expression', 'a power is no part of the normal form');
      default:
        throw new TensorizeError('bad-expression', `no expression: ${JSON.stringify(node satisfies never)}`);
    }
  };

  visit(expr);
  return { numbers, symbols, steps };
}

/** The chains that make one step, innermost (leftmost) first: `a − b + c` is [Sub(a, b), Add(…, c)]. */
function leftSpine(chain: Chain): Chain[] {
  const { domain } = OPERATORS[chain.type];
  const links: Chain[] = [];
  for (let link: Expr = chain; isChain(link) && OPERATORS[link.type].domain === domain; link = link.args[0]!) {
    if (link.args.length < 2) {
      throw new TensorizeError('bad-expression', `${link.type} takes two operands or more, got ${link.args.length}`);
    }
    links.push(link);
  }
  return links.reverse();
}

/** The smallest depth that holds a program: its numbers or its steps, whichever are more; at least 1. */
export const programDepth = ({ numbers, steps }: Program): number =>
  Math.max(numbers.length, steps.length, 1);
