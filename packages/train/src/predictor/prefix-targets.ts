import { readPrefixes, type Expr, type Prefixes } from '@dag/expr';
import {
  readInfix,
  writeInfixTargets,
  type Infix,
  type RegisterLayout,
  type RegisterTargets,
} from '@dag/model';
import { compile, writeGraph, type DagTensors, type Program } from '@dag/tensorize';

/** Targets of many prefixes, a row each; at first those of no expression. */
export interface PrefixTargets {
  readonly valid: Uint8Array;
  /** Null where no loss reads plans. */
  readonly plan: DagTensors | null;
  readonly registers: RegisterTargets;
}

/**
 * Writes the targets of the prefixes of one text: the first token is row `first`, the first two are the row after it.
 * Prefixes that registers cannot hold are left as they are.
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

/** What the prefixes have in common that have begun the same numbers. They differ in the digits of the last, which are written over. */
interface Shape {
  readonly infix: Infix | null;
  readonly literals: string[];
  readonly plan: ShapePlan | null;
}

interface ShapePlan {
  readonly program: Program & { readonly numbers: number[] };
  /** Sign of the last number in the plan, whose minuses may be those of groups: `-(-(2` is 2. */
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
