import type { DagFields, DagSpec, HostArray } from '../../backend.js';
import {
  chain,
  createNodes,
  toFinite,
  isNegative,
  setInitialNode,
  setNode,
  stepBackward,
  stepValue,
  type Nodes,
  type Step,
} from '../../dag/step.js';

/** Values of all graphs: `values` (size). */
export function dag(spec: DagSpec, fields: DagFields<HostArray>, values: HostArray): void {
  if (spec.size === 0) return;
  const graph = new Graph(spec, fields);
  for (let row = 0; row < spec.size; row++) values[row] = graph.run(row);
}

/** Adds the gradients of Σ upstream[row] · value[row]. */
export function dagBackward(
  spec: DagSpec,
  fields: DagFields<HostArray>,
  upstream: HostArray | null,
  values: HostArray | null,
  gradients: DagFields<HostArray | null>,
): void {
  const { depth, size } = spec;
  if (size === 0) return;
  const graph = new Graph(spec, fields);
  const { width } = graph;
  const value = new Float64Array(width);
  const magnitude = new Float64Array(width);
  const sign = new Float64Array(width);
  const step = new Float64Array(width);
  // Gradients of a shared plan are summed over the rows in f64: an f32 sum of ones would stop growing at 2^24.
  const doubles = (to: HostArray | null) => (spec.shared && to ? new Float64Array(to.length) : to);
  const [byO, byG] = [doubles(gradients.O), doubles(gradients.G)];
  for (let row = 0; row < size; row++) {
    const result = graph.run(row);
    if (values) values[row] = result;
    const up = upstream ? upstream[row]! : 1;
    if (up === 0) continue;
    value.fill(0);
    magnitude.fill(0);
    sign.fill(0);
    // The gradient of a value that is NaN is NaN.
    value[width - 1] = Number.isNaN(result) ? NaN : up;
    const plan = spec.shared ? 0 : row;
    for (let i = depth - 1; i >= 0; i--) {
      const k = depth + i;
      // |v| has the derivative sign(v); the sign itself is constant on both sides of zero.
      const total = toFinite(value[k]! + magnitude[k]! * graph.nodes.sign[k]!);
      if (total === 0) continue;
      step.fill(0);
      const out = { value, magnitude, sign, O: step };
      const gate = stepBackward(graph.step(i), total, out);
      if (byO) for (let j = 0; j < k; j++) add(byO, (plan * depth + i) * width + j, step[j]!);
      if (byG) add(byG, plan * depth + i, gate);
    }
    for (let j = 0; j < depth; j++) {
      const turned = isNegative(fields.V_mag[row * width + j]!) ? -1 : 1;
      const byMagnitude = magnitude[j]! + chain(value[j]!, graph.nodes.sign[j]!);
      const bySign = sign[j]! + chain(value[j]!, graph.nodes.magnitude[j]!);
      if (gradients.V_mag) add(gradients.V_mag, row * width + j, turned * byMagnitude);
      if (gradients.V_sign) add(gradients.V_sign, row * width + j, turned * bySign);
    }
  }
  if (!spec.shared) return;
  byO?.forEach((sum, i) => add(gradients.O!, i, sum));
  byG?.forEach((sum, i) => add(gradients.G!, i, sum));
}

/** to[i] += gradient; the gradient and the sum are clamped to the finite numbers. */
function add(to: HostArray, i: number, gradient: number): void {
  to[i] = toFinite(to[i]! + toFinite(gradient), to instanceof Float32Array ? MAX_F32 : Number.MAX_VALUE);
}

const MAX_F32 = (2 - 2 ** -23) * 2 ** 127;

/** One graph at a time, in double. */
class Graph {
  readonly width: number;
  readonly nodes: Nodes;
  readonly O: Float64Array;
  readonly G: Float64Array;
  private readonly spec: DagSpec;
  private readonly fields: DagFields<HostArray>;

  constructor(spec: DagSpec, fields: DagFields<HostArray>) {
    this.spec = spec;
    this.fields = fields;
    this.width = 2 * spec.depth;
    this.nodes = createNodes(spec.depth);
    this.O = new Float64Array(spec.depth * this.width);
    this.G = new Float64Array(spec.depth);
    if (spec.shared) this.copyPlan(0);
  }

  /** Computes the nodes of a row; → the last one. */
  run(row: number): number {
    const { nodes, width } = this;
    const { depth, shared } = this.spec;
    const { V_mag, V_sign } = this.fields;
    for (let j = 0; j < depth; j++)
      setInitialNode(nodes, j, V_mag[row * width + j]!, V_sign[row * width + j]!);
    if (!shared) this.copyPlan(row);
    for (let i = 0; i < depth; i++) setNode(nodes, depth + i, stepValue(this.step(i)));
    return nodes.value[width - 1]!;
  }

  step(i: number): Step {
    const { depth, maxLog, inference } = this.spec;
    const { nodes, O, G, width } = this;
    return { nodes, O, row: i * width, count: depth + i, gate: G[i]!, maxLog, inference };
  }

  private copyPlan(plan: number): void {
    const { O, G } = this;
    for (let i = 0; i < O.length; i++) O[i] = this.fields.O[plan * O.length + i]!;
    for (let i = 0; i < G.length; i++) G[i] = this.fields.G[plan * G.length + i]!;
  }
}
