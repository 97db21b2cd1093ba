/** Storage in bf16 on cuda: conversions, the ops that read and write it, working copies of weights, and what refuses it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as executor from '../src/index.js';
import {
  adamW,
  add,
  cast,
  causalAttention,
  ExecutorError,
  full,
  layerNorm,
  linear,
  mul,
  noGrad,
  randn,
  recordStep,
  setMatmulPrecision,
  sum,
  tensor,
  zeros,
  type DType,
  type LinearOptions,
  type Shape,
  type Tensor,
} from '../src/index.js';
import { cudaIsMissing, devices, runsOn } from './devices.js';
import { emulator } from './emulator.js';

const device = 'cuda';
const onEmulator = process.env['DAG_TEST_CUDA'] !== 'device';

/** The bf16 nearest to x, ties to even, from its neighbours: the middle of two is a double. */
function nearest(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  const size = Math.abs(x);
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, size);
  if (view.getFloat32(0) > size) view.setUint32(0, view.getUint32(0) - 1);
  const upper = view.getUint16(0);
  const at = (bits: number): number => {
    view.setUint32(0, bits << 16);
    // Of what follows the largest number the middle is to 2^128.
    return bits === 0x7f80 ? 2 ** 128 : view.getFloat32(0);
  };
  if (upper === 0x7f80) return x;
  const [below, above] = [at(upper), at(upper + 1)];
  const middle = (below + above) / 2;
  const isAbove = size > middle || (size === middle && upper % 2 === 1);
  const rounded = isAbove ? above : below;
  return Math.sign(x) * (rounded === 2 ** 128 ? Infinity : rounded);
}

const values = (t: Tensor): number[] => Array.from(t.dataSync());
const inBf16 = (t: Tensor): Tensor => cast(t.detach(), 'bf16');
/** Random numbers that bf16 has, as f32. */
const random = (shape: Shape, seed: number): Tensor =>
  cast(inBf16(randn(shape, { seed: [seed, 7], device })), 'f32');
/** Whole numbers from −4 to 4: products and their sums are exact. */
const whole = (shape: Shape, step: number): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => ((i * step) % 9) - 4),
    shape,
    { device },
  );
};
function asLeaf(t: Tensor): Tensor {
  t.requiresGrad = true;
  return t;
}

/** Within bf16's rounding, 2^-8 of its size, and `slack` for what is rounded on the way. */
function expectNear(actual: Tensor, expected: Tensor, slack = 0): void {
  const [a, e] = [values(actual), values(expected)];
  expect(a).toHaveLength(e.length);
  const off = a.map((x, i) => Math.abs(x - e[i]!) - Math.abs(e[i]!) * 2 ** -8);
  expect(Math.max(...off)).toBeLessThanOrEqual(slack);
}

const present = cudaIsMissing === null ? describe : describe.skip;
present(`bf16 on cuda${cudaIsMissing === null ? '' : ` (skipped: ${cudaIsMissing})`}`, () => {
  beforeAll(() => setMatmulPrecision('medium'));
  afterAll(() => setMatmulPrecision('highest'));

  const anyNumber = fc.oneof(
    fc.double(),
    fc.float(),
    // Middles of two neighbours, and doubles just beside them, which f32 does not tell from the middle.
    fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(-1, 0, 1)).map(([upper, side]) => {
      const view = new DataView(new ArrayBuffer(4));
      view.setUint32(0, (upper << 16) | 0x8000);
      return view.getFloat32(0) * (1 + side * 2 ** -40);
    }),
  );

  it('rounds to nearest, ties to even, from every dtype, and widens exactly', () => {
    fc.assert(
      fc.property(fc.array(anyNumber, { minLength: 1, maxLength: 40 }), (numbers) => {
        const expected = numbers.map(nearest);
        const doubles = tensor(numbers, [numbers.length], { dtype: 'f64', device });
        expect(values(cast(doubles, 'bf16'))).toEqual(expected);
        const floats = cast(doubles, 'f32');
        expect(values(cast(floats, 'bf16'))).toEqual(numbers.map((x) => nearest(Math.fround(x))));
        // As the host writes them.
        const written = tensor(numbers, [numbers.length], { dtype: 'bf16', device });
        expect(values(written)).toEqual(expected);
        for (const dtype of ['f32', 'f64'] as const) expect(values(cast(written, dtype))).toEqual(expected);
        const words = cast(doubles, 'i32');
        expect(values(cast(words, 'bf16'))).toEqual(values(words).map(nearest));
        expect(values(cast(written, 'i32'))).toEqual(values(cast(cast(written, 'f64'), 'i32')));
      }),
      { numRuns: runsOn(device, 100) },
    );
  });

  it('is made, filled, set, assigned, read, printed and given up like other tensors', () => {
    const t = tensor([1, 2.001, 3, 257], [2, 2], { dtype: 'bf16', device });
    expect(t.dtype).toBe('bf16');
    expect(t.dataSync()).toEqual(Float32Array.of(1, 2, 3, 256));
    expect(t.dataSync(new Float64Array(4))).toEqual(Float64Array.of(1, 2, 3, 256));
    expect(String(t)).toBe('tensor([[  1,   2],\n        [  3, 256]], (2, 2), bf16, cuda)');
    expect(JSON.parse(JSON.stringify(t))).toEqual({
      ...{ dtype: 'bf16', device, shape: [2, 2] },
      values: [
        [1, 2],
        [3, 256],
      ],
    });
    t.set([0.1, 0, -0, NaN]);
    expect(values(t)).toEqual([nearest(0.1), 0, -0, NaN]);
    t.assign(full([2, 2], 1.003, { dtype: 'bf16', device }));
    expect(values(t)).toEqual([1, 1, 1, 1]);
    expect(values(zeros([0], { dtype: 'bf16', device }))).toEqual([]);
    t.dispose();
    expect(String(t)).toBe('tensor(released, (2, 2), bf16, cuda)');
  });

  it('passes gradients through casts, in the dtype of each tensor', () => {
    const x = asLeaf(tensor([1, 2, 3], [3], { device }));
    const y = cast(x, 'bf16');
    const z = cast(y, 'f32');
    sum(mul(z, tensor([1, 1.001, -3], [3], { device }))).backward();
    expect(y.grad?.dtype).toBe('bf16');
    expect(x.grad?.dtype).toBe('f32');
    expect(values(x.grad!)).toEqual([1, 1, -3]);
    // Twice, which adds up.
    const leaf = asLeaf(tensor([1, 2], [2], { dtype: 'bf16', device }));
    for (let i = 0; i < 2; i++) sum(cast(leaf, 'f32')).backward();
    expect(values(leaf.grad!)).toEqual([2, 2]);
    leaf.zeroGrad();
    expect(values(leaf.grad!)).toEqual([0, 0]);
  });

  describe('linear', () => {
    /** A layer and its gradients with x, and the result, in the given dtypes. */
    function layer(
      [rows, n, k]: readonly [number, number, number],
      xIn: DType,
      yIn: 'f32' | 'bf16',
      options: LinearOptions & { readonly residual?: Tensor } = {},
      make = whole,
    ) {
      const x = asLeaf(cast(make([rows, k], 7), xIn).detach());
      const weight = asLeaf(make([n, k], 5));
      const bias = asLeaf(make([n], 2));
      const y = linear(x, weight, bias, { ...options, dtype: yIn });
      expect(y.dtype).toBe(yIn);
      y.backward(cast(make([rows, n], 11), yIn).detach());
      expect(x.grad!.dtype).toBe(xIn);
      return { y, x: x.grad!, weight: weight.grad!, bias: bias.grad! };
    }

    // By warpgroups where bf16 lies as they read it, in lines of a multiple of 8 numbers; the last one also where it is laid out for them.
    it.each<[number, number, number]>([
      [5, 7, 16],
      [33, 130, 75],
      [150, 137, 80],
      [300, 260, 64],
      [512, 256, 8],
    ])('has the bits of f32 storage of the same numbers, %d × %d from %d', (...sizes) => {
      const expected = layer(sizes, 'f32', 'f32');
      for (const [xIn, yIn] of [
        ['bf16', 'f32'],
        ['bf16', 'bf16'],
        ['f32', 'bf16'],
      ] as const) {
        const actual = layer(sizes, xIn, yIn);
        expect(values(actual.y)).toEqual(values(cast(expected.y, yIn)));
        expect(values(actual.x)).toEqual(values(cast(expected.x, xIn)));
        expect(values(actual.weight)).toEqual(values(expected.weight));
        expect(values(actual.bias)).toEqual(values(expected.bias));
      }
    });

    it.each(['gelu', 'geluTanh'] as const)(
      'has the epilogue of f32, rounded: %s, dropout and a residual',
      (activation) => {
        for (const sizes of [
          [9, 13, 24],
          [130, 96, 32],
        ] as const) {
          const options = {
            ...{ activation, dropout: 0.3, seed: [3, 4] as const },
            residual: random([sizes[0], sizes[1]], 8),
          };
          const expected = layer(sizes, 'f32', 'f32', options, random);
          for (const yIn of ['f32', 'bf16'] as const) {
            const actual = layer(sizes, 'bf16', yIn, options, random);
            expectNear(actual.y, expected.y);
            // The preactivation and the gradient of the sum are rounded, too: errors of 2^-8 of k or n terms of about 1 with random signs.
            for (const name of ['x', 'weight', 'bias'] as const)
              expectNear(actual[name], expected[name], 2 ** -8 * 4 * Math.sqrt(Math.max(...sizes)));
          }
        }
      },
    );

    it('passes the gradient of a result in bf16 on to a residual in f32', () => {
      const x = inBf16(whole([4, 8], 5));
      const source = asLeaf(whole([4, 3], 4));
      const y = linear(x, whole([3, 8], 7), null, { residual: mul(source, 2), dtype: 'bf16' });
      y.backward(inBf16(whole([4, 3], 2)));
      expect(values(source.grad!)).toEqual(values(mul(whole([4, 3], 2), 2)));
    });

    it('adds the gradients of two layers of one x in bf16', () => {
      const x = asLeaf(inBf16(whole([6, 16], 5)));
      const weight = whole([3, 16], 7);
      const loss = add(sum(linear(x, weight)), sum(linear(x, weight)));
      loss.backward();
      const once = asLeaf(whole([6, 16], 5));
      sum(linear(once, weight)).backward();
      expect(values(x.grad!)).toEqual(values(mul(once.grad!, 2)));
    });

    it('needs the precision medium, and f32 beside bf16', () => {
      const x = inBf16(whole([2, 8], 5));
      const weight = whole([3, 8], 7);
      setMatmulPrecision('high');
      const refused = () => linear(x, weight);
      expect(refused).toThrow("linear: bf16 needs setMatmulPrecision('medium'); the precision is 'high'");
      expect(() => linear(whole([2, 8], 5), weight, null, { dtype: 'bf16' })).toThrow(ExecutorError);
      setMatmulPrecision('medium');
      expect(() => linear(x, cast(weight, 'f64'))).toThrow(
        'linear: x is bf16, weight, bias and residual f64; expected f32',
      );
      expect(() => linear(x, inBf16(weight))).toThrow('linear: takes no bf16, given bf16 (3, 8)');
      expect(() => linear(x, weight, null, { dtype: 'i32' })).toThrow(
        "linear: the result of f32 has dtype 'f32' or 'bf16', given 'i32'",
      );
      const double = cast(weight, 'f64');
      expect(() => linear(double, double, null, { dtype: 'bf16' })).toThrow(ExecutorError);
    });

    it('keeps its precision in a backward pass after another one was set', () => {
      const x = asLeaf(inBf16(whole([2, 8], 5)));
      const y = sum(linear(x, whole([3, 8], 7)));
      setMatmulPrecision('highest');
      y.backward();
      setMatmulPrecision('medium');
      expect(x.grad!.dtype).toBe('bf16');
    });
  });

  describe('layerNorm', () => {
    // Rows of a warp, of a block, and longer ones; with and without whole fours.
    it.each([20, 21, 300, 303, 2100])('writes the numbers of f32, rounded, in rows of %d', (n) => {
      const [x, weight, bias] = [asLeaf(random([3, n], 1)), asLeaf(random([n], 2)), asLeaf(random([n], 3))];
      const gradient = random([3, n], 4);
      const expected = layerNorm(x, weight, bias);
      expected.backward(gradient);
      const gradients = [x, weight, bias].map((t) => values(t.grad!));
      for (const t of [x, weight, bias]) t.zeroGrad();
      const y = layerNorm(x, weight, bias, 1e-5, { dtype: 'bf16' });
      expect(values(y)).toEqual(values(cast(expected, 'bf16')));
      y.backward(inBf16(gradient));
      expect([x, weight, bias].map((t) => values(t.grad!))).toEqual(gradients);
      expect(x.grad!.dtype).toBe('f32');
    });

    it('takes no bf16', () => {
      const weight = random([4], 1);
      expect(() => layerNorm(inBf16(random([2, 4], 2)), weight)).toThrow('layerNorm: takes no bf16');
      expect(() => layerNorm(weight, weight, null, 1e-5, { dtype: 'f64' })).toThrow(ExecutorError);
    });
  });

  describe('causalAttention', () => {
    // One tile and more, heads of whole fours and not, of all widths that kernels are made for.
    it.each<[number, number, number]>([
      [10, 2, 16],
      [70, 2, 16],
      [40, 2, 10],
      [33, 1, 50],
      [35, 1, 100],
    ])('has the numbers of f32, rounded: %d positions, %d heads, %d wide', (time, heads, channels) => {
      for (const dropout of [0, 0.25]) {
        const options = { heads, dropout, seed: [5, 6] as const };
        const qkv = asLeaf(random([2, time, 3 * channels], 1));
        const rounded = asLeaf(inBf16(qkv));
        const gradient = random([2, time, channels], 2);
        const expected = causalAttention(qkv, options);
        const actual = causalAttention(rounded, options);
        expect(actual.dtype).toBe('bf16');
        expect(values(actual)).toEqual(values(cast(expected, 'bf16')));
        expected.backward(gradient);
        actual.backward(inBf16(gradient));
        expect(rounded.grad!.dtype).toBe('bf16');
        // Of longer sequences than a tile the backward pass reads y, rounded: the gradient of a score is off by 2^-9 of y·dy, a sum of up to 50
        // terms of about 1 with random signs, times a number of about 1.
        expectNear(rounded.grad!, qkv.grad!, 2 ** -9 * 8);
      }
    });
  });

  describe('the working copy of a weight', () => {
    const identity = (n: number): Tensor => inBf16(executor.eye(n, n, { device }));
    /** The weight as a product reads it. */
    const read = (weight: Tensor): number[] => values(linear(identity(weight.shape[1]!), weight));
    const rounded = (weight: Tensor): number[] => values(cast(executor.transpose(weight.detach()), 'bf16'));
    const settings = { lr: 0.1, step: 1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1 };
    const parameter = (seed: number) => {
      const w = asLeaf(randn([12, 16], { seed: [seed, 1], device }));
      w.grad = randn([12, 16], { seed: [seed, 2], device });
      return { w, m: zeros([12, 16], { device }), v: zeros([12, 16], { device }) };
    };

    it('is that of the weight after adamW, set, assign and a change by a view', () => {
      const { w, m, v } = parameter(1);
      const seen = new Set<string>();
      const check = (): void => {
        expect(read(w)).toEqual(rounded(w));
        seen.add(String(read(w)));
      };
      check();
      adamW(w, m, v, settings);
      check();
      w.set(randn([12, 16], { seed: [9, 1], device }).dataSync());
      check();
      noGrad(() => w.assign(randn([12, 16], { seed: [10, 1], device })));
      check();
      adamW(w, m, v, { ...settings, step: 2 });
      check();
      w.detach().set(new Float32Array(12 * 16).fill(1.003));
      check();
      expect(seen.size).toBe(6);
    });

    const emulated = onEmulator ? it : it.skip;
    emulated('is made at first use and after other changes alone: adamW writes both', () => {
      const { w, m, v } = parameter(2);
      const x = identity(16);
      const kernels = (): number => {
        const before = emulator().counts().kernels;
        linear(x, w);
        return emulator().counts().kernels - before;
      };
      const first = kernels();
      const again = kernels();
      expect(first).toBe(again + 1);
      adamW(w, m, v, settings);
      expect(kernels()).toBe(again);
      w.set(new Float32Array(12 * 16));
      expect(kernels()).toBe(again + 1);
      // Nothing is kept of a weight that does not learn.
      const fixed = w.detach();
      for (let i = 0; i < 2; i++) {
        const before = emulator().counts().kernels;
        linear(x, fixed);
        expect(emulator().counts().kernels - before).toBe(again + 1);
      }
    });

    emulated('is freed with the weight', () => {
      const { w } = parameter(3);
      executor.emptyPool();
      read(w);
      const pooled = (): number => executor.memoryStats().pooled;
      executor.emptyPool();
      const before = pooled();
      w.dispose();
      expect(pooled()).toBe(before + 2);
    });

    it('has memory of its own size, and that of the result of a step is freed with it', () => {
      const [rows, a] = [inBf16(executor.eye(64, 64, { device })), randn([64, 64], { seed: [7, 1], device })];
      // A large block that the pool would give.
      executor.scope(() => void zeros([64 * 1024], { device }));
      const leaf = asLeaf(randn([64, 64], { seed: [7, 2], device }));
      linear(rows, leaf);
      expect(leaf.buffer.copy!.storage!.capacity).toBe(2 * 64 * 64);
      const step = executor.recordStep(({ x }: Record<'x', Tensor>) => mul(x, 2));
      const copies = Array.from({ length: 5 }, () => {
        const result = step({ x: a });
        result.requiresGrad = true;
        executor.scope(() => void linear(rows, result));
        return result.buffer.copy!;
      });
      expect(copies.map(({ storage }) => storage === null)).toEqual([true, true, true, true, false]);
      step.release();
    });

    /** Steps of one weight, with changes by the host between them; → the weight and the losses. */
    function train(isRecorded: boolean, split: boolean) {
      const { w, m, v } = parameter(4);
      const learn = ({ x }: Record<'x', Tensor>): Tensor => {
        w.zeroGrad();
        const y = linear(inBf16(x), w, null, { activation: 'gelu', dtype: 'bf16' });
        const loss = sum(mul(cast(y, 'f32'), cast(y, 'f32')));
        loss.backward();
        return loss;
      };
      const update = ({ step }: Record<'step', Tensor>): void =>
        adamW(w, m, v, { ...settings, lr: 0.01, step });
      const both = (inputs: Record<'x' | 'step', Tensor>): Tensor => {
        const loss = learn(inputs);
        update(inputs);
        return loss;
      };
      const [first, second, whole] = [recordStep(learn), recordStep(update), recordStep(both)];
      const losses: number[] = [];
      for (let i = 1; i <= 8; i++) {
        const x = randn([6, 16], { seed: [i, 3], device });
        const step = tensor([i], [], { dtype: 'f64', device });
        if (!isRecorded) losses.push(both({ x, step }).item());
        else if (split) {
          losses.push(first({ x }).item());
          second({ step });
        } else losses.push(whole({ x, step }).item());
        // After the calls that trace, record and replay; the next step is the first to read what was set.
        if (i === 1 || i === 2 || i === 5) w.set(randn([12, 16], { seed: [i, 4], device }).dataSync());
        else expect(read(w)).toEqual(rounded(w));
      }
      for (const step of [first, second, whole]) step.release();
      return { losses, weight: values(w) };
    }

    it.each([true, false])('is right in recorded steps; learning and AdamW apart: %j', (split) => {
      expect(train(true, split)).toEqual(train(false, split));
    });

    it('is right in a recorded step that changes the weight before it reads it', () => {
      const run = (isRecorded: boolean) => {
        const { w, m, v } = parameter(5);
        const body = ({ x, step }: Record<'x' | 'step', Tensor>): Tensor => {
          adamW(w, m, v, { ...settings, step });
          return linear(inBf16(x), w);
        };
        const step = recordStep(body);
        const x = randn([6, 16], { seed: [1, 3], device });
        return [1, 2, 3, 4].map((i) => {
          const count = tensor([i], [], { dtype: 'f64', device });
          const y = isRecorded ? step({ x, step: count }) : body({ x, step: count });
          // Outside of the step there is a copy of it, too.
          return [values(y), read(w)];
        });
      };
      expect(run(true)).toEqual(run(false));
    });

    it('is made again after a recorded step that changes the weight without it', () => {
      const { w } = parameter(7);
      const step = recordStep(({ x }: Record<'x', Tensor>) => noGrad(() => w.assign(x)));
      for (let i = 0; i < 4; i++) {
        expect(read(w)).toEqual(rounded(w));
        step({ x: randn([12, 16], { seed: [i, 6], device }) });
      }
      expect(read(w)).toEqual(rounded(w));
    });

    it('takes a weight that is an input of a recorded step as it is in each call', () => {
      const step = recordStep(({ w }: Record<'w', Tensor>) => linear(identity(16), w));
      for (let i = 0; i < 4; i++) {
        const w = randn([12, 16], { seed: [i, 5], device });
        expect(values(step({ w }))).toEqual(rounded(w));
      }
    });

    emulated('costs no kernel beside the graph in steady state', () => {
      const { w, m, v } = parameter(6);
      const step = recordStep(({ x, count }: Record<'x' | 'count', Tensor>) => {
        w.zeroGrad();
        sum(linear(x, w)).backward();
        adamW(w, m, v, { ...settings, step: count });
      });
      const x = inBf16(randn([6, 16], { seed: [1, 3], device }));
      const launched = [1, 2, 3, 4].map((i) => {
        const before = emulator().counts().kernels;
        step({ x, count: i });
        return emulator().counts().kernels - before;
      });
      expect(launched[0]).toBeGreaterThan(0);
      expect(launched.slice(2)).toEqual([0, 0]);
    });
  });

  it('is refused by ops that have no kernel for it, by name', () => {
    const x = tensor([1, 2, 3, 4], [2, 2], { dtype: 'bf16', device });
    const floats = cast(x, 'f32');
    const index = tensor([0, 1], [2], { dtype: 'i32', device });
    const ops: Record<string, () => unknown> = {
      add: () => add(x, x),
      mul: () => mul(x, 2),
      exp: () => executor.exp(x),
      matmul: () => executor.matmul(x, x),
      sum: () => sum(x),
      mean: () => executor.mean(x),
      cumsum: () => executor.cumsum(x, 0),
      cumprod: () => executor.cumprod(x, 0),
      softmax: () => executor.softmax(x),
      dropout: () => executor.dropout(x, 0.5, [1, 2]),
      embedding: () => executor.embedding(x, index),
      gather: () => executor.gather(x, index),
      crossEntropy: () => executor.crossEntropy(x, index),
      argmax: () => executor.argmax(x),
      max: () => executor.max(x),
      where: () => executor.where(x, floats, floats),
      narrow: () => executor.narrow(x, 0, 0, 1),
      slice: () => executor.slice(x, 0, 0, 1),
      cat: () => executor.cat([x, x], 0),
      expand: () => executor.expand(x, [3, 2, 2]),
      permute: () => executor.permute(x, [1, 0]),
      equal: () => executor.equal(x, x),
      adamW: () => adamW(x, x, x, { lr: 1, step: 1, beta1: 0, beta2: 0, eps: 1, weightDecay: 0 }),
      executeDag: () => executor.executeDag({ V_mag: x, V_sign: x, O: x, G: x }),
      scaledDotProductAttention: () => executor.scaledDotProductAttention(x, x, x),
    };
    for (const [name, op] of Object.entries(ops))
      expect(op).toThrow(
        expect.objectContaining({
          code: 'dtype',
          message: expect.stringContaining(`${name}: takes no bf16`),
        }),
      );
    // Those that only look at the shape take it.
    expect(values(executor.reshape(x, [4]))).toEqual([1, 2, 3, 4]);
  });
});

it.each(devices.filter((other) => other !== 'cuda'))('bf16 is refused by %s', (other) => {
  const refused = expect.objectContaining({
    code: 'dtype',
    message: `bf16 is a dtype of the device 'cuda' alone, not of '${other}'`,
  });
  const x = zeros([2, 2], { device: other });
  expect(() => cast(x, 'bf16')).toThrow(refused);
  expect(() => zeros([2], { dtype: 'bf16', device: other })).toThrow(refused);
  expect(() => tensor([1], [1], { dtype: 'bf16', device: other })).toThrow(refused);
  expect(() => layerNorm(x, zeros([2], { device: other }), null, 1e-5, { dtype: 'bf16' })).toThrow(refused);
  setMatmulPrecision('medium');
  expect(() => linear(x, x, null, { dtype: 'bf16' })).toThrow(refused);
  setMatmulPrecision('highest');
});
