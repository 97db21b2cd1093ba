import { EMBEDDING, ROWS, usedRows } from '../embedding-rows.js';
import { ModelError } from '../error.js';
import { named } from '../arguments.js';
import { PredictorModel } from '../predictor-model.js';
import { backbone, Weights } from './backbone.js';
import { executePlan } from './execute.js';
import { GraphBuilder, type Value } from './graph-builder.js';
import { readHardPlan, type Plan } from './plan.js';
import { writeRegisters } from './registers.js';

/**
 * A model as an ONNX file (opset 20, standard operators alone), to be run by any runtime.
 *
 * Input `tokens` (B, T) int64, B and T free. Outputs, at every token, float64: the hard plan of the text up to there,
 * `V_mag`, `V_sign` (B, T, 2D), `O` (B, T, D, 2D), `G` (B, T, D), and `value` (B, T), what it executes to. Token t
 * depends on no later one. The metadata `config` holds the configuration as JSON, `wte.rows` the ids of the tokens that
 * training met where those are not all.
 */
export function exportOnnx(model: PredictorModel): Uint8Array {
  if (!(model instanceof PredictorModel))
    throw new ModelError('bad-input', `exportOnnx: expected a PredictorModel, given ${named(model)}`);
  const { config, tokenizer } = model;
  const { depth: D, readout } = config;
  const g = new GraphBuilder();
  const weights = new Weights(g, model.parameters);
  const tokens = g.input('tokens', 'i64', ['B', 'T']);
  const hidden = backbone(g, weights, tokens, { ...config, vocabSize: tokenizer.vocabSize });
  const plan =
    readout === 'registers'
      ? readHardPlan(g, writeRegisters(g, weights, hidden, tokens, tokenizer, config), config)
      : linearPlan(g, weights, hidden, D);
  const shape = g.op('Shape', [tokens]);
  const shaped = (x: Value, ...dims: number[]): Value =>
    g.op('Reshape', [x, dims.length ? g.concat([shape, g.i64(dims)], 0) : shape]);
  g.output('V_mag', shaped(plan.V_mag, 2 * D), 'f64', ['B', 'T', 2 * D]);
  g.output('V_sign', shaped(plan.V_sign, 2 * D), 'f64', ['B', 'T', 2 * D]);
  g.output('O', shaped(plan.O, D, 2 * D), 'f64', ['B', 'T', D, 2 * D]);
  g.output('G', shaped(plan.G, D), 'f64', ['B', 'T', D]);
  g.output('value', shaped(executePlan(g, plan, D, readout === 'linear')), 'f64', ['B', 'T']);
  return g.encode('dag', { config: JSON.stringify(config), ...trainedRows(weights) });
}

/** The ids of the embedding's rows that are not all zero, where some are: what else `OnnxPredictor` cannot know. */
function trainedRows(weights: Weights): Record<string, string> {
  const { data, shape } = weights.data(EMBEDDING);
  const used = usedRows(data, shape[1]!);
  return used.length === shape[0] ? {} : { [ROWS]: used.join(' ') };
}

/** What `LinearReadout.forward` and `hardenPlan` do. */
function linearPlan(g: GraphBuilder, weights: Weights, hidden: Value, D: number): Plan {
  const head = (name: string, ...dims: number[]): Value =>
    g.cast(g.reshape(weights.linear(`plan.${name}`, hidden), [-1, ...dims]), 'f64');
  const causal = Array.from({ length: 2 * D * D }, (_, n) =>
    Number(n % (2 * D) < D + Math.floor(n / (2 * D))),
  );
  const isNegative = g.op('Less', [head('V_sign', 2 * D), g.f64(0)]);
  return {
    V_mag: g.op('Abs', [head('V_mag', 2 * D)]),
    V_sign: g.where(isNegative, g.f64(-1), g.f64(1)),
    O: rounded(g, g.mul(head('O', D, 2 * D), g.f64(causal, [D, 2 * D]))),
    G: g.cast(g.op('GreaterOrEqual', [head('G', D), g.f64(0)]), 'f64'),
  };
}

/** The nearest whole number, the upper one of two: `Math.round`. */
const rounded = (g: GraphBuilder, x: Value): Value => g.op('Floor', [g.add(x, g.f64(0.5))]);
