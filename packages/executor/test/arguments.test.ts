import { describe, expect, it } from '@jest/globals';
import {
  adamW,
  adamWAll,
  add,
  argmax,
  argmin,
  cast,
  causalAttention,
  clipGradNorm,
  crossEntropy,
  cumprod,
  cumsum,
  div,
  dropout,
  embedding,
  execute,
  executeDag,
  executeWithGradients,
  exp,
  expand,
  full,
  gather,
  gelu,
  gradCheck,
  huber,
  linear,
  logSoftmax,
  max,
  mean,
  min,
  mul,
  noGrad,
  ones,
  randn,
  recordStep,
  relu,
  reshape,
  scope,
  silu,
  softmax,
  softplus,
  square,
  sub,
  sum,
  Tensor,
  tensor,
  zeros,
  type AdamWOptions,
  type ExecutorErrorCode,
} from '../src/index.js';
import { devices } from './devices.js';

const error = (code: ExecutorErrorCode, message: RegExp): unknown =>
  expect.objectContaining({ name: 'ExecutorError', code, message: expect.stringMatching(message) });
/** As callers from JavaScript write it. */
const untyped = (value: unknown): never => value as never;

describe('tensor', () => {
  it('takes nested arrays, whose nesting is the shape', () => {
    const t = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect([t.shape, t.dtype, Array.from(t.dataSync())]).toEqual([[2, 3], 'f32', [1, 2, 3, 4, 5, 6]]);
    const rows = tensor([Float64Array.of(0.1), Float64Array.of(0.2)]);
    expect([rows.shape, rows.dtype, rows.dataSync()[1]]).toEqual([[2, 1], 'f64', 0.2]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
    expect(tensor([[1], [2]], [2]).shape).toEqual([2]);
  });

  it('takes a number, and options in place of a shape', () => {
    const scalar = tensor(3);
    expect([scalar.shape, scalar.dtype, scalar.item()]).toEqual([[], 'f32', 3]);
    expect(tensor(3, [1, 1]).shape).toEqual([1, 1]);
    const whole = tensor([1, 2], { dtype: 'i32' });
    expect([whole.shape, whole.dtype]).toEqual([[2], 'i32']);
    expect(() => tensor([1], untyped({ dtyp: 'i32' }))).toThrow(error('value', /did you mean 'dtype'/));
    expect(() => tensor([1], untyped({}), {})).toThrow(error('shape', /a shape is an array of sizes/));
  });

  it.each<[string, unknown, ExecutorErrorCode, RegExp]>([
    [
      'ragged rows',
      [[1, 2], [3]],
      'shape',
      /nested arrays have equal lengths.*2 at depth 1; one is an array of 1/,
    ],
    ['rows beside numbers', [1, [2]], 'value', /element 1 is a number, given an array of 1/],
    ['words', ['a'], 'value', /element 0 is a number, given 'a'/],
    ['holes', new Array<number>(2), 'value', /element 0 is a number, given undefined/],
    ['big integers', BigInt64Array.of(1n), 'value', /element 0 is a number, given 1/],
    ['a proxy of a typed array', new Proxy(new Float64Array(2), {}), 'value', /takes an array of numbers/],
    ['a word', '5', 'value', /takes an array of numbers, given '5'/],
  ])('refuses %s', (_, values, code, message) => {
    expect(() => tensor(untyped(values))).toThrow(error(code, message));
  });

  it.each([NaN, 1.9, 3e9, -Infinity])('refuses %p as a number of i32, and so do set and full', (value) => {
    const whole = error('value', /i32 holds whole numbers/);
    expect(() => tensor([value], [1], { dtype: 'i32' })).toThrow(whole);
    expect(() => tensor([0], [1], { dtype: 'i32' }).set([value])).toThrow(whole);
    expect(() => full([1], value, { dtype: 'i32' })).toThrow(whole);
  });

  it('refuses an array that contains itself', () => {
    const around: unknown[] = [];
    around.push(around);
    expect(() => tensor(untyped(around))).toThrow(error('shape', /nested up to 32 deep/));
  });

  it('keeps its shape where the array that it was given as changes', () => {
    const shape = [2];
    const t = zeros(shape);
    shape[0] = 1000;
    expect(t.shape).toEqual([2]);
  });

  it('of more memory than there is, is an error that says how much', () => {
    expect(() => zeros([2 ** 45])).toThrow(error('memory', /1407374883\d+ bytes/));
    scope(() => zeros([1]).size);
    // Sizes of the pool's blocks end at 2^53: a search for a larger one ended never.
    for (const size of [5 * 2 ** 45, 15 * 2 ** 45, 2 ** 51 - 1])
      expect(() => zeros([size])).toThrow(error('memory', /bytes/));
    expect(() => zeros([2 ** 30, 2 ** 30])).toThrow(error('shape', /multiply to more than 2\^53/));
    expect(() => expand(zeros([1]), [2 ** 52])).toThrow(error('memory', /bytes/));
  });
});

describe.each(devices)('on %s', (device) => {
  const f32 = (values: number[]): Tensor => tensor(values, [values.length], { device });
  const options: AdamWOptions = { lr: 0.1, step: 1, beta1: 0.9, beta2: 0.9, eps: 1e-8, weightDecay: 0 };

  it('converts to i32 as typed arrays do', () => {
    const values = [1.9, -1.9, NaN, Infinity, 3e9, -3e9, 2 ** 40 + 5];
    const x = tensor(Float64Array.from(values), [values.length], { device });
    expect(Array.from(cast(x, 'i32').dataSync())).toEqual(Array.from(Int32Array.from(values)));
  });

  it('refuses a gradient that is not like its tensor', () => {
    const p = zeros([500_000], { device });
    expect(() => (p.grad = f32([1, 2, 3]))).toThrow(error('shape', /grad: .*\(3\) .*\(500000\)/));
    expect(() => (p.grad = zeros([500_000], { dtype: 'f64', device }))).toThrow(
      error('dtype', /grad: .*f64/),
    );
    expect(() => (p.grad = untyped([1]))).toThrow(error('value', /takes tensors, given an array of 1/));
    expect(p.grad).toBeNull();
  });

  it('refuses an optimiser whose tensors share memory, or do not fit', () => {
    const [p, m, v] = [f32([1]), f32([0]), f32([0])];
    p.grad = f32([1]);
    expect(() => adamW(p, m, m.detach(), options)).toThrow(error('value', /share memory/));
    expect(() =>
      adamWAll(
        [
          { parameter: p, m, v },
          { parameter: p, m: f32([0]), v: f32([0]) },
        ],
        options,
      ),
    ).toThrow(error('value', /share memory/));
    expect(() => adamW(p, m, f32([0, 0]), options)).toThrow(error('shape', /moments/));
    expect(() => adamW(p, p.grad!, v, options)).toThrow(error('value', /gradient .* shares memory/));
  });

  it.each<[keyof AdamWOptions, number]>([
    ['lr', NaN],
    ['lr', -1],
    ['step', 0],
    ['step', 1.5],
    ['beta1', 1],
    ['beta2', -0.1],
    ['eps', -1e-8],
    ['eps', 0],
    ['weightDecay', Infinity],
    ['maxNorm', -1],
    ['maxNorm', NaN],
  ])('adamW refuses %s = %p', (name, value) => {
    const [p, m, v] = [f32([1]), f32([0]), f32([0])];
    p.grad = f32([1]);
    expect(() => adamW(p, m, v, { ...options, [name]: value })).toThrow(
      error('value', new RegExp(`^adamW: ${name} is`)),
    );
    expect(p.item()).toBe(1);
  });

  it('adamW clips no gradients where there are none', () => {
    const list = [{ parameter: f32([1]), m: f32([0]), v: f32([0]) }];
    for (const parameters of [[], list])
      expect(() => adamWAll(parameters, { ...options, maxNorm: 1 })).toThrow(
        error('autograd', /^adamW: .*backward/),
      );
    expect(adamWAll(list, options)).toBeNull();
    const worse = [{ ...list[0]!, weightDecay: -1 }];
    expect(() => adamWAll(worse, options)).toThrow(error('value', /^adamW: weightDecay is/));
  });

  it.each([NaN, -1])('clipGradNorm refuses a norm of %p', (maxNorm) => {
    const p = f32([1]);
    p.grad = f32([3]);
    expect(() => clipGradNorm([p], maxNorm)).toThrow(
      error('value', /^clipGradNorm: maxNorm is a number from 0/),
    );
    expect(p.grad.item()).toBe(3);
  });

  it.each(['f32', 'f64'] as const)(
    'clips gradients at the largest finite %s to the norm that is asked for',
    (dtype) => {
      const largest = dtype === 'f32' ? (2 - 2 ** -23) * 2 ** 127 : Number.MAX_VALUE;
      const p = zeros([4], { dtype, device });
      p.grad = tensor(Float64Array.of(largest, -largest, largest / 2, 1), [4], { dtype, device });
      // The norm is a double: √(1 + 1 + ¼) times the largest f32 is one, times the largest f64 is none.
      expect(clipGradNorm([p], 1).item()).toBe(1.5 * largest);
      const clipped = Array.from(p.grad.dataSync());
      expect(Math.hypot(...clipped)).toBeCloseTo(1, 5);
      expect(clipped[0]! / clipped[2]!).toBeCloseTo(2, 5);
      // One alone has a finite norm.
      p.grad = tensor(Float64Array.of(largest, 0, 0, 1), [4], { dtype, device });
      expect(clipGradNorm([p], Infinity).item()).toBe(largest);
    },
  );

  it.each([NaN, Infinity])('leaves gradients as they are where one is %p, which the norm says', (value) => {
    const [p, q] = [f32([0]), f32([0])];
    p.grad = f32([value]);
    q.grad = f32([3]);
    expect(clipGradNorm([p, q], 1).item()).toBe(value);
    expect([p.grad.item(), q.grad.item()]).toEqual([value, 3]);
  });

  it('clips a gradient once where its parameter is given twice', () => {
    const p = f32([0]);
    p.grad = f32([10]);
    expect(clipGradNorm([p, p], 1).item()).toBe(10);
    expect(p.grad.item()).toBeCloseTo(1, 5);
  });

  const isSlow = device === 'cuda' && process.env['DAG_TEST_CUDA'] !== 'device';
  const sumsIt = isSlow ? it.skip : it;
  sumsIt(`adds up in double${isSlow ? ' (skipped: the emulator takes long)' : ''}`, () => {
    const n = 2 ** 24 + 2 ** 12;
    expect(mean(ones([n], { device })).item()).toBe(1);
    const scale = ones([1], { device });
    scale.requiresGrad = true;
    sum(expand(scale, [n])).backward();
    expect(scale.grad!.item()).toBe(n);
  });
});

describe('options', () => {
  const one = ones([1]);
  const x = full([1], 2, { dtype: 'f64', requiresGrad: true });
  const graph = { V_mag: ones([2]), V_sign: ones([2]), O: zeros([1, 2]), G: ones([1]) };
  it.each<[string, string, (options: never) => unknown, object]>([
    ['tensor', 'device', (o) => tensor([1], [1], o), { devise: 'reference' }],
    ['tensor', 'requiresGrad', (o) => zeros([1], o), { requiredGrad: true }],
    ['randn', 'std', (o) => randn([1], o), { seed: [1, 2], sd: 1 }],
    ['linear', 'dropout', (o) => linear(one, ones([1, 1]), null, o), { dropOut: 0.5 }],
    ['causalAttention', 'heads', (o) => causalAttention(ones([1, 1, 3]), o), { head: 1 }],
    [
      'embedding',
      'positions',
      (o) => embedding(ones([1, 1]), tensor([0], [1], { dtype: 'i32' }), o),
      { position: one },
    ],
    ['execute', 'out', (o) => execute({ depth: 1, size: 0 } as never, o), { ouput: null }],
    ['executeWithGradients', 'upstream', (o) => executeWithGradients({} as never, o), { upsteam: null }],
    ['executeDag', 'maxLog', (o) => executeDag(graph, o), { maxlog: 100 }],
    ['gradCheck', 'tolerance', (o) => gradCheck(() => sum(x), [x], o), { tolerence: 1 }],
    ['adamW', 'weightDecay', (o) => adamW(one, zeros([1]), zeros([1]), o), { weightdecay: 0 }],
  ])('of %s that it does not have are an error that names the nearest, %s', (op, near, act, wrong) => {
    const [key] = Object.keys(wrong).slice(-1);
    const said = new RegExp(
      `^${op}: there is no option '${key}'; did you mean '${near}'\\? Options are .*${near}`,
    );
    expect(() => act(untyped(wrong))).toThrow(error('value', said));
  });
});

it('options of another kind are an error that names those that there are, none of them as meant', () => {
  const act = (): unknown => execute({ depth: 1, size: 0 } as never, untyped({ device: 'cpu' }));
  expect(act).toThrow(
    error('value', /^execute: there is no option 'device'\. Options are backend, maxLog, out$/),
  );
});

describe('functions that take a function', () => {
  const rejects = async (): Promise<void> => {
    await Promise.resolve();
    throw new Error('later');
  };

  it('refuse one that is async, whose rejection is handled', async () => {
    expect(() => noGrad(rejects)).toThrow(error('value', /^noGrad: .*promise.*would record a tape/));
    expect(() => scope(rejects)).toThrow(error('value', /^scope: .*promise.*escape the scope/));
    expect(() => recordStep(rejects)({})).toThrow(error('value', /^recordStep: .*promise/));
    // Jest fails a test in which a rejection is left unhandled.
    await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it('refuse what is no function', () => {
    expect(() => noGrad(untyped(null))).toThrow(error('value', /^noGrad: takes a function, given null/));
  });
});

it('linear needs x and weight, whatever else is left out', () => {
  expect(() => linear(untyped(null), ones([1, 1]))).toThrow(
    error('value', /^linear: takes tensors, given null/),
  );
});

describe('arguments after those that an op takes', () => {
  const x = tensor([[1, 2], [3, 5]]); // prettier-ignore
  const indices = tensor([0, 1], { dtype: 'i32' });

  it.each<[string, (...args: never[]) => Tensor, unknown[]]>([
    ['gelu', gelu, [x, { approximate: 'tanh' }]],
    ['softplus', softplus, [x, 2]],
    ['relu', relu, [x, true]],
    ['add', add, [x, x, { alpha: 2 }]],
    ['sub', sub, [x, x, 2]],
    ['silu', silu, [x, true]],
    ['div', div, [x, x, { roundingMode: 'floor' }]],
    ['huber', huber, [x, 1, 'mean']],
    ['dropout', dropout, [x, 0.5, [1, 2], false]],
    ['softmax', softmax, [x, 0, 'f64']],
    ['logSoftmax', logSoftmax, [x, undefined, 'f64']],
    ['sum', sum, [x, 0, true, 'f64']],
    ['mean', mean, [x, 0, true, 'f64']],
    ['cumsum', cumsum, [x, 0, 'f64']],
    ['cumprod', cumprod, [x, 0, 'f64']],
    ['crossEntropy', crossEntropy, [x, indices, { reduction: 'sum' }]],
    ['gather', gather, [x, indices, 1]],
  ])('are an error of %s', (op, run, args) => {
    expect(() => run(...(args as never[]))).toThrow(
      error('value', new RegExp(`^${op}: takes no further arg`)),
    );
  });

  it('may be those that map and reduce add', () => {
    expect([x, x].map(relu)).toHaveLength(2);
    expect([x, x, x].reduce(add).toJSON().values).toEqual([[3, 6], [9, 15]]); // prettier-ignore
    expect([x].map((t) => sum(t, undefined, undefined).item())).toEqual([11]);
  });

  it('of reductions are true or false for keepDim', () => {
    for (const reduce of [sum, mean, max, min, argmax, argmin])
      expect(() => reduce(x, 0, untyped({ keepdim: false }))).toThrow(
        error('value', /keepDim is true or false, given an object/),
      );
  });
});

it.each([softmax, logSoftmax])('%p is over any dimension, and passes gradients there', (op) => {
  const x = randn([2, 3, 4], { seed: [1, 2], dtype: 'f64' });
  x.requiresGrad = true;
  const isLog = op === logSoftmax;
  for (const dim of [0, 1, 2, -2]) {
    const sums = sum(isLog ? exp(op(x, dim)) : op(x, dim), dim);
    for (const total of sums.dataSync()) expect(total).toBeCloseTo(1, 12);
    const { maxError } = gradCheck(() => sum(mul(op(x, dim), square(x))), [x]);
    expect(maxError).toBeLessThan(1e-6);
  }
  expect(op(x).toJSON()).toEqual(op(x, 2).toJSON());
  for (const dim of [3, 0.5, { dim: 0 }, 'x'])
    expect(() => op(x, untyped(dim))).toThrow(error('shape', /softmax: dimension .* is outside a tensor/i));
});

it('reshape takes one −1', () => {
  expect(() => reshape(ones([4]), [-1, -1])).toThrow(error('shape', /one size may be −1/));
  expect(() => reshape(ones([0]), [0, -1])).toThrow(error('shape', /one size may be −1/));
});

it('a tensor is made by functions of this package alone', () => {
  expect(() => new Tensor(untyped({ storage: null }), [1], 'f32')).toThrow(
    error('value', /not by its constructor/),
  );
  class Other {
    readonly shape = [1];
  }
  Object.defineProperty(Other, 'name', { value: 'Tensor' });
  expect(() => square(untyped(new Other()))).toThrow(
    error('value', /a Tensor of another copy of @dag\/executor/),
  );
  expect(() => square(untyped(Object.create(Tensor.prototype)))).toThrow(error('value', /takes tensors/));
});
