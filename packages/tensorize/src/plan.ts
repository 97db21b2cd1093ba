import { checkIndex, checkTensors, sharesPlan } from './check-tensors.js';
import type { DagTensors } from './dag-tensors.js';

export interface Term {
  /** Index of the operand's node, 0 … 2D−1. */
  readonly node: number;
  /** Never 0: such an operand takes no part. */
  readonly coefficient: number;
}

export interface PlanStep {
  /** Index of the step, 0 … D−1. */
  readonly index: number;
  /** The step's G: 1 is linear, 0 is log. */
  readonly gate: number;
  /** In node order. */
  readonly terms: readonly Term[];
}

/** The part of a graph that its value depends on. */
export interface Plan {
  /** Nodes that numbers are read from, ascending. */
  readonly initial: readonly number[];
  /** Ascending, so a step stands after all steps that it uses; the last gives the value. */
  readonly steps: readonly PlanStep[];
}

/**
 * Reads graph `index`, leaving out what its value does not depend on.
 *
 * @throws TensorizeError `bad-tensors` where lengths are not the format's, `bad-option` for the index
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

/** Whether a step only hands on the value of its one operand, as unused steps do. */
export const isIdentity = ({ terms }: PlanStep): boolean => terms.length === 1 && terms[0]!.coefficient === 1;

/**
 * Terms in an order to write them in: as executed, but the first two exchanged where that reads better, since
 * a + b = b + a and a · b = b · a to the bit while no other exchange is exact. `c` with −1 and then `a·b` with 1 is
 * written `a·b − c`; of two alike the one whose numbers appear first in the text comes first.
 *
 * @param appearance for each node the first initial node that its value comes from
 */
export function readingOrder(terms: readonly Term[], appearance: readonly number[]): readonly Term[] {
  const [first, second, ...rest] = terms;
  if (first === undefined || second === undefined || second.coefficient < 0) return terms;
  const exchange = first.coefficient < 0 || appearance[second.node]! < appearance[first.node]!;
  return exchange ? [second, first, ...rest] : terms;
}

/** The first initial node that the value of a step comes from; Infinity where it comes from none. */
export const firstAppearance = ({ terms }: PlanStep, appearance: readonly number[]): number =>
  Math.min(...terms.map(({ node }) => appearance[node]!));
