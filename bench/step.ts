/**
 * One training step of the predictor: `npx jiti bench/step.ts`, after a build, prints one JSON object. B 256, T 32, D 4,
 * 2 layers, 4 heads, width 256, vocabulary 50,304, dropout 0.1; forward, losses, backward, clipping, AdamW. The plan is
 * read by the linear readout, so that PyTorch does the same work (torch_peer.py).
 */
import { adamWAll, add, mean, scope, square, sub, tensor, zeros } from '@dag/executor';
import { Gpt, ParameterBuilder, PlanPredictor, type TokenFeatures } from '@dag/model';

const REPEATS = 9;
const [B, T, D, C, DIGITS] = [256, 32, 4, 256, 8] as const;
const build = new ParameterBuilder(0);
const gpt = new Gpt(
  { blockSize: T, vocabSize: 50_304, nLayer: 2, nHead: 4, nEmbd: C, dropout: 0.1, bias: true, depth: D },
  build,
);
const predictor = new PlanPredictor({ depth: D, digits: DIGITS, readout: 'linear' }, C, build);
const parameters = [...build.parameters.values()];
const moments = parameters.map((parameter) => ({
  ...{ parameter, m: zeros(parameter.shape), v: zeros(parameter.shape) },
}));

let state = 1;
const random = (n: number): number => Math.floor(((state = (state * 48271) % 0x7fffffff) / 0x7fffffff) * n);
const filled = (shape: readonly number[], draw: () => number) =>
  tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b) }, draw), shape);
const tokens = tensor(
  Int32Array.from({ length: B * T }, () => random(50_257)),
  [B, T],
);
const targets = {
  V_mag: filled([B, T, 2 * D], () => random(1000) / 1000),
  V_sign: filled([B, T, 2 * D], () => 2 * random(2) - 1),
  O: filled([B, T, D, 2 * D], () => random(3) - 1),
  G: filled([B, T, D], () => random(2)),
};
/** The linear readout reads hidden states alone. */
const none = zeros([B, T]);
const features: TokenFeatures = {
  count: none,
  point: none,
  begins: none,
  opens: none,
  digits: zeros([B, T, 2, 1]),
};

function step(n: number): number {
  return scope(() => {
    for (const p of parameters) p.zeroGrad();
    const prediction = predictor.forward(gpt.forward(tokens, { dropoutSeed: n }), features);
    const plan = predictor.plan(prediction);
    const fields = ['V_mag', 'V_sign', 'O', 'G'] as const;
    const loss = fields.map((field) => mean(square(sub(plan[field], targets[field])))).reduce(add);
    loss.backward();
    adamWAll(moments, {
      lr: 3e-4,
      beta1: 0.9,
      beta2: 0.95,
      eps: 1e-8,
      weightDecay: 1e-2,
      step: n,
      maxNorm: 1,
    });
    return loss.item();
  });
}

const losses: number[] = [];
const seconds: number[] = [];
for (let n = 1; n <= REPEATS + 3; n++) {
  const begin = performance.now();
  losses.push(step(n));
  if (n > 3) seconds.push((performance.now() - begin) / 1000);
}
if (!(losses.at(-1)! < losses[0]!)) throw new Error(`the loss does not fall: ${losses.join(', ')}`);
console.log(JSON.stringify({ stepSeconds: seconds.toSorted((a, b) => a - b)[REPEATS >> 1] }));
