import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  abs,
  add,
  affine,
  cast,
  cat,
  causalAttention,
  clamp,
  crossEntropy,
  cumsum,
  div,
  dropout,
  embedding,
  exp,
  expand,
  gather,
  gelu,
  geluTanh,
  silu,
  gradCheck,
  greaterEqual,
  huber,
  layerNorm,
  linear,
  log,
  logSoftmax,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  narrow,
  neg,
  noGrad,
  permute,
  randn,
  reshape,
  select,
  sigmoid,
  softmax,
  softplus,
  sqrt,
  square,
  stack,
  sub,
  sum,
  tanh,
  tensor,
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
      ['greaterEqual', greaterEqual],
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

    it('narrow and select of any dimension', () => {
      check(fc.tuple(oneDim, fc.nat(2), fc.nat(3)), ([[shape, dim], start, length], seed) => {
        const n = shape.at(dim)!;
        fc.pre(start < n);
        const x = normal(shape, seed);
        expectGradients(() => narrow(x, dim, start, Math.min(length, n - start)), [x]);
        expectGradients(() => select(x, dim, start), [x]);
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
