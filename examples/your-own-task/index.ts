/**
 * A task that is neither a plan predictor nor a language model: a small network learns a curve. `trainTask` gives it a stream made by
 * worker threads, checkpoints, resuming, metrics for `dag report`, and MPI. Started again it goes on where it was.
 */
import { existsSync } from 'node:fs';
import {
  abs,
  linear,
  mean,
  mul,
  noGrad,
  randn,
  square,
  sub,
  tanh,
  tensor,
  zeros,
  type Tensor,
} from '@dag/executor';
import { decodeSafetensors, safetensorsPieces, type SafeTensor } from '@dag/model';
import { learnFrom, trainTask, weigh, type Task, type Trainable } from '@dag/train';

interface Points {
  readonly x: Float32Array;
  readonly y: Float32Array;
}
const worker = new URL('curve.js', import.meta.url);
const { points } = (await import(worker.href)) as {
  points(seed: number, index: number, size: number): Points;
};

/** One hidden layer: 1 → width → 1. */
class Network implements Trainable {
  readonly parameters: Map<string, Tensor>;

  constructor(width: number) {
    const weight = (shape: number[], seed: number): Tensor =>
      randn(shape, { seed: [0, seed], requiresGrad: true });
    this.parameters = new Map([
      ['in.weight', weight([width, 1], 1)],
      ['in.bias', weight([width], 2)],
      ['out.weight', weight([1, width], 3)],
      ['out.bias', zeros([1], { requiresGrad: true })],
    ]);
  }

  /** x (N, 1) → (N, 1). */
  forward(x: Tensor): Tensor {
    const [inWeight, inBias, outWeight, outBias] = [...this.parameters.values()] as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    return linear(tanh(linear(x, inWeight, inBias)), outWeight, outBias);
  }

  savePieces(): Iterable<Uint8Array> {
    const entries = [...this.parameters].map(([name, p]): [string, SafeTensor] => [
      name,
      { dtype: 'F32', shape: p.shape, data: Float32Array.from(p.dataSync()) },
    ]);
    return safetensorsPieces(new Map(entries));
  }
}

const column = (values: Float32Array): Tensor => tensor(values, [values.length, 1]);
const size = 32;

const curve: Task<Network, Points, { points: number }, { error: number }> = {
  kind: 'curve',
  // The second one is there to be tried: `losses: { absolute: 1 }`.
  losses: { squared: 1, absolute: 0 },
  stream: { worker, data: { seed: 0, size } },
  model(checkpoint) {
    const network = new Network(24);
    if (!checkpoint) return network;
    const { tensors } = decodeSafetensors(checkpoint.files.get('model.safetensors')!);
    for (const [name, p] of network.parameters) p.set(tensors.get(name)!.data as Float32Array);
    return network;
  },
  counts: ({ x }) => ({ points: x.length }),
  learn(network, { x, y }, { counts, weights }) {
    const error = sub(network.forward(column(x)), column(y));
    // Means over the points of the whole step, of which this micro-batch has a part.
    const share = x.length / counts.points;
    const squared = () => mul(mean(square(error)), share);
    return learnFrom(weigh({ squared, absolute: () => mul(mean(abs(error)), share) }, weights));
  },
  evaluate(network, seed) {
    const { x, y } = points(2 ** 20 + seed, 0, 500);
    const error = noGrad(() => mean(square(sub(network.forward(column(x)), column(y)))).item());
    return {
      summary: { error },
      score: -error,
      line: `squared error ${error.toFixed(5)}`,
      metrics: { error },
    };
  },
};

const [outDir = 'runs/curve'] = process.argv.slice(2);
const { model, step, summary } = await trainTask(curve, {
  ...{ name: 'curve', outDir, resume: existsSync(`${outDir}/checkpoints`) },
  ...{ maxSteps: 600, batchSize: size, accumulate: 2, logEvery: 100 },
  ...{ optimizer: { lr: 0.02 }, evaluation: { every: 200 } },
});
console.log(`after ${step} steps a squared error of ${summary?.error.toFixed(5)} on other points`);
const [x, y] = [0.5, noGrad(() => model.forward(column(Float32Array.of(0.5)))).item()];
console.log(`sin(3 · ${x}) = ${y.toFixed(2)}   (${Math.sin(3 * x).toFixed(2)})`);
