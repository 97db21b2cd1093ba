/**
 * The backend `wasm` on one thread and on all: a product, a training step of a GPT, a prediction of the shipped model, in turn, in
 * milliseconds (medians and best). `npx jiti bench/wasm.ts [rounds]`, after a build, prints one JSON object.
 */
import {
  AdamW,
  backendInfo,
  matmul,
  mean,
  noGrad,
  randn,
  scope,
  setDefaultDevice,
  setNumThreads,
  square,
  tensor,
} from '@dag/executor';
import { Gpt, ParameterBuilder } from '@dag/model';
import { loadPretrained } from '@dag/train';

setDefaultDevice('wasm');
const rounds = Number(process.argv[2] ?? 31);
const { threads } = backendInfo();

const [M, K, N] = [2048, 256, 1024];
const a = randn([M, K], { seed: [1, 1] });
const b = randn([K, N], { seed: [1, 2] });

const [B, T, vocabSize] = [32, 32, 256];
const build = new ParameterBuilder(0);
const gpt = new Gpt(
  { blockSize: T, vocabSize, nLayer: 2, nHead: 4, nEmbd: 128, dropout: 0, bias: true, depth: 4 },
  build,
);
const optimizer = new AdamW([...build.parameters.values()], { lr: 1e-3 });
const tokens = tensor(
  Int32Array.from({ length: B * T }, (_, i) => (i * 7919) % vocabSize),
  [B, T],
);

const model = await loadPretrained();

const work = {
  product: () => scope(() => noGrad(() => matmul(a, b)).size),
  step: () =>
    scope(() => {
      optimizer.zeroGrad();
      mean(square(gpt.forward(tokens))).backward();
      optimizer.step();
    }),
  prediction: () => model.predict('-(12.5 + 3) * 4 / (7.25 - 1) - 8'),
};

const sorted = (numbers: readonly number[]) => numbers.toSorted((x, y) => x - y);
const rounded = (x: number) => Number(x.toPrecision(3));
const results: Record<string, unknown> = {};
for (const [name, run] of Object.entries(work)) {
  const timed = (count: number): number => {
    setNumThreads(count);
    const begin = performance.now();
    run();
    return performance.now() - begin;
  };
  // Until the other threads are there.
  const end = performance.now() + 2000;
  while (performance.now() < end) timed(threads);
  const pairs = Array.from({ length: rounds }, () => [timed(1), timed(threads)] as const);
  const [one, all] = [sorted(pairs.map(([x]) => x)), sorted(pairs.map(([, x]) => x))];
  const times = (of: readonly number[]) => ({ median: rounded(of[rounds >> 1]!), best: rounded(of[0]!) });
  const ratio = rounded(sorted(pairs.map(([x, y]) => x / y))[rounds >> 1]!);
  const gflops = rounded((2 * M * K * N) / all[rounds >> 1]! / 1e6);
  results[name] = { one: times(one), all: times(all), ratio, ...(name === 'product' ? { gflops } : {}) };
}
console.log(JSON.stringify({ threads, milliseconds: results }, null, 2));
