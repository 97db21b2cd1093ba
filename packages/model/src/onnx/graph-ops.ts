import type { Parameters } from '../gpt.js';
import type { ReadoutOps } from '../plan-predictor/array-ops.js';
import { Weights } from './backbone.js';
import { GraphBuilder, type Value } from './graph-builder.js';

/** A graph with the weights of a model; writes hard readouts as its nodes, for every token. */
export class GraphOps extends GraphBuilder implements ReadoutOps<Value> {
  readonly weights: Weights;

  constructor(parameters: Parameters) {
    super();
    this.weights = new Weights(this, parameters);
  }

  readonly linear = (name: string, x: Value): Value => this.weights.linear(name, x);
  readonly gelu = (x: Value): Value => this.op('Gelu', [x]);
  readonly softmax = (x: Value): Value => this.op('Softmax', [x], { axis: -1 });
  readonly max = (x: Value): Value => this.op('ReduceMax', [x, this.i64([-1])], { keepdims: 1 });
  readonly double = (x: Value): Value => this.cast(x, 'f64');
  readonly asked = (x: Value): Value => x;
  readonly sumSoFar = (weights: Value, x: Value, m: number, n: number): Value =>
    this.reshape(this.cumsum(this.mul(this.unsqueeze(weights, 3), this.unsqueeze(x, 2)), 1), [-1, m, n]);
}
