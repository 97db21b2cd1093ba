import { named } from '../check-tensors.js';
import type { DagTensors } from '../dag-tensors.js';
import { TensorizeError } from '../error.js';
import { isIdentity, readPlan } from '../plan.js';

/** The executor that `planGraph` calls; `execute` of @dag/executor is one. */
export type Execute = (tensors: DagTensors) => ArrayLike<number>;

/** A plan as a graph of the nodes its value depends on; identity steps are left out. */
export interface PlanGraph {
  readonly nodes: readonly PlanNode[];
  readonly edges: readonly PlanEdge[];
  /** The name of the result node. */
  readonly result: string;
}

/** A node of a plan, with its value. */
export interface PlanNode {
  /** `n0`, `n1`, … for initial nodes, `s0`, `s1`, … for the results of steps, as `describe` calls them. */
  readonly name: string;
  /** G of a step: 1 linear, 0 log; null for an initial node. */
  readonly gate: number | null;
  readonly value: number;
}

/** An operand of a step: an edge from the node that is read to the result of the step. */
export interface PlanEdge {
  /** The operand's column in O. Two columns may be the same node here, because identity steps are left out. */
  readonly operand: number;
  readonly from: string;
  readonly to: string;
  readonly coefficient: number;
}

/**
 * The graph of a plan of size 1, with the value at each node.
 *
 * @param execute `execute` of @dag/executor
 * @throws TensorizeError `bad-tensors` where array lengths are wrong or the size is not 1, `bad-option` where `execute` is no function
 */
export function planGraph(tensors: DagTensors, execute: Execute): PlanGraph {
  const plan = readPlan(tensors);
  const { depth } = tensors;
  const values = nodeValues(tensors, execute);
  const names: string[] = [];
  const nodes: PlanNode[] = plan.initial.map((node) => {
    names[node] = `n${node}`;
    return { name: `n${node}`, gate: null, value: values[node]! };
  });
  const edges: PlanEdge[] = [];
  for (const step of plan.steps) {
    const node = depth + step.index;
    if (isIdentity(step)) {
      names[node] = names[step.terms[0]!.node]!;
      continue;
    }
    const name = (names[node] = `s${step.index}`);
    nodes.push({ name, gate: step.gate, value: values[node]! });
    for (const { node: operand, coefficient } of step.terms)
      edges.push({ operand, from: names[operand]!, to: name, coefficient });
  }
  return { nodes, edges, result: names[2 * depth - 1]! };
}

/** (2D) The value at each node that the value of a plan of size 1 depends on; 0 at others. @throws {TensorizeError} as `planGraph`. */
export function nodeValues(tensors: DagTensors, execute: Execute): Float64Array {
  const { steps } = readPlan(tensors);
  const { depth, size, V_mag, V_sign } = tensors;
  if (size !== 1)
    throw new TensorizeError(
      'bad-tensors',
      `a drawing shows one plan, got ${size}: bind or tensorize a single one`,
    );
  if (typeof execute !== 'function')
    throw new TensorizeError('bad-option', `execute is that of @dag/executor, got ${named(execute)}`);
  const values = new Float64Array(2 * depth);
  for (let j = 0; j < depth; j++) values[j] = V_sign[j]! * V_mag[j]!;
  // The executor returns only the last node. From the last step on, each is made an identity that passes on the step before it.
  const [O, G] = [tensors.O.slice(), tensors.G.slice()];
  for (const { index } of [...steps].reverse()) {
    for (let i = depth - 1; i > index; i--) {
      O.fill(0, 2 * depth * i, 2 * depth * (i + 1));
      O[2 * depth * i + depth + i - 1] = G[i] = 1;
    }
    values[depth + index] = execute({ ...tensors, O, G })[0]!;
  }
  return values;
}

/** Where a graph differs from another one. */
export interface Differences {
  /** Initial nodes with a different number, steps with a different domain, and nodes that the other graph lacks. */
  readonly nodes: ReadonlySet<PlanNode>;
  /** Edges with a different coefficient, or that the other graph lacks. */
  readonly edges: ReadonlySet<PlanEdge>;
  /** Steps with a different result, possibly caused by an earlier step. */
  readonly results: ReadonlySet<PlanNode>;
}

/** The differences of `graph` from `other`. */
export function differences(graph: PlanGraph, other: PlanGraph): Differences {
  const others = new Map(other.nodes.map((node) => [node.name, node]));
  const edgeKey = ({ operand, to, coefficient }: PlanEdge): string => `${operand} ${to} ${coefficient}`;
  const otherEdges = new Set(other.edges.map(edgeKey));
  const hasOtherValue = (node: PlanNode): boolean => !Object.is(node.value, others.get(node.name)?.value);
  return {
    nodes: new Set(
      graph.nodes.filter((node) =>
        node.gate === null ? hasOtherValue(node) : node.gate !== others.get(node.name)?.gate,
      ),
    ),
    edges: new Set(graph.edges.filter((edge) => !otherEdges.has(edgeKey(edge)))),
    results: new Set(graph.nodes.filter((node) => node.gate !== null && hasOtherValue(node))),
  };
}
