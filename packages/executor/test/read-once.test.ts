/** Arguments are read once: what a getter, or the caller's own array, says later changes nothing that was checked. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  adamWAll,
  cat,
  dropout,
  executeWithGradients,
  expand,
  linear,
  matmul,
  ones,
  randn,
  recordStep,
  reshape,
  setDefaultDevice,
  square,
  sum,
  tensor,
  Tensor,
  zeros,
} from '../src/index.js';
import { codeOf } from './code-of.js';
import { devices } from './devices.js';

/** A list whose first element is `first` when it is read `reads` times, and `then` after that. */
function turning<T>(first: T, then: T, reads: number): T[] {
  let count = 0;
  return Object.defineProperty([first], 0, { get: () => (count++ < reads ? first : then) });
}

/** Each way in which an argument changes is tried after so many reads of it. */
const READS = [1, 2, 3, 4, 5];

describe.each(devices)('on %s', (device) => {
  beforeAll(() => setDefaultDevice(device));
  afterAll(() => setDefaultDevice(undefined));

  it.each(READS)('a shape that changes after %i reads is that of the memory', (reads) => {
    const made = [
      () => zeros(turning(2, 999, reads)),
      () => randn(turning(2, 999, reads), { seed: [1, 2] }),
      () => expand(ones([1]), turning(2, 999, reads)),
    ].map((make) => make());
    for (const t of made) expect([...t.shape]).toEqual([t.dataSync().length]);
    expect(reshape(ones([2]), turning(2, 999, reads)).size).toBe(2);
  });

  it.each(READS)('numbers and lists that change after %i reads are those that were checked', (reads) => {
    const t = zeros([1]);
    t.set(turning<unknown>(1, 3n, reads) as number[]);
    expect(t.item()).toBe(1);
    const index = zeros([1], { dtype: 'i32' });
    index.set(turning(1, 1.5, reads));
    const values = turning<unknown>(1, 'one', reads) as number[];
    expect(['none', 'value']).toContain(codeOf(() => expect(tensor(values).item()).toBe(1)));
    expect(cat(turning(ones([2]), ones([999]), reads), 0).size).toBe(2);
  });

  it.each(READS)('options that change after %i reads are those that were checked', (reads) => {
    let count = 0;
    const options = {
      get residual() {
        return count++ < reads ? ones([1, 1]) : ones([999, 999]);
      },
    };
    expect(linear(ones([1, 1]), ones([1, 1]), null, options).item()).toBe(2);
    const [small, large] = [2, 9999].map((n) => {
      const p = ones([n], { requiresGrad: true });
      sum(p).backward();
      return p;
    });
    let asked = 0;
    const one = {
      get parameter() {
        return asked++ < reads ? small! : large!;
      },
      m: zeros([2]),
      v: zeros([2]),
    };
    adamWAll([one], { lr: 1, step: 1, beta1: 0, beta2: 0, eps: 1, weightDecay: 0 });
    expect([...small!.dataSync()]).toEqual([0.5, 0.5]);
  });

  it.each(READS)('an input of a recorded step that changes after %i reads is the first one', (reads) => {
    const step = recordStep(({ x }: Record<'x', Tensor>) => square(x));
    for (let call = 0; call < 3; call++) step({ x: ones([2]) });
    let count = 0;
    const inputs = {
      get x() {
        return count++ < reads ? ones([2]) : ones([9999]);
      },
    };
    expect([...step(inputs).dataSync()]).toEqual([1, 1]);
    step.release();
  });

  it('a getter of an output that takes the memory of an input away is an error', () => {
    const graphs = {
      depth: 1,
      size: 1,
      V_mag: Float64Array.of(2, 0),
      V_sign: Float64Array.of(1, 1),
      O: Float64Array.of(1, 0),
      G: Float64Array.of(1),
    };
    const out = {
      get values() {
        structuredClone(graphs.V_mag.buffer, { transfer: [graphs.V_mag.buffer] });
        return new Float64Array(1);
      },
    };
    expect(codeOf(() => executeWithGradients(graphs, { backend: device, out }))).toBe('shape');
  });

  it('a tensor has no other shape, dtype or prototype than it was made with', () => {
    const t = zeros([2]);
    expect(Reflect.defineProperty(t, 'shape', { value: [999] })).toBe(false);
    expect(Reflect.setPrototypeOf(t, { shape: [999] })).toBe(false);
    expect(codeOf(() => new Tensor(t.buffer, [999], 'f32'))).toBe('value');
    expect(codeOf(() => new Tensor(t.buffer, [2], 'f64'))).toBe('value');
    class Other extends Tensor {
      override get shape() {
        return [999];
      }
    }
    expect(codeOf(() => new Other(t.buffer, [2], 'f32'))).toBe('value');
  });

  it('the length of an array is that of its memory, whatever it says', () => {
    const short = Object.defineProperty(new Float32Array(2), 'length', { value: 999 });
    expect(codeOf(() => zeros([999]).dataSync(short))).toBe('shape');
    expect(codeOf(() => zeros([999]).set(short))).toBe('shape');
  });

  it('a seed that changes between the forward and the backward pass leaves the mask as it was', () => {
    const x = ones([64], { requiresGrad: true });
    const seed: [number, number] = [1, 2];
    const y = dropout(x, 0.5, seed);
    seed[0] = 9;
    sum(y).backward();
    expect(x.grad!.dataSync()).toEqual(y.dataSync());
  });

  it('a gradient that is set is a copy: no other tensor is changed by backward', () => {
    const [a, b] = [ones([2, 2], { requiresGrad: true }), ones([2, 2], { requiresGrad: true })];
    const shared = zeros([2, 2]);
    [a.grad, b.grad] = [shared, shared];
    sum(matmul(a, b)).backward();
    expect([...a.grad.dataSync()]).toEqual([2, 2, 2, 2]);
    expect([...b.grad.dataSync()]).toEqual([2, 2, 2, 2]);
    expect([...shared.dataSync()]).toEqual([0, 0, 0, 0]);
  });

  it('backward does not write a gradient into an input that it reads', () => {
    const a = ones([2, 2], { requiresGrad: true });
    sum(a).backward();
    const loss = sum(matmul(a, a.grad!));
    expect(codeOf(() => loss.backward())).toBe('autograd');
  });
});
