import { readPrefixes, type Expr, type Prefixes } from '@dag/expr';
import {
  createRegisterTargets,
  readInfix,
  writeInfixTargets,
  type Infix,
  type RegisterLayout,
  type RegisterTargets,
} from '@dag/model';
import { compile, writeGraph, zeroDag, type DagTensors, type Program } from '@dag/tensorize';

/** Targets of many prefixes, one row each. Rows that are not written (`valid` 0) are no expression. */
export interface PrefixTargets {
  readonly valid: Uint8Array;
  /** Null if no loss reads plans. */
  readonly plan: DagTensors | null;
  readonly registers: RegisterTargets;
}

/** Targets of `size` prefixes. @param plans Whether they have plans. */
export const prefixTargets = (size: number, layout: RegisterLayout, plans: boolean): PrefixTargets => ({
  valid: new Uint8Array(size),
  plan: plans ? zeroDag({ depth: layout.depth, size }) : null,
  registers: createRegisterTargets(size, layout),
});

/**
 * Writes the targets of all prefixes of one text: the prefix of the first token to row `first`, that of the first two tokens
 * to the next row, and so on. Rows of prefixes that do not fit into the registers are not written.
 *
 * @param pieces The texts of the tokens.
 */
export function writePrefixTargets(
  targets: PrefixTargets,
  first: number,
  pieces: readonly string[],
  layout: RegisterLayout,
): void {
  const prefixes = readPrefixes(pieces.join(''));
  let shape: Shape | null = null;
  let end = 0;
  for (let t = 0; t < pieces.length; t++) {
    end += pieces[t]!.length;
    const prefix = prefixes.at(end);
    if (prefix === null) continue;
    const { last, literal, open } = prefix;
    if (shape?.literals.length !== last + 1) shape = shapeOf(prefixes, last, targets.plan !== null);
    const { infix, literals, plan } = shape;
    if (literals[last] !== literal) {
      literals[last] = literal;
      if (plan) plan.program.numbers[plan.program.numbers.length - 1] = plan.sign * Number(literal);
    }
    const row = first + t;
    if (infix === null || !writeInfixTargets(targets.registers, row, infix, literals, open, layout)) continue;
    if (plan && targets.plan) writeGraph(plan.program, targets.plan, row);
    targets.valid[row] = 1;
  }
}

/** The structure shared by prefixes with the same number of numbers. They differ only in the last number, which is overwritten. */
interface Shape {
  readonly infix: Infix | null;
  readonly literals: string[];
  readonly plan: ShapePlan | null;
}

interface ShapePlan {
  readonly program: Program & { readonly numbers: number[] };
  /** Sign of the last number in the plan, which minuses before groups may affect: `-(-(2` is 2. */
  readonly sign: number;
}

function shapeOf({ literals, complete }: Prefixes, last: number, withPlan: boolean): Shape {
  const expr = complete(last);
  return {
    infix: readInfix(expr),
    literals: literals.slice(0, last + 1),
    plan: withPlan ? planOf(expr) : null,
  };
}

function planOf(expr: Expr): ShapePlan {
  const program = compile(expr);
  const value = program.numbers.at(-1)!;
  return {
    program: { ...program, numbers: [...program.numbers] },
    sign: value < 0 || Object.is(value, -0) ? -1 : 1,
  };
}
