/**
 * Every exported function, called with whatever a caller from JavaScript may give: each call gives a well-formed result or throws
 * an ExecutorError, and none writes outside its arrays. Calls share their tensors, so that ops, changes in place, releases,
 * `backward` and optimisers follow each other in any order.
 *
 * DAG_HOSTILE_SEED and DAG_HOSTILE_CALLS say which calls, and how many on all devices together.
 */
import { describe, expect, it } from '@jest/globals';
import * as executor from '../src/index.js';
import {
  ExecutorError,
  setDefaultDevice,
  setMatmulPrecision,
  setNumThreads,
  tensor,
  Tensor,
} from '../src/index.js';
import { devices } from './devices.js';
import { guardMemory, Hostile } from './hostile.js';

const given = process.env['DAG_HOSTILE_SEED'] ?? process.env['DAG_TEST_SEED'] ?? '16';
const seed = given === 'random' ? Date.now() % 2 ** 31 : Number(given);
const calls = Number(process.env['DAG_HOSTILE_CALLS'] ?? 10_000);
// Before the first call: nothing else says it where the process ends.
process.stderr.write(`DAG_HOSTILE_SEED=${seed} DAG_HOSTILE_CALLS=${calls}\n`);

type Call = (h: Hostile) => unknown;

const unary =
  (f: (x: Tensor) => unknown): Call =>
  (h) =>
    f(h.tensor());
const binary =
  (f: (a: Tensor, b: Tensor) => unknown): Call =>
  (h) =>
    f(h.tensor(), h.chance(0.5) ? h.fresh() : h.chance(0.2) ? (h.number() as never) : h.tensor());
const reduction = (h: Hostile): [Tensor, number | number[] | undefined, boolean] => [
  h.tensor(),
  h.or(() => (h.chance(0.3) ? h.dimension() : h.chance(0.5) ? [h.dimension()] : undefined)),
  h.chance(0.3),
];

const settings = (h: Hostile): executor.AdamWOptions =>
  h.or(() => ({
    lr: h.chance(0.6) ? 0.1 : h.chance(0.5) ? h.number() : h.tensor(),
    step: h.chance(0.6) ? 1 : h.chance(0.5) ? h.number() : h.tensor(),
    beta1: h.chance(0.8) ? 0.9 : h.number(),
    beta2: h.chance(0.8) ? 0.9 : h.number(),
    eps: h.chance(0.8) ? 1e-8 : h.number(),
    weightDecay: h.chance(0.8) ? 0 : h.number(),
  }));

/** A parameter and moments that fit, or not. */
function moments(h: Hostile): { parameter: Tensor; m: Tensor; v: Tensor } {
  const parameter = h.tensor();
  const like = (): Tensor => {
    if (!Tensor.is(parameter) || h.chance(0.1)) return h.tensor();
    return executor.zeros(parameter.shape, { dtype: parameter.dtype, device: h.device });
  };
  return h.or(() => ({ parameter, m: like(), v: like() }));
}

const graph = (h: Hostile) =>
  h.or(() => {
    const [size, depth] = [h.pick([0, 1, 2, 3]), h.pick([1, 2, 3])];
    const array = (length: number): Float64Array =>
      h.or(() =>
        Float64Array.from({ length: h.chance(0.04) ? length + 1 : length }, () => h.pick([0, 1, -1, 2, 0.5])),
      );
    return {
      size: h.or(() => size, 0.02),
      depth: h.or(() => depth, 0.02),
      V_mag: array(size * 2 * depth),
      V_sign: array(size * 2 * depth),
      O: array(size * 2 * depth * depth),
      G: array(size * depth),
    };
  });

const graphOptions = (h: Hostile): object =>
  h.or(() => ({
    ...(h.chance(0.9) ? { backend: h.device } : { backend: h.junk() }),
    ...(h.chance(0.3) ? { maxLog: h.number() } : {}),
    ...(h.chance(0.2) ? { out: h.junk() } : {}),
    ...(h.chance(0.2) ? { upstream: h.junk() } : {}),
  }));

/** What a function that takes a function may be given. */
const body = (h: Hostile): (() => unknown) =>
  h.or(() =>
    h.pick<() => unknown>([
      () => executor.square(h.tensor()),
      () => h.tensor(),
      () => ({ y: executor.exp(h.fresh()), list: [h.fresh()] }),
      () => executor.sum(h.tensor()).backward(),
      () => h.junk(),
      async () => {
        await Promise.resolve();
        throw new Error('after the call');
      },
      () => {
        const around: unknown[] = [];
        around.push(around);
        return around;
      },
    ]),
  );

function method(h: Hostile): unknown {
  const t = h.chance(0.7) ? h.tensor() : h.fresh();
  if (!Tensor.is(t)) return new Tensor(h.junk() as never, h.shape(), h.dtype());
  return h.pick<() => unknown>([
    () => t.set(h.chance(0.6) ? new Array<number>(t.size).fill(1) : h.values()),
    () => t.set(h.chance(0.6) ? new Array<number>(t.size).fill(1) : h.values()),
    () => t.data(),
    () => t.dataSync(),
    () => t.dataSync(h.junk() as never),
    () => t.item(),
    () => t.dispose(),
    () => t.detach(),
    () => t.toString(),
    () => JSON.stringify(t.toJSON()),
    () => t.assign(h.tensor()),
    () => t.zeroGrad(),
    () => t.grad,
    () => void (t.grad = h.or(() => (h.chance(0.5) ? h.fresh(t.shape) : h.tensor()))),
    () => void (t.requiresGrad = h.or(() => h.chance(0.7))),
    () => t.backward(),
    () => t.backward(h.fresh(t.shape)),
    () => t.backward(h.tensor()),
    () => executor.sum(t).backward(),
    () => executor.sum(t).backward(),
    () => new Tensor(h.junk() as never, h.shape(), h.dtype()),
  ])();
}

const cases: { readonly [K in keyof typeof executor]: Call } = {
  execute: (h) => executor.execute(graph(h), graphOptions(h)),
  executeWithGradients: (h) => executor.executeWithGradients(graph(h), graphOptions(h)),
  matmulPrecision: () => executor.matmulPrecision(),
  setMatmulPrecision: (h) => setMatmulPrecision(h.or(() => h.pick(['highest', 'high', 'medium'] as const))),
  backendInfo: (h) => executor.backendInfo(h.or(() => h.device, 0.3)),
  setDefaultDevice: (h) => setDefaultDevice(h.or(() => h.device, 0.3)),
  setNumThreads: (h) =>
    setNumThreads(h.or(() => h.pick([1, 2, 3, 0, -1, 1.5, NaN, Infinity, 1e9, 2 ** 31, 2 ** 53]))),
  ExecutorError: () => new ExecutorError('value', 'made by hand').code,
  gradCheck: (h) =>
    executor.gradCheck(
      h.or(() => () => executor.sum(executor.square(h.tensor()))),
      h.or(() => [h.tensor()]),
      h.or(() => (h.chance(0.5) ? {} : { step: h.number(), tolerance: h.number() })),
    ),
  emptyPool: () => executor.emptyPool(),
  memoryStats: () => executor.memoryStats(),
  causalAttention: (h) =>
    executor.causalAttention(
      h.chance(0.6) ? h.fresh([2, 3, 6]) : h.tensor(),
      h.or(() => ({
        heads: h.chance(0.7) ? 2 : h.count(),
        ...(h.chance(0.3) ? { dropout: h.chance(0.5) ? 0.5 : h.number(), seed: h.seed() } : {}),
      })),
    ),
  scaledDotProductAttention: (h) => {
    const side = (): Tensor => (h.chance(0.8) ? h.fresh([2, 3]) : h.tensor());
    return executor.scaledDotProductAttention(
      side(),
      side(),
      side(),
      h.or(() => ({
        ...(h.chance(0.3) ? { isCausal: h.or(() => true) } : {}),
        ...(h.chance(0.3) ? { mask: h.or(() => h.fresh(h.pick([[2, 2], [2], [1], []]))) } : {}),
        ...(h.chance(0.3) ? { bias: h.or(() => h.fresh(h.pick([[2, 2], [2], [3]]))) } : {}),
        ...(h.chance(0.2) ? { scale: h.number() } : {}),
        ...(h.chance(0.2) ? { dropout: h.chance(0.5) ? 0.5 : h.number(), seed: h.seed() } : {}),
      })),
    );
  },
  executeDag: (h) =>
    executor.executeDag(
      h.or(() => ({
        V_mag: h.chance(0.8) ? h.fresh([2, 4]) : h.tensor(),
        V_sign: h.chance(0.8) ? h.fresh([2, 4]) : h.tensor(),
        O: h.chance(0.8) ? h.fresh(h.chance(0.5) ? [2, 4] : [2, 2, 4]) : h.tensor(),
        G: h.chance(0.8) ? h.fresh(h.chance(0.5) ? [2] : [2, 2]) : h.tensor(),
      })),
      h.or(() => (h.chance(0.7) ? {} : { maxLog: h.number() })),
    ),
  add: binary(executor.add),
  sub: binary(executor.sub),
  mul: binary(executor.mul),
  div: binary(executor.div),
  maximum: binary(executor.maximum),
  minimum: binary(executor.minimum),
  pow: binary(executor.pow),
  equal: binary(executor.equal),
  notEqual: binary(executor.notEqual),
  greater: binary(executor.greater),
  greaterEqual: binary(executor.greaterEqual),
  less: binary(executor.less),
  lessEqual: binary(executor.lessEqual),
  logicalAnd: binary(executor.logicalAnd),
  logicalNot: unary(executor.logicalNot),
  where: (h) =>
    executor.where(
      h.tensor(),
      h.chance(0.3) ? h.number() : h.chance(0.5) ? h.fresh() : h.tensor(),
      h.chance(0.3) ? h.number() : h.chance(0.5) ? h.fresh() : h.tensor(),
    ),
  max: (h) => executor.max(...reduction(h)),
  min: (h) => executor.min(...reduction(h)),
  argmax: (h) => executor.argmax(h.tensor(), h.chance(0.5) ? undefined : h.dimension(), h.chance(0.3)),
  argmin: (h) => executor.argmin(h.tensor(), h.chance(0.5) ? undefined : h.dimension(), h.chance(0.3)),
  abs: unary(executor.abs),
  exp: unary(executor.exp),
  log: unary(executor.log),
  sqrt: unary(executor.sqrt),
  square: unary(executor.square),
  tanh: unary(executor.tanh),
  sigmoid: unary(executor.sigmoid),
  softplus: unary(executor.softplus),
  gelu: unary(executor.gelu),
  geluTanh: unary(executor.geluTanh),
  silu: unary(executor.silu),
  relu: unary(executor.relu),
  sin: unary(executor.sin),
  cos: unary(executor.cos),
  sign: unary(executor.sign),
  neg: unary(executor.neg),
  affine: (h) => executor.affine(h.tensor(), h.number(), h.number()),
  clamp: (h) => executor.clamp(h.tensor(), h.number(), h.number()),
  huber: (h) => executor.huber(h.tensor(), h.number()),
  cast: (h) => executor.cast(h.tensor(), h.dtype()),
  dropout: (h) => executor.dropout(h.tensor(), h.chance(0.6) ? 0.5 : h.number(), h.seed()),
  embedding: (h) =>
    executor.embedding(
      h.chance(0.6) ? h.fresh([2, 3]) : h.tensor(),
      h.chance(0.6) ? h.fresh([2]) : h.tensor(),
      h.or(() => ({
        ...(h.chance(0.3) ? { positions: h.chance(0.7) ? h.fresh([2, 3]) : h.tensor() } : {}),
        ...(h.chance(0.3) ? { dropout: h.chance(0.5) ? 0.5 : h.number(), seed: h.seed() } : {}),
      })),
    ),
  gather: (h) => executor.gather(h.fresh([2, 3]), h.chance(0.7) ? h.fresh([2]) : h.tensor()),
  crossEntropy: (h) => executor.crossEntropy(h.fresh([2, 3]), h.chance(0.7) ? h.fresh([2]) : h.tensor()),
  linear: (h) =>
    executor.linear(
      h.chance(0.6) ? h.fresh([2, 3]) : h.tensor(),
      h.chance(0.6) ? h.fresh([2, 3]) : h.tensor(),
      h.or(() => (h.chance(0.6) ? null : h.fresh([2]))),
      h.or(() => ({
        ...(h.chance(0.3) ? { activation: h.or(() => h.pick(['gelu', 'geluTanh'] as const)) } : {}),
        ...(h.chance(0.3) ? { dropout: h.chance(0.5) ? 0.5 : h.number(), seed: h.seed() } : {}),
        ...(h.chance(0.3) ? { residual: h.chance(0.7) ? h.fresh([2, 2]) : h.tensor() } : {}),
        ...(h.chance(0.3) ? { dtype: h.dtype() } : {}),
      })),
    ),
  matmul: binary(executor.matmul),
  layerNorm: (h) =>
    executor.layerNorm(
      h.tensor(),
      h.fresh([3]),
      h.or(() => (h.chance(0.5) ? null : h.fresh([3]))),
      h.chance(0.8) ? 1e-5 : h.number(),
      h.or(() => (h.chance(0.7) ? {} : { dtype: h.dtype() })),
    ),
  logSoftmax: unary(executor.logSoftmax),
  softmax: unary(executor.softmax),
  adamW: (h) => {
    const { parameter, m, v } = Object(moments(h)) as Partial<ReturnType<typeof moments>>;
    executor.adamW(parameter!, m!, v!, settings(h));
  },
  adamWAll: (h) =>
    executor.adamWAll(
      h.or(() => [moments(h), moments(h)]),
      settings(h),
    ),
  clipGradNorm: (h) =>
    executor.clipGradNorm(
      h.or(() => [h.tensor(), h.tensor()]),
      h.number(),
    ),
  cumprod: (h) => executor.cumprod(h.tensor(), h.dimension()),
  cumsum: (h) => executor.cumsum(h.tensor(), h.dimension()),
  mean: (h) => executor.mean(h.tensor(), h.chance(0.5) ? undefined : h.dimension(), h.chance(0.3)),
  sum: (h) => executor.sum(...reduction(h)),
  cat: (h) =>
    executor.cat(
      h.or(() => [h.tensor(), h.tensor()]),
      h.dimension(),
    ),
  stack: (h) =>
    executor.stack(
      h.or(() => [h.tensor(), h.tensor()]),
      h.dimension(),
    ),
  expand: (h) => executor.expand(h.tensor(), h.shape()),
  narrow: (h) => executor.narrow(h.tensor(), h.dimension(), h.count(), h.count()),
  permute: (h) =>
    executor.permute(
      h.tensor(),
      h.or(() => h.pick([[], [0], [1, 0], [0, 1], [2, 0, 1], [0, 0]])),
    ),
  reshape: (h) =>
    executor.reshape(h.tensor(), h.chance(0.5) ? h.pick([[-1], [-1, 1], [1, -1], [-1, -1]]) : h.shape()),
  slice: (h) =>
    executor.slice(
      h.tensor(),
      h.dimension(),
      h.chance(0.3) ? undefined : h.count(),
      h.chance(0.3) ? undefined : h.count(),
      h.chance(0.5) ? undefined : h.pick([1, 2, -1, -2, 0, 0.5]),
    ),
  split: (h) =>
    executor.split(
      h.tensor(),
      h.or(() => h.count()),
      h.dimension(),
    ),
  transpose: (h) => executor.transpose(h.tensor(), h.dimension(), h.dimension()),
  squeeze: (h) => executor.squeeze(h.tensor(), h.chance(0.5) ? undefined : h.dimension()),
  unsqueeze: (h) => executor.unsqueeze(h.tensor(), h.dimension()),
  arange: (h) =>
    executor.arange(
      h.pick([0, 2, NaN]),
      h.pick([0, 1, 5, -3]),
      h.pick([1, 0.5, -1, 0, NaN, 1e-300]),
      h.options(),
    ),
  linspace: (h) =>
    executor.linspace(h.number(), h.number(), h.pick([0, 1, 3, -1, 0.5, 2 ** 40]), h.options()),
  eye: (h) =>
    executor.eye(
      h.pick([0, 1, 3, -1, 0.5, 2 ** 40]),
      h.chance(0.5) ? undefined : h.pick([0, 2, 2 ** 45]),
      h.options(),
    ),
  rand: (h) =>
    executor.rand(
      h.shape(),
      h.or(() => ({ ...h.options(), seed: h.or(() => [1, h.pick([0, 1, -1, 0.5])] as const) })),
    ),
  SGD: (h) => {
    const sgd = new executor.SGD(
      h.or(() => [h.tensor(), h.fresh()]),
      h.or(() => ({ lr: h.number(), momentum: h.pick([0, 0.9]), weightDecay: h.pick([0, 0.1, NaN]) })),
    );
    sgd.zeroGrad();
    sgd.step();
    sgd.load(h.or(() => sgd.state()));
  },
  AdamW: (h) => {
    const adam = new executor.AdamW(
      h.or(() => [h.tensor()]),
      h.or(() => ({ lr: h.number() })),
    );
    adam.lr = h.or(() => 0.1);
    adam.step();
    adam.load(h.or(() => adam.state()));
  },
  select: (h) => executor.select(h.tensor(), h.dimension(), h.count()),
  recordStep: (h) => {
    const other = h.fresh();
    const step = executor.recordStep(
      h.or(() => ({ x, lr }: Record<'x' | 'lr', Tensor>) => {
        const y = executor.mul(executor.square(x), lr.dtype === x.dtype ? lr : other);
        if (h.chance(0.1)) y.item();
        if (h.chance(0.1)) other.set(new Array<number>(other.size).fill(1));
        return h.chance(0.05) ? Promise.reject(new Error('later')) : { y };
      }),
    );
    try {
      const inputs = h.or(() => ({
        x: executor.ones([2], { dtype: h.dtype(), device: h.device }),
        lr: h.number(),
      }));
      for (let call = h.below(4); call > 0; call--) step(inputs);
      return step(inputs);
    } finally {
      step.release();
    }
  },
  full: (h) => executor.full(h.shape(), h.number(), h.options()),
  ones: (h) => executor.ones(h.shape(), h.options()),
  zeros: (h) => executor.zeros(h.shape(), h.options()),
  randn: (h) =>
    executor.randn(
      h.shape(),
      h.or(() => ({
        ...h.options(),
        seed: h.seed() as never,
        ...(h.chance(0.3) ? { std: h.number() } : {}),
      })),
    ),
  tensor: (h) =>
    executor.tensor(
      h.chance(0.3) ? [h.values(2), h.values(2)] : h.values(),
      h.chance(0.5) ? undefined : h.shape(),
      h.options(),
    ),
  noGrad: (h) => executor.noGrad(body(h)),
  scope: (h) => executor.scope(body(h)),
  Tensor: method,
};

/** Of the functions above: those by which the others come to many states are called more often. */
const names = Object.keys(cases) as (keyof typeof executor)[];
const OFTEN = 0.25;

/** A tensor that can be read, with as many numbers of its kind as its shape has. */
function checkWellFormed(value: unknown): void {
  if (!Tensor.is(value)) {
    if (Array.isArray(value)) value.forEach((v) => v !== value && checkWellFormed(v));
    return;
  }
  expect(value.shape.every((n) => Number.isSafeInteger(n) && n >= 0)).toBe(true);
  if (value.buffer.storage === null) return;
  const kind = { f32: Float32Array, f64: Float64Array, i32: Int32Array, bf16: Float32Array }[value.dtype];
  const data = value.dataSync();
  expect(data).toBeInstanceOf(kind);
  expect(data).toHaveLength(value.size);
}

it('has a case for each exported function', () => {
  expect(Object.keys(executor).sort()).toEqual([...names].sort());
});

describe.each(devices)('on %s', (device) => {
  it(`gives a well-formed result or an ExecutorError, from seed ${seed}`, async () => {
    const h = new Hostile(
      device,
      devices.filter((other) => other !== device),
      seed,
    );
    h.make = (values, shape, dtype) => tensor(values, shape, { dtype, device });
    const memory = guardMemory(device);
    let well = 0;
    const count = Math.ceil(calls / devices.length);
    try {
      setDefaultDevice(device);
      for (let i = 0; i < count; i++) {
        const name = h.chance(OFTEN) ? 'Tensor' : h.pick(names);
        try {
          if (h.chance(0.15)) h.keep(h.fresh());
          const result = await cases[name](h);
          h.keep(result);
          checkWellFormed(result);
          well++;
        } catch (error) {
          if (!(error instanceof ExecutorError))
            throw new Error(`call ${i}, ${name}, from seed ${seed}: ${String(error)}`, { cause: error });
        }
        try {
          memory.check();
        } catch (error) {
          throw new Error(`call ${i}, ${name}, from seed ${seed}`, { cause: error });
        }
      }
    } finally {
      memory.end();
      setDefaultDevice(undefined);
      setMatmulPrecision('highest');
      setNumThreads(2);
    }
    // Most arguments fit: otherwise nothing but the checks would be tried.
    expect(well).toBeGreaterThan(count / 3);
  }, 120_000);
});
