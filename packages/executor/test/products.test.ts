/** Matrix products, linear layers and attention of every backend against `reference`, over random shapes. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Backend, MatmulSpec, Storage, Target } from '../src/backend.js';
import { backendOf } from '../src/devices.js';
import type { Activation } from '../src/elementwise.js';
import { setNumThreads, type DType } from '../src/index.js';
import { devices, runsOn } from './devices.js';

const reference = backendOf('reference');
const seeds = fc.nat();
/** Sizes of 1, odd ones, and some on both sides of the register tiles of the native kernels, or of their blocks. */
const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(63, 64, 65, 97));
const terms = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(64, 255, 256, 257, 300));

function filled(backend: Backend, dtype: DType, length: number, seed: number): Storage {
  const storage = backend.allocate(dtype, length);
  // A linear congruential generator (Lehmer 1951): numbers from −1 to 1.
  let state = (seed % 0x7ffffffe) + 1;
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    state = (state * 48271) % 0x7fffffff;
    values[i] = state / 0x3fffffff - 1;
  }
  backend.write(storage, values);
  return storage;
}

/** Sums of `terms` numbers of about 1 in another order: each addition rounds a partial sum, by a unit in its last place. */
function expectClose(actual: Storage, expected: Storage, backend: Backend, terms: number): void {
  const [a, e] = [backend.readSync(actual), reference.readSync(expected)];
  const unit = a instanceof Float64Array ? 2 ** -52 : 2 ** -23;
  const allowed = unit * (8 + terms);
  let worst = 0;
  for (let i = 0; i < e.length; i++) {
    const difference = Math.abs(a[i]! - e[i]!) / Math.max(1, Math.abs(e[i]!));
    if (!(difference <= worst)) worst = difference;
  }
  expect(a.length).toBe(e.length);
  expect(worst).toBeLessThanOrEqual(allowed);
}

/** Where the native kernels are missing (test/cpu.test.ts says why), `reference` still has to keep its own promises. */
const compared = devices.length > 1 ? devices.slice(1) : devices;

describe.each(compared)('on %s', (device) => {
  const backend = backendOf(device);
  const runs = { numRuns: runsOn(device, 30) };
  /** Runs `body` on both backends, each with its own storages, and → both results. */
  const both = <T>(body: (on: Backend) => T): [T, T] => [body(backend), body(reference)];
  const sameBits = (body: (on: Backend) => Storage[]): void => {
    const results = [1, 2, 3].map((threads) => {
      setNumThreads(threads);
      return body(backend).map((s) => Buffer.from(backend.readSync(s).buffer));
    });
    setNumThreads(2);
    for (const others of results.slice(1))
      for (const [k, bits] of others.entries()) expect(bits.equals(results[0]![k]!)).toBe(true);
  };

  const product = (
    on: Backend,
    dtype: DType,
    spec: MatmulSpec,
    accumulate: boolean,
    seed: number,
  ): Storage => {
    const { batch, m, n, k, strideA, strideB, strideC } = spec;
    const length = (one: number, stride: number): number => (stride === 0 ? one : one * batch);
    const a = filled(on, dtype, length(m * k, strideA), seed);
    const b = filled(on, dtype, length(k * n, strideB), seed + 1);
    const c = filled(on, dtype, length(m * n, strideC), seed + 2);
    on.matmul(spec, a, b, { storage: c, accumulate });
    return c;
  };

  it.each<DType>(['f32', 'f64'])('matmul, every transpose, batched, added or not, in %s', (dtype) => {
    const flags = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean());
    const strides = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom('none', 'a', 'b', 'c'));
    fc.assert(
      fc.property(
        size,
        size,
        terms,
        flags,
        strides,
        seeds,
        (m, n, k, [tA, tB, accumulate], [batch, shared], seed) => {
          const stride = (which: string, one: number): number => (shared === which ? 0 : one);
          const spec: MatmulSpec = {
            ...{ batch, m, n, k, transposeA: tA, transposeB: tB },
            ...{ strideA: stride('a', m * k), strideB: stride('b', k * n), strideC: stride('c', m * n) },
          };
          const [c, expected] = both((on) => product(on, dtype, spec, accumulate, seed));
          expectClose(c, expected, backend, k * (shared === 'c' ? batch : 1));
        },
      ),
      runs,
    );
  });

  it('matmul gives the same bits whatever the number of threads', () => {
    const spec = { batch: 1, m: 203, n: 130, k: 300, strideA: 0, strideB: 0, strideC: 0 };
    sameBits((on) =>
      [true, false].flatMap((transposeA) =>
        [true, false].map((transposeB) => product(on, 'f32', { ...spec, transposeA, transposeB }, false, 5)),
      ),
    );
  });

  it('matmul of matrices without elements writes zeros', () => {
    const spec = { batch: 1, m: 3, n: 2, k: 0, transposeA: false, transposeB: false };
    const c = product(backend, 'f32', { ...spec, strideA: 0, strideB: 0, strideC: 0 }, false, 1);
    expect(Array.from(backend.readSync(c))).toEqual([0, 0, 0, 0, 0, 0]);
  });

  /** y and x·Wᵀ + b of a layer, then the gradients of both. */
  const layer = (
    on: Backend,
    dtype: DType,
    [m, n, k]: readonly [number, number, number],
    options: {
      activation: Activation | null;
      dropout: number;
      bias: boolean;
      residual: boolean;
      accumulate: boolean;
    },
    seed: number,
  ): Storage[] => {
    const { activation, dropout } = options;
    const spec = { m, n, k, activation, dropout, seed: [seed, 7] as const };
    const [x, weight] = [filled(on, dtype, m * k, seed), filled(on, dtype, n * k, seed + 1)];
    const bias = options.bias ? filled(on, dtype, n, seed + 2) : null;
    const residual = options.residual ? filled(on, dtype, m * n, seed + 3) : null;
    const y = on.allocate(dtype, m * n);
    const preactivation = activation ? on.allocate(dtype, m * n) : null;
    on.linear(spec, x, weight, bias, residual, y, preactivation);
    const gradY = filled(on, dtype, m * n, seed + 4);
    const gradSum = activation || dropout > 0 ? on.allocate(dtype, m * n) : null;
    const gradBias: Target = { storage: filled(on, dtype, n, seed + 5), accumulate: options.accumulate };
    on.linearBackward(spec, gradY, preactivation, gradSum, options.bias ? gradBias : null);
    return [y, gradBias.storage, ...[preactivation, gradSum].filter((s) => s !== null)];
  };

  it.each<DType>(['f32', 'f64'])('linear with bias, an activation, dropout and residual, in %s', (dtype) => {
    const options = fc.record({
      activation: fc.constantFrom<Activation | null>(null, 'gelu', 'geluTanh'),
      dropout: fc.constantFrom(0, 0.1, 0.5),
      bias: fc.boolean(),
      residual: fc.boolean(),
      accumulate: fc.boolean(),
    });
    fc.assert(
      fc.property(size, size, terms, options, seeds, (m, n, k, of, seed) => {
        const [actual, expected] = both((on) => layer(on, dtype, [m, n, k], of, seed));
        actual.forEach((s, i) => expectClose(s, expected[i]!, backend, k + m));
      }),
      runs,
    );
  });

  it.each<Activation | null>([null, 'gelu', 'geluTanh'])(
    'the gradient of a bias over many rows and columns, before it %s',
    (activation) => {
      for (const [m, n] of [
        [150, 132],
        [600, 8],
        [0, 9],
        [1, 131],
      ] as const) {
        const options = { activation, dropout: 0.3, bias: true, residual: false, accumulate: n === 8 };
        const [actual, expected] = both((on) => layer(on, 'f32', [m, n, 2], options, 8));
        actual.forEach((s, i) => expectClose(s, expected[i]!, backend, 2 + m));
      }
    },
  );

  const withMatmulBackward = backend.matmulBackward ? it.each : it.skip.each;
  withMatmulBackward<[Activation, DType]>([
    ['gelu', 'f32'],
    ['gelu', 'f64'],
    ['geluTanh', 'f32'],
    ['geluTanh', 'f64'],
  ])('the gradient before %s, by the product that makes the one after it, in %s', (activation, dtype) => {
    fc.assert(
      fc.property(size, fc.oneof(size, fc.constant(132)), terms, seeds, (m, n, k, seed) => {
        const spec = { batch: 1, m, n, k, transposeA: false, transposeB: false };
        const gradient = (on: Backend): Storage => {
          const [a, b] = [filled(on, dtype, m * k, seed), filled(on, dtype, k * n, seed + 1)];
          const preactivation = filled(on, dtype, m * n, seed + 2);
          const y = on.allocate(dtype, m * n);
          const product = { ...spec, strideA: 0, strideB: 0, strideC: 0 };
          if (on.matmulBackward) {
            on.matmulBackward(product, a, b, activation, preactivation, y);
            return y;
          }
          const gradY = on.allocate(dtype, m * n);
          on.matmul(product, a, b, { storage: gradY, accumulate: false });
          on.linearBackward({ m, n, k, activation, dropout: 0, seed: [0, 0] }, gradY, preactivation, y, null);
          return y;
        };
        const [actual, expected] = both(gradient);
        expectClose(actual, expected, backend, k);
      }),
      runs,
    );
  });

  it('a row of a product and of a layer has the same bits however many rows there are', () => {
    const [rows, n, k] = [70, 6, 300] as const;
    const options = {
      activation: 'gelu' as const,
      dropout: 0,
      bias: true,
      residual: true,
      accumulate: false,
    };
    const spec = { batch: 1, n, k, transposeA: false, transposeB: true, strideA: 0, strideB: 0, strideC: 0 };
    // Rows come first in what `filled` draws, so that the first of them are the same for any number.
    const first = (m: number) => [
      ...backend.readSync(product(backend, 'f32', { ...spec, m, k: 7 }, false, 5)).slice(0, n),
      ...backend.readSync(layer(backend, 'f32', [m, n, k], options, 5)[0]!).slice(0, n),
    ];
    expect(first(1)).toEqual(first(rows));
    expect(first(2)).toEqual(first(rows));
    // Long sums of few rows are not cut in parts that more rows would not have.
    const long = { ...spec, m: 2, k: 1100 };
    const bits = (strideC: number) =>
      backend.readSync(product(backend, 'f32', { ...long, strideC }, false, 5));
    expect(bits(0)).toEqual(bits(2 * n));
  });

  it('products of many tiles, in both directions', () => {
    for (const [m, n] of [
      [1100, 70],
      [70, 1100],
      [2200, 140],
    ] as const) {
      const spec = {
        batch: 1,
        m,
        n,
        k: 5,
        transposeA: false,
        transposeB: true,
        strideA: 0,
        strideB: 0,
        strideC: 0,
      };
      const [c, expected] = both((on) => product(on, 'f32', spec, false, 3));
      expectClose(c, expected, backend, 5);
    }
  });

  it('linear gives the same bits whatever the number of threads', () => {
    const options = {
      activation: 'gelu' as const,
      dropout: 0.2,
      bias: true,
      residual: true,
      accumulate: false,
    };
    sameBits((on) => layer(on, 'f32', [317, 130, 70], options, 3));
  });

  const attended = (
    on: Backend,
    dtype: DType,
    [batch, time, heads, width]: readonly [number, number, number, number],
    dropout: number,
    accumulate: boolean,
    seed: number,
  ): Storage[] => {
    const channels = heads * width;
    const spec = { batch, time, channels, heads, dropout, seed: [seed, 9] as const };
    const qkv = filled(on, dtype, batch * time * 3 * channels, seed);
    const y = on.allocate(dtype, batch * time * channels);
    const logSums = on.allocate(dtype, batch * heads * time);
    on.attention(spec, qkv, y, logSums);
    const gradY = filled(on, dtype, batch * time * channels, seed + 1);
    const gradQkv = { storage: filled(on, dtype, batch * time * 3 * channels, seed + 2), accumulate };
    on.attentionBackward(spec, qkv, y, logSums, gradY, gradQkv);
    return [y, logSums, gradQkv.storage];
  };

  it.each<DType>(['f32', 'f64'])('causalAttention, with and without dropout, in %s', (dtype) => {
    const time = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(63, 64, 65, 100));
    const shape = fc.tuple(
      fc.integer({ min: 1, max: 3 }),
      time,
      fc.integer({ min: 1, max: 3 }),
      fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(32, 48, 64, 65)),
    );
    fc.assert(
      fc.property(
        shape,
        fc.constantFrom(0, 0.1, 0.5),
        fc.boolean(),
        seeds,
        (of, dropout, accumulate, seed) => {
          const [actual, expected] = both((on) => attended(on, dtype, of, dropout, accumulate, seed));
          // Scores are sums over the width, gradients over the time besides, and probabilities multiply both.
          actual.forEach((s, i) => expectClose(s, expected[i]!, backend, of[1] + of[3]));
        },
      ),
      runs,
    );
  });

  it.each<DType>(['f32', 'f64'])('causalAttention of one tile of a kernel, and of a few, in %s', (dtype) => {
    for (const time of [1, 31, 32, 33, 64])
      for (const width of [8, 24, 64, 80, 128])
        for (const dropout of [0, 0.3]) {
          const accumulate = (dropout === 0) === (time % 2 === 0);
          const [actual, expected] = both((on) =>
            attended(on, dtype, [1, time, 2, width], dropout, accumulate, time),
          );
          actual.forEach((s, i) => expectClose(s, expected[i]!, backend, time + width));
        }
  });

  it('a row of causalAttention has the same bits however many rows follow', () => {
    const rows = (time: number) =>
      backend.readSync(attended(backend, 'f32', [1, time, 1, 20], 0, false, 3)[0]!);
    // Queries, keys and values of a position come first in what `filled` draws.
    expect(rows(32).slice(0, 5 * 20)).toEqual(rows(5));
    expect(rows(70).slice(0, 32 * 20)).toEqual(rows(32));
  });

  it('causalAttention gives the same bits whatever the number of threads', () => {
    sameBits((on) => attended(on, 'f32', [3, 70, 4, 24], 0.1, false, 11));
  });
});
