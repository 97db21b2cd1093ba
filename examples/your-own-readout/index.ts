/**
 * A readout of one's own: a layer with GELU before the linear readout, so that `O` and `G` are read by a small network. Made known by
 * its name it is trained, saved, loaded, evaluated and exported like those of the package. `decisions`, the default, learns better.
 */
import { linear, type Tensor } from '@dag/executor';
import { addReadout, exportOnnx, linearReadout, type Readout } from '@dag/model';
import { loadModel, parseConfig, readCheckpoint, train } from '@dag/train';

const WIDER = 4;

const mlp: Readout = {
  // The parts that stay: fields of a prediction, the plan that is made of them, losses on that plan.
  ...linearReadout,
  name: 'mlp',

  make(width, layout, build) {
    const weight = build.normal('plan.up.weight', [WIDER * width, width], 0.02);
    const bias = build.constant('plan.up.bias', [WIDER * width], 0);
    const read = linearReadout.make(WIDER * width, layout, build);
    const up = (hidden: Tensor): Tensor => linear(hidden, weight, bias, { activation: 'gelu' });
    return (hidden, features, options) => read(up(hidden), features, options);
  },

  // The same by operations that tensors and ONNX graphs have, with every choice made.
  harden: (ops, hidden, features, layout) =>
    linearReadout.harden(ops, ops.gelu(ops.linear('plan.up', hidden)), features, layout),
};
addReadout(mlp);

const [outDir = 'runs/mlp', maxSteps = '900'] = process.argv.slice(2);
const config = parseConfig({
  ...{ name: 'mlp', outDir, maxSteps: Number(maxSteps), logEvery: 200 },
  model: { readout: 'mlp', depth: 2 },
  // The operators are learnt soon; magnitudes are regressed, so that hardly a value is right.
  data: { maxDigits: 1, maxDecimals: 0 },
  losses: { operand: 4, execution: 0 },
  evaluation: { every: Number(maxSteps) },
});
const { checkpoint, summary } = await train(config);
const percent = (share = 0): string => `${(100 * share).toFixed(1)} %`;
console.log(
  `of ${summary?.count} held-out expressions the operands (O) of ${percent(summary?.operands)} are right,`,
);
console.log(`the domains (G) of ${percent(summary?.domains)}, the values of ${percent(summary?.value)}`);

const model = loadModel(await readCheckpoint(checkpoint));
const { expression, value } = model.predict('7 - 2');
console.log(`7 - 2 is read as ${expression}, which is ${value}`);
console.log(`as an ONNX graph: ${exportOnnx(model).length} bytes`);
