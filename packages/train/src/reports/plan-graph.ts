import { execute } from '@dag/executor';
import { isIdentity, readPlan, type DagTensors } from '@dag/tensorize';

/** A plan as a graph of the nodes its value depends on; identity steps are left out. */
export interface PlanGraph {
  readonly nodes: readonly PlanNode[];
  readonly edges: readonly PlanEdge[];
  /** The name of the result node. */
  readonly result: string;
}

export interface PlanNode {
  /** `n0`, `n1`, … for initial nodes, `s0`, `s1`, … for the results of steps, as `describe` calls them. */
  readonly name: string;
  /** G of a step: 1 linear, 0 log; null for an initial node. */
  readonly gate: number | null;
  readonly value: number;
}

export interface PlanEdge {
  /** The operand's column in O. Two columns may be the same node here, because identity steps are left out. */
  readonly operand: number;
  readonly from: string;
  readonly to: string;
  readonly coefficient: number;
}

/** The graph of a plan of size 1. */
export function planGraph(tensors: DagTensors): PlanGraph {
  const { depth } = tensors;
  const plan = readPlan(tensors);
  const values = nodeValues(tensors);
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

/** (2D) The value at each node. */
function nodeValues({ depth, V_mag, V_sign, O, G }: DagTensors): Float64Array {
  // The executor returns only the last node. In graph i, identity steps after step i pass its result on to the last node.
  const upTo = Array.from({ length: depth }, (_, i) => {
    const o = O.slice();
    const g = G.slice();
    for (let k = i + 1; k < depth; k++) {
      o.fill(0, 2 * depth * k, 2 * depth * (k + 1));
      o[2 * depth * k + depth + k - 1] = 1;
      g[k] = 1;
    }
    return { o, g };
  });
  const results = execute({
    depth,
    size: depth,
    V_mag: concat(upTo.map(() => V_mag)),
    V_sign: concat(upTo.map(() => V_sign)),
    O: concat(upTo.map(({ o }) => o)),
    G: concat(upTo.map(({ g }) => g)),
  });
  const numbers = V_mag.slice(0, depth).map((magnitude, j) => V_sign[j]! * magnitude);
  return concat([numbers, results]);
}

const concat = (parts: readonly Float64Array[]): Float64Array =>
  Float64Array.from(parts.flatMap((part) => [...part]));

/** Where a graph differs from another one. */
export interface Differences {
  /** Initial nodes with a different number, steps with a different domain, and nodes that the other graph lacks. */
  readonly nodes: ReadonlySet<PlanNode>;
  /** Edges with a different coefficient, or that the other graph lacks. */
  readonly edges: ReadonlySet<PlanEdge>;
  /** Steps with a different result, possibly caused by an earlier step. */
  readonly results: ReadonlySet<PlanNode>;
}

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
