import { describe, expect, it } from '@jest/globals';
import {
  add,
  affine,
  cat,
  ExecutorError,
  exp,
  greaterEqual,
  linear,
  mul,
  narrow,
  noGrad,
  reshape,
  scope,
  select,
  square,
  sub,
  sum,
  tensor,
  type Tensor,
} from '../src/index.js';
import { devices } from './devices.js';

describe.each(devices)('on %s', (device) => {
  const leaf = (values: number[]): Tensor =>
    tensor(Float64Array.from(values), [values.length], { device, requiresGrad: true });
  const gradient = (t: Tensor): number[] => Array.from(t.grad!.dataSync());

  describe('backward', () => {
    it('adds up over every use of a tensor', () => {
      const x = leaf([3, -2]);
      const shared = square(x);
      sum(add(mul(shared, x), shared)).backward();
      expect(gradient(x)).toEqual([3 * 9 + 2 * 3, 3 * 4 + 2 * -2]);
    });

    it('passes a gradient to as many inputs as an op has', () => {
      // Arguments of a call overflow the stack from about 120,000 on.
      const many = Array.from({ length: device === 'reference' ? 130_000 : 300 }, (_, i) => leaf([i]));
      const all = cat(many, 0);
      sum(mul(all, all)).backward();
      expect(gradient(many[7]!)).toEqual([14]);
      expect(gradient(many.at(-1)!)).toEqual([2 * (many.length - 1)]);
    });

    it('visits a result only after all that were made from it, however the tape branches', () => {
      const x = leaf([1.5]);
      const a = affine(x, 2);
      const b = mul(a, a);
      const c = add(b, a);
      sum(mul(c, mul(b, x))).backward();
      // (4x² + 2x)·4x³ = 16x⁵ + 8x⁴
      expect(gradient(x)[0]).toBeCloseTo(80 * 1.5 ** 4 + 32 * 1.5 ** 3, 10);
    });

    it('reaches all operands of sums and reshapes, whichever of them takes the gradient over', () => {
      const x = leaf([1, 2]);
      const a = affine(x, 2);
      const view = reshape(a, [2, 1]);
      // 2·2x − x + 2x + 6x·x
      const y = add(add(sub(add(a, a), x), reshape(view, [2])), mul(reshape(affine(view, 3), [2]), x));
      sum(add(y, y)).backward();
      expect(gradient(x)).toEqual([2 * (5 + 12), 2 * (5 + 24)]);
      const b = affine(x, 2);
      x.zeroGrad();
      const shared = linear(
        reshape(b, [1, 2]),
        tensor(Float64Array.of(1, 2, 3, 4), [2, 2], { device }),
        null,
        {
          residual: reshape(b, [1, 2]),
        },
      );
      sum(add(shared, reshape(b, [1, 2]))).backward();
      expect(gradient(x)).toEqual([2 * (4 + 2), 2 * (6 + 2)]);
    });

    it('adds to the gradients that a leaf has, until zeroGrad', () => {
      const x = leaf([1, 2]);
      sum(square(x)).backward();
      sum(square(x)).backward();
      expect(gradient(x)).toEqual([4, 8]);
      x.zeroGrad();
      expect(gradient(x)).toEqual([0, 0]);
      sum(square(x)).backward();
      expect(gradient(x)).toEqual([2, 4]);
    });

    it('leaves zeros where it does not reach after zeroGrad, and overwrites what is there where it does', () => {
      const x = leaf([1, 2, 3]);
      sum(square(x)).backward();
      x.zeroGrad();
      expect(Array.from(x.grad!.dataSync())).toEqual([0, 0, 0]);
      x.zeroGrad();
      // A part of x alone takes part.
      sum(narrow(x, 0, 1, 1)).backward();
      expect(Array.from(x.grad!.dataSync())).toEqual([0, 1, 0]);
    });

    it('run twice on one result gives the gradient twice', () => {
      const x = leaf([1, 2]);
      const loss = sum(exp(square(x)));
      loss.backward();
      const once = gradient(x);
      loss.backward();
      expect(gradient(x)).toEqual(once.map((g) => 2 * g));
    });

    it('of two losses with a common part gives the gradient of their sum', () => {
      const x = leaf([1, 2]);
      const common = square(x);
      sum(common).backward();
      sum(affine(common, 10)).backward();
      expect(gradient(x)).toEqual([22, 44]);
    });

    it('of two losses works where the first ran in a scope of its own', () => {
      const x = leaf([1, 2]);
      const common = square(x);
      const loss = sum(common);
      scope(() => {
        loss.backward();
      });
      loss.backward();
      expect(gradient(x)).toEqual([4, 8]);
    });

    it('of a leaf adds its own gradient', () => {
      const x = leaf([5]);
      x.backward();
      x.backward();
      expect(gradient(x)).toEqual([2]);
    });

    it('takes the gradient of a result that has more than one element', () => {
      const x = leaf([1, 2, 3]);
      square(x).backward(tensor(Float64Array.of(1, 0, -1), [3], { device }));
      expect(gradient(x)).toEqual([2, 0, -6]);
    });

    it('goes through a reshape and its original together', () => {
      const x = leaf([1, 2, 3, 4]);
      const matrix = reshape(x, [2, 2]);
      add(sum(square(select(matrix, 0, 1))), sum(x)).backward();
      expect(gradient(x)).toEqual([1, 1, 7, 9]);
      expect(Array.from(matrix.dataSync())).toEqual([1, 2, 3, 4]);
    });

    it('gives no gradient to tensors that require none', () => {
      const x = leaf([1]);
      const constant = tensor(Float64Array.of(2), [1], { device });
      mul(x, constant).backward();
      expect(gradient(x)).toEqual([2]);
      expect(constant.grad).toBeNull();
    });

    it('of a step function is zero, not an error', () => {
      const x = leaf([1]);
      greaterEqual(x, leaf([0])).backward();
      expect(gradient(x)).toEqual([0]);
    });

    const LONG = device === 'reference' ? 100_000 : 1000;
    it(`does not overflow the stack on a tape of ${LONG} ops`, () => {
      const x = leaf([1]);
      scope(() => {
        let y = x;
        for (let i = 0; i < LONG; i++) y = affine(y, -1, 0.5);
        y.backward();
      });
      expect(gradient(x)).toEqual([1]);
    });
  });

  describe('backward refuses', () => {
    const error = (code: string, message: RegExp) =>
      expect.objectContaining({ name: 'ExecutorError', code, message: expect.stringMatching(message) });

    it('a result that nothing requires the gradient of', () => {
      const constant = tensor([1], [1], { device });
      expect(() => {
        square(constant).backward();
      }).toThrow(error('autograd', /^backward: .*requires a gradient/));
    });

    it('a result of more than one element without a gradient for it', () => {
      expect(() => {
        square(leaf([1, 2])).backward();
      }).toThrow(error('shape', /^backward: .*\(2\) needs its gradient/));
    });

    it('a gradient of another shape', () => {
      expect(() => {
        square(leaf([1, 2])).backward(tensor(Float64Array.of(1), [1], { device }));
      }).toThrow(error('shape', /^backward: gradient of shape \(1\) .* shape \(2\)/));
    });

    it('a gradient of another dtype, and leaves the gradients as they are', () => {
      const x = leaf([1, 2]);
      expect(() => {
        square(x).backward(tensor([1, 1], [2], { device }));
      }).toThrow(error('dtype', /^backward: gradient of dtype f32 .* dtype f64; convert it with cast/));
      expect(x.grad).toBeNull();
    });

    it('a gradient of an integer tensor', () => {
      expect(() => tensor([1], [1], { device, dtype: 'i32', requiresGrad: true })).toThrow(
        error('dtype', /i32 tensor \(1\) has no gradient/),
      );
    });
  });

  describe('the tape', () => {
    it('stops at detach, which shares the values', () => {
      const x = leaf([3]);
      const fixed = x.detach();
      sum(mul(x, fixed)).backward();
      expect(gradient(x)).toEqual([3]);
      expect(fixed.requiresGrad).toBe(false);
      x.set([4]);
      expect(fixed.item()).toBe(4);
    });

    it('records nothing inside noGrad, and goes on after it', () => {
      const x = leaf([3]);
      expect(noGrad(() => square(x)).requiresGrad).toBe(false);
      expect(noGrad(() => noGrad(() => square(x)) && square(x)).requiresGrad).toBe(false);
      expect(square(x).requiresGrad).toBe(true);
    });

    it('goes on after a noGrad that threw', () => {
      const thrown = new ExecutorError('value', 'from the body');
      expect(() =>
        noGrad(() => {
          throw thrown;
        }),
      ).toThrow(thrown);
      expect(square(leaf([1])).requiresGrad).toBe(true);
    });
  });
});
