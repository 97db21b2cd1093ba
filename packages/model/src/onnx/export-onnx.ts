import { EMBEDDING, ROWS, usedRows } from '../embedding-rows.js';
import { ModelError } from '../error.js';
import { named } from '../arguments.js';
import { PredictorModel } from '../predictor-model.js';
import { backbone, Weights } from './backbone.js';
import { executePlan } from './execute.js';
import { GraphBuilder, type Value } from './graph-builder.js';
import { readHardPlan, readingConstants, type HardPlan } from '../plan-predictor/hard-plan.js';
import { writeHardRegisters, writingConstants } from '../plan-predictor/hard-registers.js';
import { hardLinearPlan } from '../plan-predictor/linear-readout.js';
import { featuresOf } from './features.js';

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
  const plan = readPlan(g, weights, hidden, tokens, model);
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

/** What `PlanPredictor.hardPlan` does. */
function readPlan(
  g: GraphBuilder,
  weights: Weights,
  hidden: Value,
  tokens: Value,
  { config, tokenizer }: PredictorModel,
): HardPlan<Value> {
  const output = (name: string): Value => g.cast(weights.linear(`plan.${name}`, hidden), 'f64');
  if (config.readout === 'registers') {
    const features = featuresOf(g, tokens, tokenizer, config);
    const constants = writingConstants(g, config);
    const registers = writeHardRegisters(g, constants, output('decide'), features, config, null);
    return readHardPlan(g, readingConstants(g, config), registers, config);
  }
  const D = config.depth;
  const flat = (name: string, width: number): Value => g.reshape(output(name), [-1, width]);
  const outputs = {
    V_mag: flat('V_mag', 2 * D),
    V_sign: flat('V_sign', 2 * D),
    O: flat('O', 2 * D * D),
    G: flat('G', D),
  };
  return hardLinearPlan(g, outputs, D);
}
