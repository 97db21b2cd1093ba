/** SGD and AdamW as objects: by PyTorch's formulas, and from a saved state with the same bits. */
import { describe, expect, it } from '@jest/globals';
import {
  adamW,
  AdamW,
  mul,
  ones,
  randn,
  recordStep,
  scope,
  SGD,
  square,
  sub,
  sum,
  tensor,
  zeros,
  type OptimizerState,
  type Tensor,
  type TensorJson,
} from '../src/index.js';
import { codeOf } from './code-of.js';
import { devices } from './devices.js';

describe.each(devices)('on %s', (device) => {
  const parameter = (values: number[]): Tensor =>
    tensor(Float64Array.from(values), undefined, { device, requiresGrad: true });
  /** d/dp Σ (p − 1)² = 2·(p − 1). */
  const backward = (p: Tensor): void => scope(() => sum(square(sub(p, 1))).backward());
  const values = (t: Tensor): number[] => [...t.dataSync()];

  it.each([
    [0, 0],
    [0.9, 0],
    [0.9, 0.1],
  ])('SGD with momentum %p and weight decay %p moves as PyTorch says', (momentum, weightDecay) => {
    const p = parameter([3, -2]);
    const sgd = new SGD([p], { lr: 0.1, momentum, weightDecay });
    const expected = [3, -2];
    const velocity = [0, 0];
    for (let step = 0; step < 4; step++) {
      sgd.zeroGrad();
      backward(p);
      sgd.step();
      for (const i of [0, 1]) {
        const g = 2 * (expected[i]! - 1) + weightDecay * expected[i]!;
        velocity[i] = momentum * velocity[i]! + g;
        expected[i]! -= 0.1 * velocity[i]!;
      }
    }
    values(p).forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 12));
  });

  it('AdamW moves as adamW does, to the bit', () => {
    const [p, q] = [parameter([3, -2]), parameter([3, -2])];
    const [m, v] = [zeros([2], { device, dtype: 'f64' }), zeros([2], { device, dtype: 'f64' })];
    const optimizer = new AdamW([p], { lr: 0.1 });
    for (let step = 1; step <= 5; step++) {
      for (const x of [p, q]) {
        x.zeroGrad();
        backward(x);
      }
      optimizer.lr = 0.1 / step;
      optimizer.step();
      adamW(q, m, v, { lr: 0.1 / step, step, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 });
    }
    expect(values(p)).toEqual(values(q));
  });

  it.each([
    ['SGD', (p: Tensor) => new SGD([p], { lr: 0.1, momentum: 0.9 })],
    ['AdamW', (p: Tensor) => new AdamW([p], { lr: 0.1 })],
  ])('%s goes on from its state with the same bits', (_, make) => {
    const train = (p: Tensor, optimizer: SGD | AdamW, steps: number) => {
      for (let i = 0; i < steps; i++) {
        optimizer.zeroGrad();
        backward(p);
        optimizer.step();
      }
    };
    const p = parameter([3, -2]);
    const optimizer = make(p);
    train(p, optimizer, 3);
    const q = parameter(values(p));
    const other = make(q);
    other.load(optimizer.state());
    expect(other.state().step).toBe(3);
    const json = structuredClone(JSON.parse(JSON.stringify(optimizer.state()))) as OptimizerState<TensorJson>;
    const r = parameter(values(p));
    const fromJson = make(r);
    fromJson.load(json);
    train(p, optimizer, 3);
    train(q, other, 3);
    train(r, fromJson, 3);
    expect(values(q)).toEqual(values(p));
    expect(values(r)).toEqual(values(p));
  });

  it('takes no memory from step to step, and leaves parameters without a gradient alone', () => {
    const [p, still] = [parameter([1, 2]), parameter([5, 6])];
    const sgd = new SGD([p, still], { lr: 0.1, momentum: 0.5, weightDecay: 0.1 });
    for (let i = 0; i < 3; i++) {
      sgd.zeroGrad();
      backward(p);
      sgd.step();
    }
    expect(values(still)).toEqual([5, 6]);
    expect(values(p)).not.toEqual([1, 2]);
  });

  it('refuses what no optimiser can work with', () => {
    const p = parameter([1]);
    expect(codeOf(() => new SGD([ones([1], { device })], { lr: 1 }))).toBe('autograd');
    for (const options of [{ lr: NaN }, { lr: -1 }, { lr: 1, momentum: 1 }, { lr: 1, weightDecay: -1 }])
      expect(codeOf(() => new SGD([p], options))).toBe('value');
    expect(codeOf(() => new AdamW([p], { lr: 1, beta1: 1 }))).toBe('value');
    expect(codeOf(() => new AdamW([p], { lr: 1, betas: [0.9, 0.999] } as never))).toBe('value');
    const adam = new AdamW([p], { lr: 1 });
    expect(codeOf(() => new AdamW([p, p], { lr: 1 }))).toBe('value');
    const scalar = tensor([2], [], { device, dtype: 'f64', requiresGrad: true });
    const ofScalar = new SGD([scalar], { lr: 1, momentum: 0.5 });
    ofScalar.load(
      JSON.parse(JSON.stringify({ step: 3, tensors: { velocity: [{ values: 0.25 }] } })) as never,
    );
    expect(ofScalar.state().tensors['velocity']![0]!.item()).toBe(0.25);
    // Nothing is changed where a part is wrong, and the message says which.
    const good = { values: [7] };
    expect(() => adam.load({ step: 9, tensors: { m: [good], v: [{ values: [NaN, 1] }] } })).toThrow(
      /AdamW: v of parameter 0/,
    );
    expect([adam.state().step, adam.state().tensors['m']![0]!.item()]).toEqual([0, 0]);
    expect(codeOf(() => new SGD([p], { lr: 1 }).load(adam.state()))).toBe('value');
    const step = recordStep(({ x }: Record<'x', Tensor>) => {
      sum(mul(p, x)).backward();
      adam.step();
    });
    expect(() => step({ x: ones([1], { device, dtype: 'f64' }) })).toThrow(
      /adamWAll inside, with lr and step as inputs/,
    );
    expect(adam.state().step).toBe(0);
    const [junk, more] = [{ values: [null] }, { values: [1, 2] }];
    expect(codeOf(() => adam.load({ step: 1, tensors: { m: [junk], v: [junk] } }))).toBe('value');
    expect(codeOf(() => adam.load({ step: 1, tensors: { m: [more], v: [more] } }))).toBe('shape');
    expect(codeOf(() => adam.load({ step: 1, tensors: { m: [null], v: [null] } } as never))).toBe('value');
    expect(codeOf(() => adam.load(new SGD([p], { lr: 1 }).state()))).toBe('value');
    const larger = new AdamW([randn([2], { seed: [1, 1], device, dtype: 'f64', requiresGrad: true })], {
      lr: 1,
    });
    expect(codeOf(() => adam.load(larger.state()))).toBe('shape');
    expect(codeOf(() => adam.load({ ...adam.state(), step: 0.5 }))).toBe('value');
  });
});
