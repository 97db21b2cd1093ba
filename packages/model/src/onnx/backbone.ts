import { EMBEDDING, usedRows } from '../embedding-rows.js';
import type { Parameters, GptConfig } from '../gpt.js';
import { finiteWeights, parameterOf, weightOf } from '../weights.js';
import type { GraphBuilder, Value } from './graph-builder.js';

/** The weights of a model as constants of a graph. */
export class Weights {
  readonly #g: GraphBuilder;
  readonly #parameters: Parameters;

  constructor(g: GraphBuilder, parameters: Parameters) {
    this.#g = g;
    this.#parameters = parameters;
  }

  has = (name: string): boolean => this.#parameters.has(name);

  data(name: string): { data: Float32Array; shape: readonly number[] } {
    const p = parameterOf(this.#parameters, name);
    return { data: finiteWeights(name, Float32Array.from(p.dataSync())), shape: p.shape };
  }

  tensor(name: string): Value {
    const { data, shape } = this.data(name);
    return this.#g.tensor(data, shape);
  }

  /** x·Wᵀ + b; the weight is stored as (from, to). */
  linear(name: string, x: Value): Value {
    weightOf(this.#parameters, name);
    const { data, shape } = this.data(`${name}.weight`);
    const [to, from] = shape as [number, number];
    const transposed = new Float32Array(data.length);
    for (let i = 0; i < to; i++) for (let j = 0; j < from; j++) transposed[j * to + i] = data[i * from + j]!;
    const y = this.#g.matmul(x, this.#g.tensor(transposed, [from, to]));
    return this.has(`${name}.bias`) ? this.#g.add(y, this.tensor(`${name}.bias`)) : y;
  }

  norm(name: string, x: Value): Value {
    const bias = this.has(`${name}.bias`) ? [this.tensor(`${name}.bias`)] : [];
    const inputs = [x, this.tensor(`${name}.weight`), ...bias];
    return this.#g.op('LayerNormalization', inputs, { axis: -1, epsilon: 1e-5 });
  }
}

/** tokens (B, T) i64 → hidden states (B, T, C) f32, as `Gpt.forward` without dropout. */
export function backbone(
  g: GraphBuilder,
  weights: Weights,
  tokens: Value,
  config: GptConfig,
  rowOf: (id: number) => number,
): Value {
  const { convolution = 0 } = config;
  const time = g.op('Shape', [tokens], { start: 1, end: 2 });
  let x = embedding(g, weights, tokens, rowOf);
  if (convolution === 0)
    x = g.add(x, g.op('Slice', [weights.tensor('wpe.weight'), g.i64([0]), time, g.i64([0])]));
  const causal = causalMask(g, time);
  for (let i = 0; i < config.nLayer; i++) {
    const name = `h.${i}`;
    if (convolution > 0) x = convolved(g, weights, `${name}.conv`, x, convolution, time);
    const attended = attention(
      g,
      weights.linear(`${name}.attn.c_attn`, weights.norm(`${name}.ln_1`, x)),
      causal,
      config,
    );
    x = g.add(weights.linear(`${name}.attn.c_proj`, attended), x);
    const sum = weights.linear(`${name}.mlp.c_fc`, weights.norm(`${name}.ln_2`, x));
    const hidden = g.op('Gelu', [sum], config.activation === 'geluTanh' ? { approximate: 'tanh' } : {});
    x = g.add(weights.linear(`${name}.mlp.c_proj`, hidden), x);
  }
  return weights.norm('ln_f', x);
}

/** Embeds tokens; stores one row for all rows of the table that are zero, as the last. */
function embedding(g: GraphBuilder, weights: Weights, tokens: Value, rowOf: (id: number) => number): Value {
  const { data, shape } = weights.data(EMBEDDING);
  const [vocabulary, C] = shape as [number, number];
  const used = usedRows(data, C);
  const stored = new Int32Array(vocabulary).fill(used.length);
  const table = new Float32Array((used.length + 1) * C);
  used.forEach((id, row) => {
    stored[id] = row;
    table.set(data.subarray(id * C, (id + 1) * C), row * C);
  });
  const index = g.op('Gather', [
    g.tensor(
      stored.map((_, id) => stored[rowOf(id)]!),
      [vocabulary],
    ),
    tokens,
  ]);
  return g.op('Gather', [g.tensor(table, [used.length + 1, C]), index]);
}

/** x_t + Σ w_i ⊙ x_(t−i) over i = 1 … n, as the convolution of `Block`. */
function convolved(g: GraphBuilder, weights: Weights, name: string, x: Value, n: number, time: Value): Value {
  const w = weights.tensor(`${name}.weight`);
  // n tokens of zeros before the first one.
  const padded = g.op('Pad', [x, g.i64([0, n, 0, 0, 0, 0])]);
  let y = x;
  for (let i = 1; i <= n; i++) {
    const from = g.i64([n - i]);
    const shifted = g.op('Slice', [padded, from, g.op('Add', [time, from]), g.i64([1])]);
    y = g.add(y, g.mul(shifted, g.select(w, 0, i - 1)));
  }
  return y;
}

/** (T, T): 0 where a token attends, −∞ at later tokens. */
function causalMask(g: GraphBuilder, time: Value): Value {
  const steps = g.op('Range', [g.i64(0), g.op('Squeeze', [time]), g.i64(1)]);
  const later = g.op('Greater', [g.unsqueeze(steps, 0), g.unsqueeze(steps, 1)]);
  return g.where(later, g.f32(-Infinity), g.f32(0));
}

function attention(g: GraphBuilder, qkv: Value, causal: Value, { nHead, nEmbd }: GptConfig): Value {
  const width = nEmbd / nHead;
  // (B, T, 3·C) → 3 × (B, heads, T, width)
  const heads = g.transpose(g.reshape(qkv, [0, 0, 3, nHead, width]), [2, 0, 3, 1, 4]);
  const [q, k, v] = [0, 1, 2].map((i) => g.select(heads, 0, i)) as [Value, Value, Value];
  const scores = g.mul(g.matmul(q, g.transpose(k, [0, 1, 3, 2])), g.f32(1 / Math.sqrt(width)));
  const weights = g.op('Softmax', [g.add(scores, causal)], { axis: -1 });
  return g.reshape(g.transpose(g.matmul(weights, v), [0, 2, 1, 3]), [0, 0, nEmbd]);
}
