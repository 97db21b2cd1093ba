/**
 * The DAG step on the `cpu` backend: `npx jiti bench/dag.ts`, after a build, prints one JSON object. Every figure is the
 * median of REPEATS runs; mathjs and the bandwidth of copying are measured in the same run.
 */
import { generateExpression } from '@dag/expr';
import {
  backendInfo,
  execute,
  executeDag,
  executeWithGradients,
  scope,
  tensor,
  type DagTensors,
  type Tensor,
} from '@dag/executor';
import {
  bind,
  columnGradients,
  tensorizeAll,
  tensorizeWithSymbols,
  tensorize,
  variableGradients,
} from '@dag/tensorize';
import { compile } from 'mathjs';
import type { Backend, DagFields, Storage, Target } from '../packages/executor/src/backend.js';
import { backendOf } from '../packages/executor/src/devices.js';
// Registers the backends of these sources; those of the package are others.
import '../packages/executor/src/index.js';

const REPEATS = 15;
const D = 4;
const N = 65_536;
const ROWS = 1_000_000;
const EXPRESSION = 'x * y + z / (x - 2.5)';

const FIELDS = ['V_mag', 'V_sign', 'O', 'G'] as const;

/** Median seconds of a run. */
function secondsOf(run: () => void, repeats = REPEATS): number {
  for (let i = 0; i < 3; i++) run();
  const times = Array.from({ length: repeats }, () => {
    const begin = performance.now();
    run();
    return (performance.now() - begin) / 1000;
  });
  return times.sort((a, b) => a - b)[repeats >> 1]!;
}

let state = 1;
const random = () => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff;
const filled = (n: number, draw: () => number) => Float64Array.from({ length: n }, draw);
const round = (x: number) => Number(x.toPrecision(4));

function batch(fill: Record<(typeof FIELDS)[number], () => number>): DagTensors {
  return {
    depth: D,
    size: N,
    V_mag: filled(N * 2 * D, fill.V_mag),
    V_sign: filled(N * 2 * D, fill.V_sign),
    O: filled(N * 2 * D * D, fill.O),
    G: filled(N * D, fill.G),
  };
}

/** Plans of random expressions. */
const hard = tensorizeAll(
  Array.from({ length: N }, (_, index) =>
    generateExpression({ seed: 1, index, depth: D, maxDigits: 3, maxDecimals: 2 }),
  ),
  { depth: D },
);
/** Every coefficient −1, 0 or 1 with the same chance. */
const dense = batch({
  V_mag: () => 0.5 + 1.5 * random(),
  V_sign: () => (random() < 0.5 ? -1 : 1),
  O: () => Math.floor(3 * random()) - 1,
  G: () => Number(random() < 0.5),
});
/** Every coefficient, gate and sign between its hard values. */
const soft = batch({
  V_mag: () => 0.5 + 1.5 * random(),
  V_sign: () => 1.8 * random() - 0.9,
  O: () => 1.6 * random() - 0.8,
  G: () => 0.1 + 0.8 * random(),
});

/**
 * Million graphs a second on f32 storage, the gradients overwrite: values and gradients `together` in one kernel, as for
 * `executeWithGradients`; `apart` in one after the other, as in a training step, where the second makes the values again.
 */
function kernels(graphs: DagTensors) {
  const backend: Backend = backendOf('cpu');
  const stored = (data: Float64Array): Storage => {
    const storage = backend.allocate('f32', data.length);
    backend.write(storage, data);
    return storage;
  };
  const mapped = <T>(f: (field: (typeof FIELDS)[number]) => T): DagFields<T> => ({
    V_mag: f('V_mag'),
    V_sign: f('V_sign'),
    O: f('O'),
    G: f('G'),
  });
  const spec = { depth: D, size: N, shared: false, maxLog: 100, inference: false };
  const fields = mapped((field) => stored(graphs[field]));
  const gradients = mapped((field): Target => ({
    storage: stored(new Float64Array(graphs[field].length)),
    accumulate: false,
  }));
  const values = backend.allocate('f64', N);
  const upstream = backend.allocate('f64', N);
  backend.fill(upstream, 1);
  const forward = secondsOf(() => backend.dag(spec, fields, values));
  const backward = secondsOf(() => backend.dagBackward(spec, fields, upstream, null, gradients));
  const both = secondsOf(() => {
    backend.dag(spec, fields, values);
    backend.dagBackward(spec, fields, upstream, null, gradients);
  });
  const together = secondsOf(() => backend.dagBackward(spec, fields, upstream, values, gradients));
  const rate = (seconds: number) => round(N / seconds / 1e6);
  return { together: rate(together), apart: rate(both), forward: rate(forward), backward: rate(backward) };
}

/** The same through `executeDag` and `backward` in a scope, as a training step does. */
function throughTensors(graphs: DagTensors): number {
  const leaf = (data: Float64Array, shape: number[]): Tensor =>
    tensor(data, shape, { dtype: 'f32', device: 'cpu', requiresGrad: true });
  const fields = {
    V_mag: leaf(graphs.V_mag, [N, 2 * D]),
    V_sign: leaf(graphs.V_sign, [N, 2 * D]),
    O: leaf(graphs.O, [N, D, 2 * D]),
    G: leaf(graphs.G, [N, D]),
  };
  const upstream = tensor(new Float64Array(N).fill(1), [N], { device: 'cpu' });
  const seconds = secondsOf(() =>
    scope(() => {
      for (const field of FIELDS) fields[field].zeroGrad();
      executeDag(fields, { maxLog: 100 }).backward(upstream);
    }),
  );
  return round(N / seconds / 1e6);
}

/** Microseconds of one call on one graph. */
function callTime(call: () => void): number {
  const calls = 20_000;
  return round(
    (secondsOf(() => {
      for (let i = 0; i < calls; i++) call();
    }) /
      calls) *
      1e6,
  );
}

/** Nanoseconds a row of the same expression: one plan for all rows, and mathjs. */
function sharedPlan() {
  const values = { x: filled(ROWS, () => 3 + random()), y: filled(ROWS, random), z: filled(ROWS, random) };
  const template = tensorizeWithSymbols(EXPRESSION);
  const tensors = bind(template, values);
  const perRow = (run: () => void) => round((secondsOf(run, 7) / ROWS) * 1e9);
  const out = { values: new Float64Array(ROWS), V_mag: new Float64Array(tensors.V_mag.length) };
  const all = executeWithGradients(tensors, { backend: 'cpu' });
  const columns = columnGradients(template, values, executeWithGradients);
  const code = compile(EXPRESSION);
  const row = { x: 0, y: 0, z: 0 };
  const mathjs = perRow(() => {
    for (let i = 0; i < ROWS; i++) {
      row.x = values.x[i]!;
      row.y = values.y[i]!;
      row.z = values.z[i]!;
      out.values[i] = code.evaluate(row) as number;
    }
  });
  const figures = {
    mathjs,
    bind: perRow(() => bind(template, values)),
    variableGradients: perRow(() => variableGradients(template, tensors, all)),
    columnGradients: perRow(() => columnGradients(template, values, executeWithGradients)),
    columnGradientsOut: perRow(() =>
      columnGradients(template, values, executeWithGradients, { out: columns }),
    ),
    values: perRow(() => execute(tensors, { backend: 'cpu', out: out.values })),
    valuesNewArray: perRow(() => execute(tensors, { backend: 'cpu' })),
    withGradients: perRow(() => executeWithGradients(tensors, { backend: 'cpu', out: all })),
    withGradientsOfNumbers: perRow(() => executeWithGradients(tensors, { backend: 'cpu', out })),
    withGradientsNewArrays: perRow(() => executeWithGradients(tensors, { backend: 'cpu' })),
  };
  return {
    expression: EXPRESSION,
    depth: tensors.depth,
    nanosecondsARow: figures,
    timesMathjs: {
      withGradients: round(mathjs / figures.withGradients),
      withGradientsOfNumbers: round(mathjs / figures.withGradientsOfNumbers),
      withGradientsNewArrays: round(mathjs / figures.withGradientsNewArrays),
    },
  };
}

/** GB/s read and written by filling from another array, one core. */
function copyBandwidth(): number {
  const [a, b] = [new Float64Array(1 << 24).fill(1), new Float64Array(1 << 24).fill(2)];
  return round((2 * a.byteLength) / secondsOf(() => b.set(a)) / 1e9);
}

const one = tensorize('2.5 * 3.0 + 1.0', { depth: D });
const gradients = executeWithGradients(one, { backend: 'cpu' });
const text = {
  variant: backendInfo('cpu').variant,
  threads: backendInfo('cpu').threads,
  copyGigabytesASecond: copyBandwidth(),
  millionGraphsASecond: {
    hard: { kernels: kernels(hard), executeDag: throughTensors(hard) },
    dense: { kernels: kernels(dense), executeDag: throughTensors(dense) },
    soft: { kernels: kernels(soft), executeDag: throughTensors(soft) },
  },
  microsecondsACall: {
    execute: callTime(() => execute(one, { backend: 'cpu' })),
    executeWithGradients: callTime(() => executeWithGradients(one, { backend: 'cpu' })),
    executeWithGradientsOut: callTime(() => executeWithGradients(one, { backend: 'cpu', out: gradients })),
  },
  sharedPlan: sharedPlan(),
};
console.log(JSON.stringify(text, null, 2));
