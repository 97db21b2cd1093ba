/** The native kernels of the DAG step against the reference backend, which is dag/step.ts. */
import { afterAll, describe, expect, it } from '@jest/globals';
import type { DagTensors } from '@dag/tensorize';
import fc from 'fast-check';
import {
  backendInfo,
  execute,
  executeDag,
  executeWithGradients,
  setNumThreads,
  sum,
  tensor,
  type DagGradients,
  type Device,
  type DType,
} from '../src/index.js';
import { devices, runsOn } from './devices.js';

const native = devices.filter((device) => device !== 'reference');
const FIELDS = ['V_mag', 'V_sign', 'O', 'G'] as const;

/** Uniform numbers in [0, 1) of a seed. */
function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Kind {
  /** Magnitude, sign, coefficient and gate, each drawn from uniform numbers. */
  readonly magnitude: (u: () => number) => number;
  readonly sign: (u: () => number) => number;
  readonly coefficient: (u: () => number) => number;
  readonly gate: (u: () => number) => number;
  /** Share of the terms of a step that take part. */
  readonly density: number;
}

const oneOf =
  (...values: readonly number[]) =>
  (u: () => number) =>
    values[Math.floor(u() * values.length)]!;
const between = (low: number, high: number) => (u: () => number) => low + (high - low) * u();
const edges = oneOf(0, 1, 2, 1e300, 1e-300, 5e-324, 2 ** -1022, Number.MAX_VALUE, Infinity, 0.1);
const anySize = (u: () => number) => (u() < 0.3 ? edges(u) : 10 ** between(-12, 12)(u));

function rarely(draw: (u: () => number) => number, mostly: typeof draw): typeof draw {
  return (u) => (u() < 0.001 ? draw(u) : mostly(u));
}

function graphs(depth: number, size: number, shared: boolean, seed: number, kind: Kind): DagTensors {
  const u = uniforms(seed);
  const plans = shared ? 1 : size;
  const fill = (n: number, draw: (u: () => number) => number) =>
    Float64Array.from({ length: n }, () => draw(u));
  return {
    depth,
    size,
    V_mag: fill(size * 2 * depth, kind.magnitude),
    V_sign: fill(size * 2 * depth, kind.sign),
    O: fill(plans * 2 * depth * depth, (u) => (u() < kind.density ? kind.coefficient(u) : 0)),
    G: fill(plans * depth, kind.gate),
  };
}

const hard: Kind = {
  magnitude: between(0.1, 10),
  sign: oneOf(1, -1),
  coefficient: oneOf(1, -1),
  gate: oneOf(0, 1),
  density: 0.35,
};
const hardAtTheEdges: Kind = { ...hard, magnitude: anySize, density: 0.6 };
const wholeCoefficients: Kind = {
  ...hardAtTheEdges,
  coefficient: oneOf(1, -1, 2, -2, 3, -3, 5, -16, 17, -40, 1000),
};
const squares: Kind = { ...hard, magnitude: anySize, coefficient: oneOf(1, -1, 2, -2) };
const softSigns: Kind = { ...hard, sign: oneOf(1, -1, 0.5, 0, -0.25) };
const soft: Kind = {
  magnitude: between(0.5, 2),
  sign: between(-0.9, 0.9),
  coefficient: between(-0.8, 0.8),
  gate: between(0.1, 0.9),
  density: 1,
};
/** Operations, but for one of a thousand numbers: at depth 4 about every second warp has one. */
const nearlyHard: Kind = {
  magnitude: rarely(
    oneOf(NaN, 2 ** 60, 2 ** -60, 2 ** 59.9, 2 ** -61, 1e-300, 5e-324, Infinity),
    hard.magnitude,
  ),
  sign: rarely(oneOf(0.5, 0, -0.25), hard.sign),
  coefficient: rarely(oneOf(2, -2), hard.coefficient),
  gate: hard.gate,
  density: 0.35,
};
/** So that zeros meet all operations. */
const nearlyHardWithZeros: Kind = {
  ...nearlyHard,
  magnitude: (u) => (u() < 0.3 ? 0 : nearlyHard.magnitude(u)),
  density: 0.5,
};
/** Hard and soft rows side by side in one block. */
const mixed: Kind = {
  magnitude: anySize,
  sign: oneOf(1, -1, 1, -1, 0.5),
  coefficient: oneOf(1, -1, 1, -1, 2, 0.5),
  gate: oneOf(0, 1, 0, 1, 0.5),
  density: 0.3,
};

const extremes = oneOf(
  0,
  -0,
  1,
  2,
  3,
  7,
  -1,
  -2.5,
  5e-324,
  1e-300,
  1e300,
  Number.MAX_VALUE,
  Infinity,
  -Infinity,
  NaN,
);
/** Whatever numbers there are under whole coefficients: negative magnitudes, unread nodes that are infinite. */
const anyHard: Kind = {
  magnitude: (u) => (u() < 0.4 ? extremes(u) : between(0.1, 10)(u)),
  sign: hard.sign,
  coefficient: (u) => (u() < 0.7 ? oneOf(1, -1, 2, -2)(u) : oneOf(17, -18, 31, 59, -59, 1000, -1000)(u)),
  gate: hard.gate,
  density: 0.35,
};
const anySoft: Kind = {
  ...anyHard,
  sign: (u) => (u() < 0.1 ? oneOf(0, 0.5, Infinity, NaN)(u) : oneOf(1, -1)(u)),
  coefficient: oneOf(0.5, -0.5, 1, -1, 2, 1.5),
  gate: oneOf(0, 1, 0.5),
};

interface Run {
  readonly values: ArrayLike<number>;
  readonly gradients: Record<(typeof FIELDS)[number], ArrayLike<number>>;
}

const upstreamOf = (size: number) =>
  Float64Array.from({ length: size }, (_, row) => (row % 7 === 6 ? 0 : row % 2 ? 1 : row - 3.5));

/** Through tensors; every second row has an upstream of its own, every seventh of 0. */
function run(
  device: Device,
  g: DagTensors,
  dtype: DType,
  { passes = 1, maxLog = Infinity, upstream = upstreamOf(g.size) } = {},
): Run {
  const { depth: D, size: N } = g;
  const shared = g.G.length !== N * D || N === 1;
  const leaf = (data: Float64Array, shape: number[]) =>
    tensor(data, shape, { dtype, device, requiresGrad: true });
  const fields = {
    V_mag: leaf(g.V_mag, [N, 2 * D]),
    V_sign: leaf(g.V_sign, [N, 2 * D]),
    O: leaf(g.O, shared ? [D, 2 * D] : [N, D, 2 * D]),
    G: leaf(g.G, shared ? [D] : [N, D]),
  };
  let values: ArrayLike<number> = [];
  for (let pass = 0; pass < passes; pass++) {
    const out = executeDag(fields, { maxLog });
    values = out.dataSync();
    out.backward(tensor(upstream, [N], { device }));
  }
  return { values, gradients: mapFields((field) => fields[field].grad!.dataSync()) };
}

function expectSameBits(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++)
    if (!Object.is(actual[i], expected[i]))
      throw new Error(`element ${i} of ${expected.length} is ${actual[i]}, expected ${expected[i]}`);
  expect(actual).toHaveLength(expected.length);
}

/** |actual − expected| ≤ relative·|expected| + absolute. */
const expectWithin =
  (relative: number, absolute: number) => (actual: ArrayLike<number>, expected: ArrayLike<number>) => {
    for (let i = 0; i < expected.length; i++) {
      const [x, y] = [actual[i]!, expected[i]!];
      if (!Object.is(x, y) && !(Math.abs(x - y) <= relative * Math.abs(y) + absolute))
        throw new Error(`element ${i} of ${expected.length} is ${x}, expected ${y}`);
    }
    expect(actual).toHaveLength(expected.length);
  };

/** Two units in the last place, also of the smallest numbers. */
const lastBits = (dtype: DType): [number, number] =>
  dtype === 'f32' ? [2 ** -22, 2 ** -148] : [2 ** -51, 2 ** -1073];

const sizes = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 21, max: 150 }));
const cases = fc.record({
  depth: fc.integer({ min: 1, max: 9 }),
  size: sizes,
  shared: fc.boolean(),
  seed: fc.nat(),
  dtype: fc.constantFrom<DType>('f32', 'f64'),
  maxLog: fc.constantFrom(Infinity, Infinity, 100, 2),
});

afterAll(() => setNumThreads(2));

describe.each(native)('on %s', (device) => {
  it(`runs the kernels of ${backendInfo(device).variant ?? backendInfo(device).name}`, () => {
    const asked = process.env['DAG_CPU_VARIANT'];
    if (asked && device === 'cpu') expect(backendInfo(device).variant).toBe(asked);
  });

  it.each<[string, Kind]>([
    ['operations', hard],
    ['operations on zeros, infinite, tiny and huge numbers', hardAtTheEdges],
    ['whole coefficients', wholeCoefficients],
    ['soft signs', softSigns],
  ])('values of hard plans have the bits of the reference: %s', (_, kind) => {
    fc.assert(
      fc.property(cases, ({ depth, size, shared, seed, maxLog }) => {
        const g = graphs(depth, size, shared, seed, kind);
        expectSameBits(execute(g, { backend: device, maxLog }), execute(g, { backend: 'reference', maxLog }));
      }),
      { numRuns: 60 },
    );
  });

  it.each<[string, Kind]>([
    ['operations', hard],
    ['operations on zeros, infinite, tiny and huge numbers', hardAtTheEdges],
    ['squares', squares],
  ])('gradients of hard plans have the bits of the reference: %s', (_, kind) => {
    fc.assert(
      fc.property(cases, ({ depth, size, seed, dtype, maxLog }) => {
        const g = graphs(depth, size, false, seed, kind);
        const expected = run('reference', g, dtype, { maxLog });
        const actual = run(device, g, dtype, { maxLog });
        expectSameBits(actual.values, expected.values);
        for (const field of ['V_mag', 'V_sign', 'G'] as const)
          expectSameBits(actual.gradients[field], expected.gradients[field]);
        // E·Q·ln m: the logarithms differ in the last bit.
        expectWithin(...lastBits(dtype))(actual.gradients.O, expected.gradients.O);
      }),
      { numRuns: 60 },
    );
  });

  it.each<[string, Kind]>([
    ['operations', nearlyHard],
    ['operations, also on zeros', nearlyHardWithZeros],
  ])('so they are where few graphs of a warp are otherwise: %s', (_, kind) => {
    const upstreams = fc.constantFrom(0, -0, 1, 1e-300, 2 ** 58, -(2 ** 59), 1e300, Infinity, NaN);
    fc.assert(
      fc.property(cases, upstreams, fc.nat(149), ({ size, seed, dtype, maxLog }, upstream, at) => {
        const g = graphs(4, size, false, seed, kind);
        const upstreamWith = upstreamOf(size).map((x, row) => (row === at ? upstream : x));
        const [expected, actual] = (['reference', device] as const).map((on) =>
          run(on, g, dtype, { maxLog, upstream: upstreamWith }),
        ) as [Run, Run];
        expectSameBits(actual.values, expected.values);
        for (const field of ['V_mag', 'V_sign', 'G'] as const)
          expectSameBits(actual.gradients[field], expected.gradients[field]);
        expectWithin(...lastBits(dtype))(actual.gradients.O, expected.gradients.O);
      }),
      { numRuns: 200 },
    );
  });

  it('soft graphs among hard ones change nothing but themselves', () => {
    const size = 150;
    const [rows, others] = [graphs(4, size, false, 3, nearlyHard), graphs(4, size, false, 4, soft)];
    const isSoft = (row: number) => row % 50 === 7;
    const merge = (a: Float64Array, b: Float64Array) =>
      a.map((x, i) => (isSoft(Math.floor((i * size) / a.length)) ? b[i]! : x));
    const all = (g: DagTensors) => executeWithGradients(g, { backend: device, upstream: upstreamOf(size) });
    const merged = all({ ...rows, ...mapFields((field) => merge(rows[field], others[field])) });
    const [ofRows, ofOthers] = [all(rows), all(others)];
    for (const field of ['values', ...FIELDS] as const)
      expectSameBits(merged[field], merge(ofRows[field], ofOthers[field]));
  });

  it.each([16, 17, 31, 32, 33, 40])('so they are for graphs of depth %d', (depth) => {
    const g = graphs(depth, 21, false, depth, { ...hard, density: 2 / depth });
    const [expected, actual] = [run('reference', g, 'f32'), run(device, g, 'f32')];
    expectSameBits(actual.values, expected.values);
    for (const field of ['V_mag', 'V_sign', 'G'] as const)
      expectSameBits(actual.gradients[field], expected.gradients[field]);
    expectWithin(...lastBits('f32'))(actual.gradients.O, expected.gradients.O);
  });

  it.each([4, 8, 9, 10])(
    'and for graphs of depth %d, however many are left over for the last threads',
    (depth) => {
      for (const dtype of ['f32', 'f64'] as const)
        for (const size of [1, 31, 32, 33, 67])
          for (const shared of [false, true]) {
            const g = graphs(depth, size, shared, depth, { ...squares, density: 2 / depth });
            const [expected, actual] = [run('reference', g, dtype), run(device, g, dtype)];
            expectSameBits(actual.values, expected.values);
            for (const field of ['V_mag', 'V_sign'] as const)
              expectSameBits(actual.gradients[field], expected.gradients[field]);
            if (!shared) expectSameBits(actual.gradients.G, expected.gradients.G);
            if (!shared) expectWithin(...lastBits(dtype))(actual.gradients.O, expected.gradients.O);
          }
    },
  );

  it.each([4, 8, 9, 10])('soft plans of depth %d agree with it in f32 and f64', (depth) => {
    for (const dtype of ['f32', 'f64'] as const) {
      const g = graphs(depth, 33, false, 1, { ...soft, density: 0.5 });
      const [expected, actual] = [run('reference', g, dtype), run(device, g, dtype)];
      expectWithin(1e-12, 1e-12)(actual.values, expected.values);
      const tolerance = dtype === 'f32' ? 1e-6 : 1e-9;
      for (const field of FIELDS)
        expectWithin(tolerance, tolerance)(actual.gradients[field], expected.gradients[field]);
    }
  });

  it('few graphs of arrays have the bits of tensors, whichever gradients are wanted', () => {
    const wanted = fc.subarray(['values', ...FIELDS] as const, { minLength: 1 });
    const few = fc.record({
      depth: fc.integer({ min: 1, max: 9 }),
      size: fc.integer({ min: 1, max: 12 }),
      shared: fc.boolean(),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(few, wanted, ({ depth, size, shared, seed }, names) => {
        const g = graphs(depth, size, shared, seed, hardAtTheEdges);
        const { values, gradients } = run(device, g, 'f64');
        const expected: Record<keyof DagGradients, ArrayLike<number>> = { values, ...gradients };
        const upstream = upstreamOf(size);
        const all = executeWithGradients(g, { backend: device, upstream });
        for (const name of ['values', ...FIELDS] as const) expectSameBits(all[name], expected[name]);
        const out: Partial<Record<keyof DagGradients, Float64Array>> = {};
        for (const name of names) out[name] = new Float64Array(expected[name].length).fill(NaN);
        executeWithGradients(g, { backend: device, upstream, out });
        for (const name of names) expectSameBits(out[name]!, expected[name]);
        expectSameBits(execute(g, { backend: device }), values);
      }),
      { numRuns: 200 },
    );
  });

  it('every hard plan has one value on all devices, alone and with gradients', () => {
    fc.assert(
      fc.property(cases, ({ depth, size, shared, seed, maxLog }) => {
        const g = graphs(depth, size, shared, seed, anyHard);
        const expected = execute(g, { backend: 'reference', maxLog });
        expectSameBits(execute(g, { backend: device, maxLog }), expected);
        for (const backend of ['reference', device] as const)
          expectSameBits(executeWithGradients(g, { backend, maxLog }).values, expected);
      }),
      { numRuns: runsOn(device, 60) },
    );
  });

  it('gradients are NaN where the reference has them, and nowhere else', () => {
    const upstreams = fc.constantFrom(0, 1, -1e300, Infinity, NaN);
    fc.assert(
      fc.property(
        cases,
        upstreams,
        fc.constantFrom(anyHard, anySoft),
        ({ depth, size, seed }, upstream, kind) => {
          const g = graphs(depth, size, false, seed, kind);
          const upstreamWith = upstreamOf(size).map((x, row) => (row % 3 === 0 ? upstream : x));
          const [expected, actual] = (['reference', device] as const).map((backend) =>
            executeWithGradients(g, { backend, upstream: upstreamWith }),
          ) as [DagGradients, DagGradients];
          for (const field of ['values', ...FIELDS] as const)
            expectSameBits(
              actual[field].map((x) => Number(Number.isNaN(x))),
              expected[field].map((x) => Number(Number.isNaN(x))),
            );
        },
      ),
      { numRuns: runsOn(device, 60) },
    );
  });

  it('there may be no graphs', () => {
    for (const depth of [4, 5]) {
      expect(execute(graphs(depth, 0, false, 1, hard), { backend: device })).toHaveLength(0);
      const { O, G, V_mag } = executeWithGradients(graphs(depth, 0, true, 1, hard), { backend: device });
      expect(V_mag).toHaveLength(0);
      for (const sums of [O, G]) expectSameBits(sums, new Float64Array(sums.length));
    }
  });

  it('sums go on where a launch has more graphs than threads', () => {
    const g = graphs(1, 65_536 + 40, true, 1, hard);
    const expected = run('reference', g, 'f64', { passes: 2 });
    const actual = run(device, g, 'f64', { passes: 2 });
    expectSameBits(actual.values, expected.values);
    for (const field of ['V_mag', 'V_sign'] as const)
      expectSameBits(actual.gradients[field], expected.gradients[field]);
    for (const field of ['O', 'G'] as const)
      expectWithin(1e-9, 0)(actual.gradients[field], expected.gradients[field]);
  });

  it('soft plans agree with the reference to what the rounding of their logarithms, powers and cosines leaves', () => {
    fc.assert(
      fc.property(cases, ({ depth, size, seed, maxLog }) => {
        const g = graphs(Math.min(depth, 5), size, false, seed, soft);
        const expected = run('reference', g, 'f64', { maxLog });
        const actual = run(device, g, 'f64', { maxLog });
        // Sums of terms of about 1 may cancel, so the errors of about 1e-15 a step are absolute ones. Near an
        // intermediate node of 0 the logarithm of the next step magnifies them, and its derivative 1/m does so twice.
        expectWithin(1e-12, 1e-12)(actual.values, expected.values);
        for (const field of FIELDS)
          expectWithin(1e-9, 1e-9)(actual.gradients[field], expected.gradients[field]);
      }),
      // Of one seed: among many thousand graphs some node comes so near to 0 that no bound of this kind would hold.
      { numRuns: 60, seed: 1 },
    );
  });

  it('sums the gradients of a shared plan over the rows', () => {
    fc.assert(
      fc.property(cases, ({ depth, size, seed, dtype }) => {
        const g = graphs(depth, size, true, seed, hard);
        const expected = run('reference', g, dtype);
        const actual = run(device, g, dtype);
        expectSameBits(actual.values, expected.values);
        expectSameBits(actual.gradients.V_mag, expected.gradients.V_mag);
        expectSameBits(actual.gradients.V_sign, expected.gradients.V_sign);
        // In another order: an error of the largest partial sum.
        const most = (field: 'O' | 'G') => Math.max(1, ...Array.from(sizeOfSums(g)[field]));
        for (const field of ['O', 'G'] as const)
          expectWithin(2 ** -20, most(field) * (dtype === 'f32' ? 1e-6 : 1e-13))(
            actual.gradients[field],
            expected.gradients[field],
          );
      }),
      { numRuns: 40 },
    );
  });

  it('gives each row the same bits, whatever rows lie around it and whatever the number of threads', () => {
    for (const kind of [hard, hardAtTheEdges, wholeCoefficients, nearlyHardWithZeros, soft, mixed]) {
      // Three pieces for the threads of `cpu`, which take 512 rows each; the last one is not whole, and no warp's either.
      const g = graphs(4, 1100, false, 7, kind);
      setNumThreads(2);
      const all = executeWithGradients(g, { backend: device });
      setNumThreads(1);
      expect(executeWithGradients(g, { backend: device })).toEqual(all);
      for (const [begin, end] of [
        [0, 1],
        [3, 4],
        [5, 17],
        [1023, 1040],
        [1099, 1100],
      ] as const) {
        const part = (data: Float64Array) =>
          data.subarray((data.length / g.size) * begin, (data.length / g.size) * end);
        const rows = { depth: 4, size: end - begin, ...mapFields((field) => part(g[field])) };
        const alone = executeWithGradients(rows, { backend: device });
        expectSameBits(alone.values, part(all.values));
        for (const field of FIELDS) expectSameBits(alone[field], part(all[field]));
        expectSameBits(execute(rows, { backend: device }), part(all.values));
      }
    }
  });

  it('gives a shared plan the same sums, whatever the number of threads', () => {
    for (const kind of [hard, soft]) {
      const g = graphs(3, 5000, true, 11, kind);
      setNumThreads(2);
      const two = executeWithGradients(g, { backend: device });
      setNumThreads(1);
      expect(executeWithGradients(g, { backend: device })).toEqual(two);
    }
  });

  it('adds to gradients that are there, and to one tensor that is two fields', () => {
    fc.assert(
      fc.property(cases, ({ depth, size, seed, dtype }) => {
        const g = graphs(depth, size, false, seed, hard);
        const expected = run('reference', g, dtype, { passes: 2 });
        const actual = run(device, g, dtype, { passes: 2 });
        for (const field of ['V_mag', 'V_sign', 'G'] as const)
          expectSameBits(actual.gradients[field], expected.gradients[field]);
        expectSameBits(both(device, g, dtype), both('reference', g, dtype));
      }),
      { numRuns: 30 },
    );
  });

  it('gives the same bits, whichever gradients are wanted', () => {
    for (const kind of [hard, hardAtTheEdges, soft])
      for (const shared of [false, true]) {
        const g = graphs(4, 61, shared, 5, kind);
        const all = executeWithGradients(g, { backend: device });
        for (const field of ['values', ...FIELDS] as const) {
          const out = { [field]: new Float64Array(all[field].length) };
          executeWithGradients(g, { backend: device, out });
          expectSameBits(out[field]!, all[field]);
        }
      }
  });

  it('writes every element of a result', () => {
    for (const shared of [false, true]) {
      const g = graphs(5, 37, shared, 3, hard);
      const upstream = g.V_mag.subarray(0, 37).map((x, row) => (row % 5 ? x : 0));
      const expected = executeWithGradients(g, { backend: device, upstream });
      const unwritten = (data: Float64Array) => new Float64Array(data.length).fill(NaN);
      const out: DagGradients = {
        values: unwritten(expected.values),
        ...mapFields((f) => unwritten(expected[f])),
      };
      expect(executeWithGradients(g, { backend: device, upstream, out })).toBe(out);
      expect(out).toEqual(expected);
    }
  });
});

describe.each(devices)('out on %s', (device) => {
  const g = graphs(3, 5, false, 1, hard);
  const all = executeWithGradients(g, { backend: device });

  it('receives what it has arrays for', () => {
    const out = { values: new Float64Array(5), G: new Float64Array(15) };
    expect(executeWithGradients(g, { backend: device, out })).toBe(out);
    expect(out).toEqual({ values: all.values, G: all.G });
    const values = new Float64Array(5);
    expect(execute(g, { backend: device, out: values })).toBe(values);
    expect(values).toEqual(all.values);
  });

  it('is refused where an array has another length', () => {
    expect(() => executeWithGradients(g, { backend: device, out: { O: new Float64Array(3) } })).toThrow(
      /executeWithGradients: out.O has 3 values for 5 graphs of depth 3, expected 90/,
    );
    expect(() => execute(g, { backend: device, out: new Float64Array(4) })).toThrow(
      /execute: out has 4 values for 5 graphs/,
    );
  });
});

/** The gradient of a tensor that serves as V_mag and as V_sign. */
function both(device: Device, g: DagTensors, dtype: DType): ArrayLike<number> {
  const { depth: D, size: N } = g;
  const V = tensor(g.V_sign, [N, 2 * D], { dtype, device, requiresGrad: true });
  const O = tensor(g.O, [N, D, 2 * D], { dtype, device });
  const G = tensor(g.G, [N, D], { dtype, device });
  sum(executeDag({ V_mag: V, V_sign: V, O, G })).backward();
  return V.grad!.dataSync();
}

/** Sums over the rows of the sizes of their gradients by a shared plan. */
function sizeOfSums({ depth, size, V_mag, V_sign, O, G }: DagTensors) {
  const repeat = (data: Float64Array) =>
    Float64Array.from({ length: data.length * size }, (_, i) => data[i % data.length]!);
  const each = executeWithGradients(
    { depth, size, V_mag, V_sign, O: repeat(O), G: repeat(G) },
    { backend: 'reference', upstream: upstreamOf(size) },
  );
  const total = (data: Float64Array, n: number) =>
    Float64Array.from({ length: n }, (_, i) =>
      data.reduce((sum, x, at) => (at % n === i ? sum + Math.abs(x) : sum), 0),
    );
  return { O: total(each.O, O.length), G: total(each.G, G.length) };
}

function mapFields<T>(f: (field: (typeof FIELDS)[number]) => T) {
  return { V_mag: f('V_mag'), V_sign: f('V_sign'), O: f('O'), G: f('G') };
}
