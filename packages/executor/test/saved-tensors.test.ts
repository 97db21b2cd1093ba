import { describe, expect, it } from '@jest/globals';
import {
  adamW,
  add,
  causalAttention,
  clipGradNorm,
  crossEntropy,
  dropout,
  embedding,
  executeDag,
  exp,
  gather,
  layerNorm,
  linear,
  matmul,
  maximum,
  mul,
  ones,
  recordStep,
  reshape,
  scope,
  softmax,
  square,
  sum,
  tensor,
  zeros,
  type Tensor,
} from '../src/index.js';
import { record } from '../src/tape.js';
import { empty } from '../src/tensor.js';
import { devices } from './devices.js';

const refused = (code: 'autograd' | 'released', message: RegExp): unknown =>
  expect.objectContaining({ name: 'ExecutorError', code, message: expect.stringMatching(message) });

describe.each(devices)('on %s', (device) => {
  const f64 = (values: number[], shape = [values.length], requiresGrad = false): Tensor =>
    tensor(Float64Array.from(values), shape, { device, requiresGrad });
  const leaf = (values: number[], shape = [values.length]): Tensor => f64(values, shape, true);
  const ids = (...values: number[]): Tensor => tensor(Int32Array.from(values), [values.length], { device });

  /** An op that saves `saved`, whose name in the message is `name`. */
  const cases: readonly [op: string, name: string, make: () => { y: Tensor; saved: Tensor }][] = [
    ['square', 'x', () => onLeaf(leaf([3]), square)],
    [
      'exp',
      'y',
      () => {
        const y = exp(leaf([1]));
        return { y, saved: y };
      },
    ],
    ['mul', 'b', () => withOther(f64([2]), (b) => mul(leaf([3]), b))],
    ['maximum', 'b', () => withOther(f64([2]), (b) => maximum(leaf([3]), b))],
    ['matmul', 'a', () => withOther(f64([1, 2], [1, 2]), (a) => matmul(a, leaf([1, 2], [2, 1])))],
    ['linear', 'x', () => withOther(f64([1, 2], [1, 2]), (x) => linear(x, leaf([1, 2], [1, 2])))],
    ['layerNorm', 'weight', () => withOther(f64([1, 2]), (w) => layerNorm(leaf([1, 2], [1, 2]), w))],
    [
      'softmax',
      'y',
      () => {
        const y = softmax(leaf([1, 2]));
        return { y, saved: y };
      },
    ],
    ['embedding', 'index', () => withOther(ids(1), (i) => embedding(leaf([1, 2], [2, 1]), i))],
    ['gather', 'index', () => withOther(ids(1), (i) => gather(leaf([1, 2], [1, 2]), i))],
    ['crossEntropy', 'targets', () => withOther(ids(1), (i) => crossEntropy(leaf([1, 2], [1, 2]), i))],
    ['dropout', 'seed', () => withOther(f64([1]), (seed) => dropout(leaf([1, 2]), 0.5, [seed, 0]))],
    [
      'causalAttention',
      'qkv',
      () => onLeaf(leaf([1, 2, 3], [1, 1, 3]), (qkv) => causalAttention(qkv, { heads: 1 })),
    ],
    [
      'executeDag',
      'V_mag',
      () =>
        withOther(f64([3, 0]), (V_mag) =>
          executeDag({ V_mag, V_sign: f64([1, 1]), O: leaf([1, 0], [1, 2]), G: f64([1]) }),
        ),
    ],
  ];
  function onLeaf(saved: Tensor, f: (x: Tensor) => Tensor) {
    return { y: f(saved), saved };
  }
  const withOther = onLeaf;

  it.each(cases)('%s refuses backward where its %s was changed', (op, name, make) => {
    const { y, saved } = make();
    saved.set(new Array<number>(saved.size).fill(0));
    expect(() => sum(y).backward()).toThrow(
      refused('autograd', new RegExp(`^backward of ${op}: its tensor ${name} .*changed in place by set`)),
    );
  });

  it.each(cases)('%s refuses backward where its %s was released', (op, name, make) => {
    const { y, saved } = make();
    const total = sum(y);
    saved.dispose();
    // Takes the memory that was given back.
    const other = tensor(new Array<number>(saved.size).fill(1), saved.shape, { dtype: saved.dtype, device });
    expect(() => total.backward()).toThrow(
      refused('released', new RegExp(`^backward of ${op}: its tensor ${name} .*was released`)),
    );
    expect(other.size).toBe(saved.size);
  });

  it('leaves every gradient as it was where it refuses', () => {
    const x = leaf([3]);
    const y = leaf([5]);
    const total = sum(add(exp(y), square(x)));
    x.set([4]);
    expect(() => total.backward()).toThrow(refused('autograd', /backward of square/));
    expect(y.grad).toBeNull();
  });

  it('sees changes through tensors that share memory', () => {
    const x = leaf([3]);
    const y = square(x);
    reshape(x.detach(), [1, 1]).set([100]);
    expect(() => y.backward()).toThrow(refused('autograd', /backward of square.*by set/));
  });

  it('names the optimiser and the clipping that changed a tensor', () => {
    const [p, m, v] = [leaf([3]), zeros([1], { dtype: 'f64', device }), zeros([1], { dtype: 'f64', device })];
    const y = square(p);
    y.backward();
    const weighted = mul(leaf([1]), p.grad!);
    clipGradNorm([p], 1);
    expect(() => weighted.backward()).toThrow(refused('autograd', /backward of mul.*by clipGradNorm/));
    adamW(p, m, v, { lr: 0.1, step: 1, beta1: 0.9, beta2: 0.9, eps: 1e-8, weightDecay: 0 });
    expect(() => y.backward()).toThrow(refused('autograd', /backward of square.*by adamW/));
  });

  it('names backward where a gradient that an op saved receives another one', () => {
    const p = leaf([3]);
    square(p).backward();
    const weighted = mul(leaf([1]), p.grad!);
    square(p).backward();
    expect(() => weighted.backward()).toThrow(refused('autograd', /backward of mul.*by backward/));
  });

  it('names the step that changed a tensor, also where the device repeats it', () => {
    const [p, m, v] = [leaf([3]), zeros([1], { dtype: 'f64', device }), zeros([1], { dtype: 'f64', device })];
    const step = recordStep(({ lr }: Record<'lr', Tensor>) => {
      p.zeroGrad();
      square(p).backward();
      adamW(p, m, v, { lr, step: 1, beta1: 0.9, beta2: 0.9, eps: 1e-8, weightDecay: 0 });
      return null;
    });
    for (let call = 0; call < 5; call++) {
      const y = square(p);
      step({ lr: f64([0.1], []) });
      expect(() => y.backward()).toThrow(refused('autograd', /backward of square.*by adamW/));
    }
    step.release();
  });

  it('allows changes of what the gradient is not made from', () => {
    const [a, b] = [leaf([3]), leaf([4])];
    const total = sum(add(a, b));
    a.set([7]);
    b.dispose();
    total.backward();
    expect(a.grad!.item()).toBe(1);
    const [x, w] = [f64([2], [1, 1]), leaf([3], [1, 1])];
    const y = linear(x, w);
    w.set([5]);
    y.backward();
    expect(w.grad!.item()).toBe(2);
  });

  it('computes with the inputs that required a gradient when the op ran', () => {
    const [a, b] = [leaf([3]), f64([4])];
    const y = mul(a, b);
    b.requiresGrad = true;
    y.backward();
    expect([a.grad!.item(), b.grad]).toEqual([4, null]);
  });

  it('refuses an op whose backward reads what it did not save', () => {
    const x = leaf([3]);
    const y = record('forgetful', empty([1], 'f64', x.backend), [x], {}, () => void x.storage);
    expect(() => y.backward()).toThrow(
      refused('autograd', /^backward of forgetful reads a tensor of shape \(1\) that forgetful did not save/),
    );
  });

  it('keeps the results of a repeated step apart from the memory that dispose gives back', () => {
    const x = ones([2], { dtype: 'f64', device });
    const step = recordStep((inputs: Record<'x', Tensor>) => square(inputs.x));
    for (let call = 0; call < 4; call++) {
      const y = step({ x });
      expect(Array.from(y.dataSync())).toEqual([1, 1]);
      y.dispose();
      const others = scope(() => [
        zeros([2], { dtype: 'f64', device }),
        zeros([2], { dtype: 'f64', device }),
      ]);
      const after = step({ x });
      expect(others.map((t) => Array.from(t.dataSync()))).toEqual([
        [0, 0],
        [0, 0],
      ]);
      expect(Array.from(after.dataSync())).toEqual([1, 1]);
    }
    step.release();
  });
});
