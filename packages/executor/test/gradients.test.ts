import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  abs,
  add,
  affine,
  argmax,
  argmin,
  cast,
  cat,
  causalAttention,
  clamp,
  cos,
  crossEntropy,
  cumprod,
  cumsum,
  div,
  dropout,
  embedding,
  equal,
  exp,
  expand,
  gather,
  gelu,
  geluTanh,
  gradCheck,
  greater,
  greaterEqual,
  huber,
  layerNorm,
  less,
  lessEqual,
  linear,
  log,
  logicalAnd,
  logicalNot,
  logSoftmax,
  matmul,
  max,
  maximum,
  mean,
  min,
  minimum,
  mul,
  narrow,
  neg,
  noGrad,
  notEqual,
  permute,
  pow,
  randn,
  relu,
  reshape,
  scaledDotProductAttention,
  select,
  sigmoid,
  sign,
  silu,
  sin,
  softmax,
  softplus,
  split,
  sqrt,
  square,
  stack,
  sub,
  sum,
  tanh,
  tensor,
  where,
  type Shape,
  type Tensor,
} from '../src/index.js';
import { devices, runsOn } from './devices.js';

const seeds = fc.nat();
const sizes = (rank: { minLength: number; maxLength: number }) =>
  fc.array(fc.integer({ min: 1, max: 3 }), rank);
const shapes = sizes({ minLength: 0, maxLength: 4 });
const size = fc.integer({ min: 1, max: 4 });

/** A shape, and two that broadcast to it: with sizes of 1 and without some leading dimensions. */
const broadcasts = shapes.chain((shape) => {
  const side = fc
    .tuple(fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }), fc.nat(shape.length))
    .map(([ones, missing]) => shape.map((n, d) => (ones[d] ? 1 : n)).slice(missing));
  return fc.tuple(side, side);
});

describe.each(devices)('on %s', (device) => {
  const draw = (shape: Shape, seed: number): Float64Array =>
    randn(shape, { dtype: 'f64', device, seed: [seed, shape.length] }).dataSync() as Float64Array;
  const leafOf = (values: Float64Array, shape: Shape): Tensor =>
    tensor(values, shape, { device, requiresGrad: true });
  /** Normal numbers. */
  const normal = (shape: Shape, seed: number): Tensor => leafOf(draw(shape, seed), shape);
  /** Numbers of at least ½. */
  const positive = (shape: Shape, seed: number): Tensor =>
    leafOf(
      draw(shape, seed).map((x) => 0.5 + Math.abs(x)),
      shape,
    );
  /** Multiples of 0.1, moved by `by`: two grids never come so close that a kink lies within a difference. */
  const grid = (shape: Shape, seed: number, by: number): Tensor =>
    leafOf(
      draw(shape, seed).map((x) => Math.round(10 * x) / 10 + by),
      shape,
    );
  const indices = (shape: Shape, seed: number, from: number, below: number): Tensor =>
    tensor(
      Int32Array.from(draw(shape, seed), (x) => from + (Math.floor(Math.abs(x) * 1000) % (below - from))),
      shape,
      { device },
    );

  /** Every element of f() has a weight of its own in the sum that is differentiated. */
  function expectGradients(f: () => Tensor, inputs: readonly Tensor[]): void {
    const { shape } = noGrad(f);
    const weights = tensor(draw(shape, 77), shape, { device });
    expect(gradCheck(() => sum(mul(f(), weights)), inputs).failures).toEqual([]);
  }

  describe('the gradient agrees with central differences: of', () => {
    const check = <T>(arbitrary: fc.Arbitrary<T>, body: (value: T, seed: number) => void): void =>
      fc.assert(
        fc.property(arbitrary, seeds, (value, seed) => {
          body(value, seed);
        }),
        { numRuns: runsOn(device, 30) },
      );

    it.each<[string, (x: Tensor) => Tensor]>([
      ['exp', exp],
      ['square', square],
      ['tanh', tanh],
      ['sigmoid', sigmoid],
      ['softplus', softplus],
      ['gelu', gelu],
      ['geluTanh', geluTanh],
      ['silu', silu],
      ['sin', sin],
      ['cos', cos],
      ['neg', neg],
      ['affine', (x) => affine(x, -2.5, 3)],
      ['cast to the same dtype', (x) => cast(x, 'f64')],
      ['dropout', (x) => dropout(x, 0.4, [3, 5])],
    ])('%s', (_, op) => {
      check(shapes, (shape, seed) => {
        const x = normal(shape, seed);
        expectGradients(() => op(x), [x]);
      });
    });

    it.each<[string, (x: Tensor) => Tensor]>([
      ['log', log],
      ['sqrt', sqrt],
    ])('%s above zero', (_, op) => {
      check(shapes, (shape, seed) => {
        const x = positive(shape, seed);
        expectGradients(() => op(x), [x]);
      });
    });

    it.each<[string, (x: Tensor) => Tensor]>([
      ['abs', abs],
      ['clamp with both bounds', (x) => clamp(x, -0.5, 0.7)],
      ['clamp from below', (x) => clamp(x, 0.1)],
      ['huber', (x) => huber(x, 0.6)],
      ['relu', relu],
      ['sign', sign],
      ['a whole power', (x) => pow(x, 3)],
    ])('%s away from its kinks', (_, op) => {
      check(shapes, (shape, seed) => {
        const x = grid(shape, seed, 0.05);
        expectGradients(() => op(x), [x]);
      });
    });

    it.each<[string, (a: Tensor, b: Tensor) => Tensor]>([
      ['add', add],
      ['sub', sub],
      ['mul', mul],
      ['maximum', maximum],
      ['minimum', minimum],
      ['equal', equal],
      ['greater', greater],
      ['greaterEqual', greaterEqual],
      ['logicalAnd', logicalAnd],
    ])('%s, with broadcasting', (_, op) => {
      check(broadcasts, ([shapeA, shapeB], seed) => {
        const a = grid(shapeA, seed, 0);
        const b = grid(shapeB, seed + 1, 0.05);
        expectGradients(() => op(a, b), [a, b]);
      });
    });

    it('div, with broadcasting', () => {
      check(broadcasts, ([shapeA, shapeB], seed) => {
        const a = normal(shapeA, seed);
        const b = positive(shapeB, seed + 1);
        expectGradients(() => div(a, b), [a, b]);
      });
    });

    it('pow of positive bases, with broadcasting', () => {
      check(broadcasts, ([shapeA, shapeB], seed) => {
        const a = positive(shapeA, seed);
        const b = normal(shapeB, seed + 1);
        expectGradients(() => pow(a, b), [a, b]);
        expectGradients(() => pow(a, -1.5), [a]);
        expectGradients(() => pow(2, b), [b]);
      });
    });

    it('where, with broadcasting', () => {
      check(fc.tuple(broadcasts, shapes), ([[shapeA, shapeB]], seed) => {
        const a = normal(shapeA, seed);
        const b = normal(shapeB, seed + 1);
        const condition = greater(normal(shapeB, seed + 2), 0);
        expectGradients(() => where(condition, a, b), [a, b]);
        expectGradients(() => where(condition, 2, a), [a]);
      });
    });

    const someDims = shapes.chain((shape) =>
      fc.tuple(
        fc.constant(shape),
        fc.option(fc.subarray([...shape.keys()]), { nil: undefined }),
        fc.boolean(),
      ),
    );

    it.each<[string, typeof sum]>([
      ['sum', sum],
      ['mean', mean],
    ])('%s over any dimensions', (_, op) => {
      check(someDims, ([shape, dims, keepDim], seed) => {
        const x = normal(shape, seed);
        expectGradients(() => op(x, dims, keepDim), [x]);
      });
    });

    const oneDim = sizes({ minLength: 1, maxLength: 4 }).chain((shape) =>
      fc.tuple(fc.constant(shape), fc.integer({ min: -shape.length, max: shape.length - 1 })),
    );

    it('cumsum along any dimension', () => {
      check(oneDim, ([shape, dim], seed) => {
        const x = normal(shape, seed);
        expectGradients(() => cumsum(x, dim), [x]);
      });
    });

    it('cumprod along any dimension, with zeros among the numbers', () => {
      check(oneDim, ([shape, dim], seed) => {
        const x = leafOf(
          draw(shape, seed).map((v) => (Math.abs(v) < 0.4 ? 0 : v)),
          shape,
        );
        expectGradients(() => cumprod(x, dim), [x]);
      });
    });

    it.each<[string, typeof max]>([
      ['max', max],
      ['min', min],
    ])('%s over any dimensions, without equals', (_, op) => {
      check(someDims, ([shape, dims, keepDim], seed) => {
        const x = normal(shape, seed);
        expectGradients(() => op(x, dims, keepDim), [x]);
        if (dims?.length === 1) expectGradients(() => op(x, dims[0], keepDim), [x]);
      });
    });

    it('narrow and select of any dimension', () => {
      check(fc.tuple(oneDim, fc.nat(2), fc.nat(3)), ([[shape, dim], start, length], seed) => {
        const n = shape.at(dim)!;
        fc.pre(start < n);
        const x = normal(shape, seed);
        expectGradients(() => narrow(x, dim, start, Math.min(length, n - start)), [x]);
        expectGradients(() => select(x, dim, start), [x]);
        // The same from the end.
        const same = [narrow(x, dim, start - n, 1), narrow(x, dim, start, 1)].map((t) => t.dataSync());
        expect(same[0]).toEqual(same[1]);
        expect(select(x, dim, start - n).dataSync()).toEqual(same[1]);
      });
    });

    it('cat of tensors of several lengths, one of them twice', () => {
      check(fc.tuple(oneDim, size), ([[shape, dim], n], seed) => {
        const d = dim < 0 ? dim + shape.length : dim;
        const a = normal(shape, seed);
        const b = normal(
          shape.map((m, i) => (i === d ? n : m)),
          seed + 1,
        );
        expectGradients(() => cat([a, b, a], dim), [a, b]);
      });
    });

    it('stack along any new dimension', () => {
      check(fc.tuple(shapes, fc.nat(4)), ([shape, dim], seed) => {
        fc.pre(dim <= shape.length);
        const a = normal(shape, seed);
        const b = normal(shape, seed + 1);
        expectGradients(() => stack([a, b], dim), [a, b]);
        expectGradients(() => stack([b, a], dim - shape.length - 1), [a, b]);
      });
    });

    it('expand', () => {
      check(broadcasts, ([shape, other], seed) => {
        const target = noGrad(() => add(normal(shape, 0), normal(other, 0))).shape;
        const x = normal(shape, seed);
        expectGradients(() => expand(x, target), [x]);
      });
    });

    it('permute in any order', () => {
      const orders = shapes.chain((shape) =>
        fc.tuple(
          fc.constant(shape),
          fc.shuffledSubarray([...shape.keys()], { minLength: shape.length, maxLength: shape.length }),
        ),
      );
      check(orders, ([shape, order], seed) => {
        const x = normal(shape, seed);
        expectGradients(() => permute(x, order), [x]);
      });
    });

    it('reshape', () => {
      check(shapes, (shape, seed) => {
        const x = normal(shape, seed);
        expectGradients(() => reshape(x, [-1]), [x]);
        expectGradients(() => reshape(x, [1, ...shape.toReversed()]), [x]);
      });
    });

    it('gather, with −1 among the indices', () => {
      check(fc.tuple(shapes, size), ([shape, n], seed) => {
        const x = normal([...shape, n], seed);
        const index = indices(shape, seed + 1, -1, n);
        expectGradients(() => gather(x, index), [x]);
      });
    });

    it('embedding, where rows are read more than once or never', () => {
      check(fc.tuple(shapes, size, size), ([shape, rows, n], seed) => {
        const table = normal([rows, n], seed);
        const index = indices(shape, seed + 1, 0, rows);
        expectGradients(() => embedding(table, index), [table]);
      });
    });

    it('matmul of two matrices, of batches of them, and of one matrix with a batch', () => {
      check(
        fc.tuple(sizes({ minLength: 0, maxLength: 2 }), fc.constantFrom('both', 'a', 'b'), size, size, size),
        ([leading, batched, m, k, n], seed) => {
          const a = normal([...(batched === 'b' ? [] : leading), m, k], seed);
          const b = normal([...(batched === 'a' ? [] : leading), k, n], seed + 1);
          expectGradients(() => matmul(a, b), [a, b]);
        },
      );
    });

    it('linear with and without bias', () => {
      check(fc.tuple(shapes, size, size), ([shape, k, n], seed) => {
        const x = normal([...shape, k], seed);
        const weight = normal([n, k], seed + 1);
        const bias = normal([n], seed + 2);
        expectGradients(() => linear(x, weight, bias), [x, weight, bias]);
        expectGradients(() => linear(x, weight), [x, weight]);
      });
    });

    it('layerNorm with and without bias', () => {
      check(fc.tuple(shapes, fc.integer({ min: 2, max: 5 })), ([shape, n], seed) => {
        const x = normal([...shape, n], seed);
        const weight = normal([n], seed + 1);
        const bias = normal([n], seed + 2);
        // An eps that keeps rows of nearly equal numbers from bending too sharply for differences.
        expectGradients(() => layerNorm(x, weight, bias, 0.1), [x, weight, bias]);
        expectGradients(() => layerNorm(x, weight, null, 0.1), [x, weight]);
      });
    });

    it('layerNorm of single elements, which are all their own mean', () => {
      const x = normal([3, 1], 1);
      const weight = normal([1], 2);
      expectGradients(() => layerNorm(x, weight), [x, weight]);
    });

    it.each<[string, (x: Tensor) => Tensor]>([
      ['softmax', softmax],
      ['logSoftmax', logSoftmax],
    ])('%s', (_, op) => {
      check(sizes({ minLength: 1, maxLength: 4 }), (shape, seed) => {
        const x = normal(shape, seed);
        expectGradients(() => op(x), [x]);
      });
    });

    it('crossEntropy, with targets that are left out', () => {
      check(fc.tuple(sizes({ minLength: 0, maxLength: 2 }), size), ([shape, n], seed) => {
        const logits = normal([...shape, n], seed);
        const targets = indices(shape, seed + 1, -1, n);
        fc.pre(targets.dataSync().some((t) => t >= 0));
        expectGradients(() => crossEntropy(logits, targets), [logits]);
      });
    });

    it('causalAttention with and without dropout', () => {
      // Sequences and heads are independent: two of each go through every stride.
      const few = fc.integer({ min: 1, max: 2 });
      check(fc.tuple(few, size, few, size), ([B, T, heads, width], seed) => {
        const qkv = normal([B, T, 3 * heads * width], seed);
        expectGradients(() => causalAttention(qkv, { heads }), [qkv]);
        expectGradients(() => causalAttention(qkv, { heads, dropout: 0.3, seed: [seed, 1] }), [qkv]);
      });
    });
  });

  describe('scaledDotProductAttention', () => {
    const [B, L, S, E, V] = [2, 3, 4, 2, 3];
    const sides = (seed: number) =>
      [[B, L, E], [B, S, E], [B, S, V]].map((shape, i) => normal(shape, seed + i)) as [Tensor, Tensor, Tensor]; // prettier-ignore
    const mask = tensor([1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0], [L, S], { device, dtype: 'i32' });

    it('has the gradients of central differences: plain, causal, with a mask, a bias, a scale and dropout', () => {
      const [q, k, v] = sides(1);
      const bias = normal([B, 1, S], 9);
      for (const options of [
        {},
        { isCausal: true },
        { mask },
        { mask, isCausal: true, bias },
        { bias, scale: -0.7 },
        { dropout: 0.4, seed: [3, 1] as const, mask },
      ])
        expectGradients(
          () => scaledDotProductAttention(q, k, v, options),
          [q, k, v, ...(options.bias ? [bias] : [])],
        );
    });

    it('is causalAttention where it is causal, of one head or several', () => {
      const [T, heads, width] = [5, 2, 3];
      const qkv = normal([1, T, 3 * heads * width], 4);
      const [q, k, v] = split(qkv, heads * width, 2).map((x) =>
        permute(reshape(x, [T, heads, width]), [1, 0, 2]),
      ) as [Tensor, Tensor, Tensor];
      const y = permute(scaledDotProductAttention(q, k, v, { isCausal: true }), [1, 0, 2]);
      const [actual, expected] = [y, causalAttention(qkv, { heads })].map((t) => Array.from(t.dataSync()));
      actual!.forEach((value, i) => {
        expect(value).toBeCloseTo(expected![i]!, 12);
      });
    });

    it('with a mask is that of the keys that are seen alone, whatever the others hold', () => {
      const [q, k, v] = sides(2);
      const seen = [0, 1, 3];
      const only = (x: Tensor) => stack(seen.map((s) => select(x, 1, s)), 1); // prettier-ignore
      const other = where(tensor([[0], [0], [1], [0]], undefined, { device }), 1e300, v);
      const y = scaledDotProductAttention(q, k, other, { mask: select(mask, 0, 0) });
      const expected = scaledDotProductAttention(q, only(k), only(v));
      Array.from(y.dataSync()).forEach((value, i) => {
        expect(value).toBeCloseTo(expected.dataSync()[i]!, 12);
      });
    });

    it.each(['f32', 'f64'] as const)(
      'gives 0 and no gradient to a query that sees nothing, by mask or by bias, in %s',
      (dtype) => {
        for (const options of [{ mask }, { bias: where(cast(mask, dtype), 0, -Infinity) }]) {
          const [q, k, v] = sides(3).map((x) =>
            tensor(x.dataSync(), x.shape, { dtype, device, requiresGrad: true }),
          ) as [Tensor, Tensor, Tensor];
          const y = scaledDotProductAttention(q, k, v, options);
          expect(Array.from(select(y, 1, 1).dataSync())).toEqual([0, 0, 0, 0, 0, 0]);
          sum(square(y)).backward();
          expect(Array.from(select(q.grad!, 1, 1).dataSync()).map(Math.abs)).toEqual([0, 0, 0, 0]);
          for (const t of [q, k, v, y]) expect((t.grad ?? t).dataSync().every(Number.isFinite)).toBe(true);
        }
      },
    );

    it('says which shapes it takes', () => {
      const [q, k, v] = sides(5);
      expect(() => scaledDotProductAttention(q, v, k)).toThrow(
        /q \(2, 3, 2\), k \(2, 4, 3\) and v \(2, 4, 2\); expected/,
      );
      expect(() => scaledDotProductAttention(q, k, v, { mask: normal([5, 1, L, S], 1) })).toThrow(
        /\(5, 1, 3, 4\) does not broadcast to the scores \(2, 3, 4\)/,
      );
      const none = scaledDotProductAttention(q, normal([B, 0, E], 1), normal([B, 0, V], 1));
      expect([none.shape, none.dataSync().every((x) => x === 0)]).toEqual([[B, L, V], true]);
    });
  });

  describe('at the places where an op bends', () => {
    const gradientAt = (op: (x: Tensor) => Tensor, at: number): number => {
      const x = tensor(Float64Array.of(at), [], { device, requiresGrad: true });
      op(x).backward();
      return x.grad!.item();
    };

    it('the gradient of abs at 0 is 0', () => {
      expect(gradientAt(abs, 0)).toBe(0);
    });

    it('the gradient of clamp passes at its bounds', () => {
      expect([-1, 1].map((at) => gradientAt((x) => clamp(x, -1, 1), at))).toEqual([1, 1]);
    });

    it('maximum and minimum of equal numbers share the gradient', () => {
      for (const op of [maximum, minimum]) {
        const a = tensor(Float64Array.of(2), [], { device, requiresGrad: true });
        const b = tensor(Float64Array.of(2), [], { device, requiresGrad: true });
        op(a, b).backward();
        expect([a.grad!.item(), b.grad!.item()]).toEqual([0.5, 0.5]);
      }
    });
  });

  describe('as in PyTorch,', () => {
    const leaf = (values: readonly number[], shape: Shape = [values.length]): Tensor =>
      leafOf(Float64Array.from(values), shape);
    const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
    const gradientsOf = (y: Tensor, ...of: Tensor[]): number[][] => {
      sum(y).backward();
      return of.map((t) => numbers(t.grad!));
    };

    it('relu at 0 passes no gradient, and a NaN stays', () => {
      const x = leaf([-1, 0, -0, 2, NaN]);
      const y = relu(x);
      expect(numbers(y)).toEqual([0, 0, 0, 2, NaN]);
      expect(gradientsOf(y, x)).toEqual([[0, 0, 0, 1, 1]]);
    });

    it('sign has no slope', () => {
      const x = leaf([-2, 0, 3]);
      const y = sign(x);
      expect(numbers(y)).toEqual([-1, 0, 1]);
      expect(gradientsOf(y, x)).toEqual([[0, 0, 0]]);
    });

    it('a power at a base or an exponent of 0, and of negative bases', () => {
      // torch: pow_backward_self is 0 where the exponent is, pow_backward_exponent where the base is 0 and the exponent not negative.
      const base = leaf([0, 0, 0, -2, -2, 4]);
      const exponent = leaf([0, 2, 1, 3, 0.5, 0.5]);
      const y = pow(base, exponent);
      expect(numbers(y)).toEqual([1, 0, 0, -8, NaN, 2]);
      const [toBase, toExponent] = gradientsOf(y, base, exponent);
      expect(toBase).toEqual([0, 0, 1, 12, NaN, 0.25]);
      expect(toExponent!.slice(0, 5)).toEqual([0, 0, 0, NaN, NaN]);
      expect(toExponent![5]).toBeCloseTo(2 * Math.log(4), 12);
      expect(numbers(pow(leaf([1, 1, -1, NaN, 0]), leaf([NaN, Infinity, -Infinity, 0, -1])))).toEqual([1, 1, 1, 1, Infinity]); // prettier-ignore
    });

    it('max and min over one dimension pass the gradient to the first of equals', () => {
      const x = leaf([1, 3, 3, 2, 2, 2], [2, 3]);
      const y = max(x, 1);
      expect([y.shape, numbers(y)]).toEqual([[2], [3, 2]]);
      expect(gradientsOf(y, x)).toEqual([[0, 1, 0, 1, 0, 0]]);
      x.grad = null;
      expect(gradientsOf(min(x, 0, true), x)).toEqual([[1, 0, 0, 0, 1, 1]]);
    });

    it('max over all, or a list of dimensions, shares the gradient evenly among equals', () => {
      const x = leaf([1, 3, 3, 3, 2, 3], [2, 3]);
      expect(gradientsOf(max(x), x)).toEqual([[0, 0.25, 0.25, 0.25, 0, 0.25]]);
      x.grad = null;
      expect(gradientsOf(max(x, [1]), x)).toEqual([[0, 0.5, 0.5, 0.5, 0, 0.5]]);
    });

    it('argmax and argmin give the first of equals as i32, and the place of a NaN', () => {
      const x = leaf([1, 3, 3, NaN, -1, NaN, 0, 0, 0], [3, 3]);
      expect([argmax(x, 1), argmin(x, -1)].map(numbers)).toEqual([[1, 0, 0], [0, 0, 0]]); // prettier-ignore
      expect([argmax(x, 0, true).shape, numbers(argmax(x, 0)), numbers(argmin(x, 0))]).toEqual([[1, 3], [1, 0, 1], [1, 1, 1]]); // prettier-ignore
      expect([argmax(x).item(), argmin(x).item(), argmax(x).dtype]).toEqual([3, 3, 'i32']);
      expect(numbers(max(x, 1))).toEqual([3, NaN, 0]);
      expect([max(x).item(), argmax(x, undefined, true).shape]).toEqual([NaN, [1, 1]]);
      expect(() => max(leaf([], [2, 0]), 1)).toThrow(/there are no elements in dimension 1 of \(2, 0\)/);
    });

    it('argmax finds the last of many, in rows and in columns', () => {
      const [rows, n] = [3, 3001];
      const x = leafOf(new Float64Array(rows * n).map((_, i) => Math.sin(i)), [rows, n]); // prettier-ignore
      for (const [r, at] of [3000, 777, 0].entries()) {
        const row = numbers(x).slice(r * n, (r + 1) * n);
        row[at] = 2;
        expect(argmax(leaf(row)).item()).toBe(at);
        expect(argmax(leaf(row, [n, 1]), 0).item()).toBe(at);
        expect(numbers(argmax(expand(leaf(row, [n, 1]), [n, 2]), 0))).toEqual([at, at]);
      }
    });

    it('comparisons give ones and zeros of the operands’ dtype', () => {
      const [a, b] = [leaf([1, 2, 3, NaN]), leaf([2, 2, 2, NaN])];
      const results = [equal, notEqual, greater, greaterEqual, less, lessEqual].map((op) => op(a, b));
      expect(results.map(numbers)).toEqual([
        [0, 1, 0, 0],
        [1, 0, 1, 1],
        [0, 0, 1, 0],
        [0, 1, 1, 0],
        [1, 0, 0, 0],
        [1, 1, 0, 0],
      ]);
      expect(results.map((t) => t.dtype)).toEqual(results.map(() => 'f64'));
      const whole = tensor(Int32Array.of(0, 1, 2 ** 31 - 1), [3], { device });
      const larger = greater(whole, 0.5);
      expect([larger.dtype, numbers(larger)]).toEqual(['i32', [0, 1, 1]]);
      expect(numbers(equal(whole, 2 ** 31 - 1))).toEqual([0, 0, 1]);
    });

    it('logical operations take all but 0 for true, also NaN', () => {
      const [a, b] = [leaf([0, -0, 2, NaN, 1e-300]), leaf([0, 1, 0, 1, 1e-300])];
      expect([logicalAnd(a, b), logicalNot(a)].map(numbers)).toEqual([
        [0, 0, 0, 1, 1],
        [1, 1, 0, 0, 0],
      ]);
    });

    it('where reads nothing of what it does not choose: neither value nor gradient', () => {
      const x = leaf([-1, 0, 4]);
      const y = where(greater(x, 0), log(x), 0);
      expect(numbers(y)).toEqual([0, 0, Math.log(4)]);
      const z = leaf([NaN, Infinity, 1]);
      expect(gradientsOf(where(tensor([0, 0, 1], [3], { device, dtype: 'i32' }), z, x), z, x)).toEqual([
        [0, 0, 1],
        [1, 1, 0],
      ]);
      // The sign of a zero, too.
      expect(numbers(where(leaf([1, 0]), leaf([-0, 1]), leaf([1, -0])))).toEqual([-0, -0]);
    });

    it('where has the dtype of what it chooses from', () => {
      const condition = leaf([1e-300, 0]);
      const ofF32 = where(condition, tensor([1, 2], [2], { device }), 5);
      expect([ofF32.dtype, numbers(ofF32)]).toEqual(['f32', [1, 5]]);
      const whole = where(condition, tensor(Int32Array.of(7, 8), [2], { device }), -1);
      expect([whole.dtype, numbers(whole)]).toEqual(['i32', [7, -1]]);
      expect(where(condition, 1, 0).dtype).toBe('f64');
      expect(where(tensor(Int32Array.of(1), [1], { device }), 1, 0).dtype).toBe('f32');
      expect(() => where(condition, tensor([1], [1], { device }), condition)).toThrow(/where: dtypes f32/);
      expect(() => where(condition, leaf([1, 2, 3]), 0)).toThrow(/where: shapes \(3\) and \(2\)/);
    });
  });

  it('attention never reads later positions', () => {
    const values = draw([1, 4, 6], 5);
    const later = values.map((x, i) => (i >= 2 * 6 ? x + 100 : x));
    const [before, after] = [values, later].map((v) =>
      Array.from(causalAttention(tensor(v, [1, 4, 6], { device }), { heads: 2 }).dataSync()).slice(0, 2 * 2),
    );
    expect(after).toEqual(before);
  });

  it('softmax, logSoftmax and softplus of numbers beyond the range of exp stay finite', () => {
    const x = tensor(Float64Array.of(-1e4, 0, 1e4), [3], { device });
    expect(Array.from(softmax(x).dataSync())).toEqual([0, 0, 1]);
    expect(Array.from(logSoftmax(x).dataSync())).toEqual([-2e4, -1e4, 0]);
    expect(Array.from(softplus(x).dataSync())).toEqual([0, Math.LN2, 1e4]);
    expect(Array.from(sigmoid(x).dataSync())).toEqual([0, 0.5, 1]);
  });

  it('an op in f32 and cast between dtypes pass gradients on in the dtype of each tensor', () => {
    const x = tensor(Float32Array.of(1, 2, 3), [3], { device, requiresGrad: true });
    const y = cast(x, 'f64');
    sum(square(y)).backward();
    expect([y.dtype, x.grad!.dtype]).toEqual(['f64', 'f32']);
    expect(Array.from(x.grad!.dataSync())).toEqual([2, 4, 6]);
    expect(Array.from(cast(tensor([1.7, -1.7], [2], { device }), 'i32').dataSync())).toEqual([1, -1]);
  });

  it('tensors without elements pass through ops and have gradients without elements', () => {
    const x = tensor(new Float64Array(0), [0, 3], { device, requiresGrad: true });
    const weight = tensor(new Float64Array(6), [2, 3], { device, requiresGrad: true });
    const y = linear(cat([permute(permute(x, [1, 0]), [1, 0]), x], 0), weight);
    expect(y.shape).toEqual([0, 2]);
    sum(cumsum(softmax(y), 0)).backward();
    expect(x.grad!.shape).toEqual([0, 3]);
    expect(Array.from(weight.grad!.dataSync())).toEqual([0, 0, 0, 0, 0, 0]);
  });
});
