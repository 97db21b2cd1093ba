import { EMBEDDING, ROWS, usedRows } from '../embedding-rows.js';
import { ModelError } from '../error.js';
import { checkObject, named } from '../arguments.js';
import { PredictorModel } from '../predictor-model.js';
import { backbone, type Weights } from './backbone.js';
import { executePlan } from './execute.js';
import { checkLayout, type RegisterLayout } from '../plan-predictor/layout.js';
import { readoutOf } from '../plan-predictor/readouts.js';
import { featuresOf } from './features.js';
import type { Value } from './graph-builder.js';
import { GraphOps } from './graph-ops.js';

/**
 * Exports a model as an ONNX file (opset 20, standard operators only) for any runtime.
 *
 * Input: `tokens` (B, T) int64, with B and T free. Outputs at every token, float64: the hard plan of the text up to there,
 * `V_mag` and `V_sign` (B, T, 2D), `O` (B, T, D, 2D), `G` (B, T, D), and its `value` (B, T); of a readout that has them, also `fault`,
 * `complete` and `confidence` (B, T), see `HardPlan`. The outputs are causal: token t depends on no later one. Metadata: `config` is the
 * configuration as JSON, by whose `calibration` `OnnxPredictor` calibrates confidences; `wte.rows` lists the ids of the tokens that training has met, unless it has met all.
 *
 * @param layout Another layout than the model's: more numbers, or longer ones; of a readout that `fitsAnyLayout`.
 *
 * @throws {ModelError} `bad-input` for anything but a `PredictorModel`, `not-finite` for weights that are not finite.
 */
export function exportOnnx(model: PredictorModel, layout: Partial<RegisterLayout> = {}): Uint8Array {
  if (!(model instanceof PredictorModel))
    throw new ModelError('bad-input', `exportOnnx: expected a PredictorModel, given ${named(model)}`);
  checkObject('a layout such as { depth: 16 }', layout);
  const { tokenizer } = model;
  const { depth = model.config.depth, digits = model.config.digits } = layout;
  const config = { ...model.config, depth, digits };
  checkLayout(config);
  const isOther = depth !== model.config.depth || digits !== model.config.digits;
  if (isOther && !readoutOf(config.readout).fitsAnyLayout)
    throw new ModelError(
      'bad-input',
      `exportOnnx: the readout '${config.readout}' has the layout of its model`,
    );
  const D = config.depth;
  const readout = readoutOf(config.readout);
  const g = new GraphOps(model.parameters);
  const { weights } = g;
  const tokens = g.input('tokens', 'i64', ['B', 'T']);
  const gpt = { ...config, vocabSize: tokenizer.vocabSize };
  const hidden = backbone(g, weights, tokens, gpt, (id) => tokenizer.row(id));
  const plan = readout.harden(g, hidden, featuresOf(g, tokens, tokenizer, config), config);
  const shape = g.op('Shape', [tokens]);
  const shaped = (x: Value, ...dims: number[]): Value =>
    g.op('Reshape', [x, dims.length ? g.concat([shape, g.i64(dims)], 0) : shape]);
  g.output('V_mag', shaped(plan.V_mag, 2 * D), 'f64', ['B', 'T', 2 * D]);
  g.output('V_sign', shaped(plan.V_sign, 2 * D), 'f64', ['B', 'T', 2 * D]);
  g.output('O', shaped(plan.O, D, 2 * D), 'f64', ['B', 'T', D, 2 * D]);
  g.output('G', shaped(plan.G, D), 'f64', ['B', 'T', D]);
  for (const name of ['fault', 'complete', 'confidence'] as const)
    if (plan[name]) g.output(name, shaped(plan[name]), 'f64', ['B', 'T']);
  g.output('value', shaped(executePlan(g, plan, D, readout.hasPowers)), 'f64', ['B', 'T']);
  return g.encode('dag', { config: JSON.stringify(config), ...trainedRows(weights) });
}

/** Metadata `wte.rows`: the rows of the embedding that are not all zero, which `OnnxPredictor` cannot read from the graph. */
function trainedRows(weights: Weights): Record<string, string> {
  const { data, shape } = weights.data(EMBEDDING);
  const used = usedRows(data, shape[1]!);
  return used.length === shape[0] ? {} : { [ROWS]: used.join(' ') };
}
