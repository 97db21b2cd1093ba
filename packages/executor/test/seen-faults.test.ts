/** What a kernel alone can see, or a later call brings, is an error or NaN, not a number that looks right. */
import { describe, expect, it } from '@jest/globals';
import { backendOf } from '../src/devices.js';
import { allocate, emptyPool, release } from '../src/memory.js';
import {
  adamW,
  cast,
  crossEntropy,
  cumsum,
  embedding,
  ExecutorError,
  executeDag,
  gather,
  matmul,
  maximum,
  minimum,
  ones,
  permute,
  randn,
  recordStep,
  split,
  sum,
  tensor,
  zeros,
  type Tensor,
} from '../src/index.js';
import { codeOf } from './code-of.js';
import { devices } from './devices.js';

describe.each(devices)('on %s', (device) => {
  it.each([-2, 2, 2 ** 31 - 1])(
    'an index of %d that the device made is an error, or gives NaN and no gradient',
    (i) => {
      const x = ones([2, 2], { device, requiresGrad: true });
      const index = cast(tensor([i, 0], [2], { device, dtype: 'f64' }), 'i32');
      // Of the index 0 alone. The mean of crossEntropy is that of all targets from 0.
      const mean = i < 0 ? 1 : 2;
      const gradients = [
        [gather, [0, 0, 1, 0]],
        [embedding, [1, 1, 0, 0]],
        [crossEntropy, [0, 0, -0.5 / mean, 0.5 / mean]],
      ] as const;
      for (const [op, gradient] of gradients) {
        let result: Tensor | undefined;
        const thrown = codeOf(() => (result = op(x, index)));
        if (!result) {
          expect(thrown).toBe('value');
          continue;
        }
        expect(result.dataSync()[0]).toBeNaN();
        x.zeroGrad();
        for (const times of [1, 2]) {
          sum(result).backward();
          expect([...x.grad!.dataSync()]).toEqual(gradient.map((g) => times * g));
        }
      }
    },
  );

  it('the sides of a tensor of no elements cost neither memory nor time', () => {
    const x = zeros([0, 2 ** 45], { device, requiresGrad: true });
    expect(cumsum(x, 0).shape).toEqual(x.shape);
    sum(matmul(x, permute(x, [1, 0]))).backward();
    expect(x.grad!.shape).toEqual(x.shape);
    expect(codeOf(() => split(x, 1, 1))).toBe('shape');
  });

  it('more random numbers than memory has room for are an error of memory', () => {
    expect(codeOf(() => randn([5, 2 ** 45], { seed: [1, 2], device }))).toBe('memory');
  });

  it.each([
    { lr: NaN, step: 1 },
    { lr: -1, step: 1 },
    { lr: 1, step: 0 },
    { lr: 1, step: 1.5 },
  ])('a recorded step refuses lr $lr and step $step in every call', ({ lr, step }) => {
    const p = ones([2], { device, requiresGrad: true });
    const [m, v] = [zeros([2], { device }), zeros([2], { device })];
    const run = recordStep((inputs: Record<'x' | 'lr' | 'step', Tensor>) => {
      p.zeroGrad();
      sum(p).backward();
      adamW(p, m, v, { lr: inputs.lr, step: inputs.step, beta1: 0.9, beta2: 0.9, eps: 1e-8, weightDecay: 0 });
    });
    const x = ones([1], { device });
    for (let call = 1; call < 4; call++) run({ x, lr: 0.1, step: call });
    const before = p.dataSync();
    expect(codeOf(() => run({ x, lr, step }))).toBe('value');
    expect(p.dataSync()).toEqual(before);
    run.release();
  });

  it('an infinite gradient goes to the larger operand of maximum and minimum, and is no NaN for the other', () => {
    for (const op of [maximum, minimum]) {
      const a = tensor([1, 2], [2], { device, requiresGrad: true });
      const b = tensor([2, 1], [2], { device, requiresGrad: true });
      op(a, b).backward(tensor([Infinity, -Infinity], [2], { device }));
      const expected = op === maximum ? [0, -Infinity, Infinity, 0] : [Infinity, 0, 0, -Infinity];
      expect([...a.grad!.dataSync(), ...b.grad!.dataSync()]).toEqual(expected);
    }
  });

  it('what is out of memory is asked for again once the pool is empty', () => {
    const backend = backendOf(device);
    release(allocate(backend, 'f32', 100, null));
    const own = backend.allocate.bind(backend);
    let failures = 0;
    backend.allocate = (dtype, length) => {
      if (failures++ === 0) throw new ExecutorError('memory', 'none left');
      return own(dtype, length);
    };
    try {
      expect(zeros([1000], { device }).size).toBe(1000);
      emptyPool();
      failures = 0;
      expect(codeOf(() => zeros([102], { device }))).toBe('memory');
    } finally {
      backend.allocate = own;
    }
  });

  it('gradients of a shared plan in f32 are summed in double', () => {
    const rows = 3000;
    // value = O · V_mag with V_mag = 1e4 + row: an f32 sum of these loses whole numbers from 2^24 on.
    const sizes = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 ? 0 : 1e4 + i / 2));
    const O = tensor([1, 0], [1, 2], { device, requiresGrad: true });
    const values = executeDag({
      V_mag: tensor(sizes, [rows, 2], { device }),
      V_sign: ones([rows, 2], { device }),
      O,
      G: ones([1], { device }),
    });
    sum(values).backward();
    const exact = sizes.reduce((total, x) => total + x, 0);
    expect(O.grad!.dataSync()[0]).toBe(Math.fround(exact));
  });
});
