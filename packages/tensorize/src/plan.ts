import { checkIndex, checkTensors, sharesPlan } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';

/** An operand of a step. */
export interface Term {
  /** Index of the operand's node, 0 … 2D−1. */
  readonly node: number;
  /** O of the operand. Never 0: operands with coefficient 0 take no part and are not listed. */
  readonly coefficient: number;
}

/** A step of a `Plan`. */
export interface PlanStep {
  /** Index of the step, 0 … D−1. */
  readonly index: number;
  /** The step's G: 1 is linear, 0 is log, soft plans are between. */
  readonly gate: number;
  /** The operands in node order. */
  readonly terms: readonly Term[];
}

/** The part of a graph that its value depends on. */
export interface Plan {
  /** Indices of the initial nodes that some step reads, ascending. */
  readonly initial: readonly number[];
  /** The steps in ascending order, so that a step stands after all steps that it uses. The last one gives the value. */
  readonly steps: readonly PlanStep[];
}

/**
 * Reads the plan of graph `index`: the initial nodes and steps that its value depends on, with their coefficients as they are.
 *
 * @throws TensorizeError `bad-tensors` where array lengths are wrong, `bad-option` where `index` is outside 0 … N − 1
 */
export function readPlan(tensors: DagTensors, index = 0): Plan {
  checkTensors(tensors);
  checkIndex(tensors, index);
  const { depth, O, G } = tensors;
  const width = 2 * depth;
  const plan = sharesPlan(tensors) ? 0 : index;

  const live = new Set([width - 1]);
  const steps: PlanStep[] = [];
  for (let i = depth - 1; i >= 0; i--) {
    if (!live.has(depth + i)) continue;
    const row = (plan * depth + i) * width;
    const terms: Term[] = [];
    for (let node = 0; node < depth + i; node++) {
      const coefficient = O[row + node]!;
      if (coefficient === 0) continue;
      terms.push({ node, coefficient });
      live.add(node);
    }
    steps.push({ index: i, gate: G[plan * depth + i]!, terms });
  }
  const initial = [...live].filter((node) => node < depth).sort((a, b) => a - b);
  return { initial, steps: steps.reverse() };
}

/** Whether a step copies the value of its only operand. `tensorize` fills unused steps with such identities. */
export const isIdentity = ({ terms }: PlanStep): boolean => terms.length === 1 && terms[0]!.coefficient === 1;

/**
 * Terms in the order in which people write them. The first two are exchanged where that reads better, since a + b = b + a and
 * a · b = b · a to the bit; no other exchange is exact. A negative first term goes second, `a·b − c` for −c + a·b; else the
 * term whose numbers appear first in the text goes first.
 *
 * @param appearance for each node, the lowest initial node that its value depends on
 */
export function readingOrder(terms: readonly Term[], appearance: readonly number[]): readonly Term[] {
  const [first, second, ...rest] = terms;
  if (first === undefined || second === undefined || second.coefficient < 0) return terms;
  const exchange = first.coefficient < 0 || appearance[second.node]! < appearance[first.node]!;
  return exchange ? [second, first, ...rest] : terms;
}

/** The lowest initial node that the value of a step depends on; Infinity where there is none. */
export const firstAppearance = ({ terms }: PlanStep, appearance: readonly number[]): number =>
  Math.min(...terms.map(({ node }) => appearance[node]!));
