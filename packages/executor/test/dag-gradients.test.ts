import { describe, expect, it } from '@jest/globals';
import type { DagTensors } from '@dag/tensorize';
import fc from 'fast-check';
import {
  execute,
  executeDag,
  executeWithGradients,
  gradCheck,
  sum,
  tensor,
  type Tensor,
} from '../src/index.js';
import { batch, graph, linear, log, type Step } from './graphs.js';

/** A graph whose magnitudes, signs, coefficients and gates are all between their hard values. */
function softGraph(depth: number, seed: number): DagTensors {
  let state = seed >>> 0;
  const uniform = (low: number, high: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((high - low) * state) / 2 ** 32;
  };
  const fill = (n: number, low: number, high: number) =>
    Float64Array.from({ length: n }, () => uniform(low, high));
  return {
    depth,
    size: 1,
    V_mag: fill(2 * depth, 0.5, 2),
    V_sign: fill(2 * depth, -0.9, 0.9),
    O: fill(2 * depth * depth, -0.8, 0.8),
    G: fill(depth, 0.1, 0.9),
  };
}

/** Value of every intermediate node: that of the graph cut off after each step. */
function nodeValues(g: DagTensors): number[] {
  const D = g.depth;
  return Array.from({ length: D }, (_, i) => {
    // The remaining steps pass the result of step i on.
    const O = g.O.slice();
    const G = g.G.slice();
    for (let k = i + 1; k < D; k++) {
      O.fill(0, k * 2 * D, (k + 1) * 2 * D);
      O[k * 2 * D + D + k - 1] = 1;
      G[k] = 1;
    }
    return execute({ ...g, O, G })[0]!;
  });
}

const fieldNames = ['V_mag', 'V_sign', 'O', 'G'] as const;

/** The fields of one graph as leaves. */
function leaves({ depth: D, ...fields }: DagTensors): Record<(typeof fieldNames)[number], Tensor> {
  const leaf = (values: Float64Array, shape: number[]) => tensor(values, shape, { requiresGrad: true });
  return {
    V_mag: leaf(fields.V_mag, [1, 2 * D]),
    V_sign: leaf(fields.V_sign, [1, 2 * D]),
    O: leaf(fields.O, [1, D, 2 * D]),
    G: leaf(fields.G, [1, D]),
  };
}

/** Steps that read any nodes before them, most of them with coefficient 0. */
const stepsOf = (depth: number, gate: fc.Arbitrary<number>, coefficient: fc.Arbitrary<number>) =>
  fc.tuple(
    ...Array.from({ length: depth }, (_, i) =>
      fc
        .tuple(gate, fc.array(fc.tuple(fc.nat(depth + i - 1), coefficient), { maxLength: 4 }))
        .map(([g, terms]): Step => [g, Object.fromEntries(terms)]),
    ),
  );

const anyGraph = (
  depths: { min: number; max: number },
  number: fc.Arbitrary<number>,
  gate: fc.Arbitrary<number>,
  coefficient: fc.Arbitrary<number>,
) =>
  fc
    .integer(depths)
    .chain((depth) =>
      fc
        .tuple(fc.array(number, { minLength: depth, maxLength: depth }), stepsOf(depth, gate, coefficient))
        .map(([numbers, steps]) => graph(depth, numbers, steps)),
    );

const hardGate = fc.constantFrom(0, 1);
const whole = fc.constantFrom(1, 1, -1, 2, -2);

describe('gradients of a soft plan', () => {
  it('agree with central differences in double to 1e-6', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(), (D, seed) => {
        const g = softGraph(D, seed);
        // Close to a sign change of an intermediate node the function bends too sharply for differences to say much.
        fc.pre(nodeValues(g).every((v) => Math.abs(v) > 0.02));
        const fields = leaves(g);
        expect(gradCheck(() => sum(executeDag(fields)), Object.values(fields)).failures).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('gradients of a hard plan', () => {
  it('agree with central differences away from zero', () => {
    const number = fc.double({ min: 0.5, max: 2, noNaN: true });
    const signed = fc.tuple(number, fc.constantFrom(1, -1)).map(([m, s]) => s * m);
    fc.assert(
      fc.property(anyGraph({ min: 1, max: 3 }, signed, hardGate, whole), (g) => {
        // Where a node is near 0 or the plan blows it up, the function bends too sharply for differences.
        const nodes = nodeValues(g);
        fc.pre(nodes.every((v) => Math.abs(v) > 0.3 && Math.abs(v) < 10));
        const fields = leaves(g);
        expect(gradCheck(() => sum(executeDag(fields)), Object.values(fields)).failures).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('agree with them for roots and powers of positive numbers, and are those of the values at inference', () => {
    const number = fc.double({ min: 0.5, max: 2, noNaN: true });
    const coefficients = fc.array(fc.constantFrom(0.5, -0.5, 1, -1, 1.5, -0.25, 3), {
      minLength: 3,
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.array(number, { minLength: 3, maxLength: 3 }), coefficients, (numbers, c) => {
        const g = graph(3, numbers, [log({ ...c })]);
        const fields = leaves(g);
        expect(gradCheck(() => sum(executeDag(fields)), Object.values(fields)).failures).toEqual([]);
        const training = leaves(g);
        executeDag(training).backward(tensor(Float64Array.of(1)));
        const inference = executeWithGradients(g);
        for (const field of fieldNames)
          training[field].grad!.dataSync().forEach((x, i) => expect(inference[field][i]).toBeCloseTo(x, 10));
      }),
      { numRuns: 50 },
    );
  });

  it('of 2.5·3 + 1 are the derivatives that one writes by hand', () => {
    const g = executeWithGradients(graph(3, [2.5, 3, 1], [log({ 0: 1, 1: 1 }), linear({ 2: 1, 3: 1 })]));
    expect(Array.from(g.values)).toEqual([8.5]);
    expect(Array.from(g.V_mag)).toEqual([3, 2.5, 1, 0, 0, 0]);
    expect(Array.from(g.V_sign)).toEqual([7.5, 7.5, 1, 0, 0, 0]);
    // Step 1 is the sum: each coefficient has the value of its node. Step 2 passes the sum on.
    expect(Array.from(g.O.subarray(6, 12))).toEqual([2.5, 3, 1, 7.5, 0, 0]);
    expect(Array.from(g.O.subarray(12))).toEqual([2.5, 3, 1, 7.5, 8.5, 0]);
    // a − p of each step: 2.5 + 3 − 7.5; 1 + 7.5 − 1·7.5; 8.5 − 8.5
    expect(Array.from(g.G)).toEqual([-2, 1, 0]);
  });

  it('with respect to a gate are the linear part less the log part', () => {
    const number = fc.double({ min: -4, max: 4, noNaN: true });
    fc.assert(
      fc.property(anyGraph({ min: 1, max: 6 }, number, hardGate, whole), (g) => {
        const last = g.depth - 1;
        const at = (gate: number) => execute({ ...g, G: g.G.with(last, gate) })[0]!;
        const [a, p] = [at(1), at(0)];
        fc.pre(Number.isFinite(a - p));
        // A gradient starts at 0, so that it is never −0.
        expect(executeWithGradients(g).G[last]).toBe(a - p + 0);
      }),
    );
  });

  it('are those of a division also where the square of the denominator underflows', () => {
    const g = executeWithGradients(graph(2, [1e-200, 1e-200], [log({ 0: 1, 1: -1 })]));
    expect(g.V_mag[0]).toBeCloseTo(1e200, -190);
    expect(g.V_mag[1]! / -1e200).toBeCloseTo(1, 12);
  });
});

describe('no gradient is NaN or infinite unless the value is NaN', () => {
  const edge = fc.constantFrom(0, -0, 1, -1, 1e300, -1e300, 1e-300, 5e-324, Number.MAX_VALUE, 1e150, -2.5);
  const number = fc.oneof(edge, fc.double({ noNaN: true, noDefaultInfinity: true }));
  const expectFinite = (g: DagTensors) => {
    const gradients = executeWithGradients(g);
    if (Number.isNaN(gradients.values[0])) return;
    for (const field of fieldNames)
      expect([field, gradients[field].filter((x) => !Number.isFinite(x))]).toEqual([
        field,
        new Float64Array(0),
      ]);
  };

  it('for any finite numbers under a hard plan', () => {
    fc.assert(fc.property(anyGraph({ min: 1, max: 8 }, number, hardGate, whole), expectFinite), {
      numRuns: 3000,
    });
  });

  it('for any finite numbers and signs under a soft plan, zeros among them', () => {
    const gate = fc.oneof(fc.constantFrom(0, 1, 0.5), fc.double({ min: 0, max: 1, noNaN: true }));
    const coefficient = fc.oneof(
      fc.constantFrom(0.5, -0.5, 1, 2),
      fc.double({ min: -3, max: 3, noNaN: true }),
    );
    const signs = fc.infiniteStream(fc.constantFrom(1, -1, 0, 0.5, -0.3));
    fc.assert(
      fc.property(anyGraph({ min: 1, max: 8 }, number, gate, coefficient), signs, (g, stream) => {
        const V_sign = g.V_sign.map((s, j) => (j < g.depth ? (stream.next().value as number) : s));
        expectFinite({ ...g, V_sign });
      }),
      { numRuns: 3000 },
    );
  });

  it('for the cases that overflowed: infinite shares of opposite signs, an infinite share of a zero', () => {
    const zeroUnderRoots = graph(
      3,
      [0, 1, 1],
      [linear({ 0: 1e300 }), log({ 3: 0.5 }), linear({ 4: -1e300, 0: 1e300 })],
    );
    expectFinite(zeroUnderRoots);
    expectFinite({ ...zeroUnderRoots, V_sign: zeroUnderRoots.V_sign.with(0, 0) });
  });

  it('in f32 either, where the largest number is smaller', () => {
    // √m at 0
    const g = graph(1, [0], [log({ 0: 0.5 })]);
    const f32 = (values: Float64Array, shape: number[]) =>
      tensor(values, shape, { dtype: 'f32', requiresGrad: true });
    const V_mag = f32(g.V_mag, [2]);
    executeDag({ V_mag, V_sign: f32(g.V_sign, [2]), O: f32(g.O, [1, 2]), G: f32(g.G, [1]) }).backward();
    expect(V_mag.grad!.dataSync()[0]).toBe((2 - 2 ** -23) * 2 ** 127);
  });
});

describe('gradients at zero', () => {
  const product = (a: number, b: number) => graph(2, [a, b], [log({ 0: 1, 1: 1 })]);
  const toNumbers = (g: DagTensors) => Array.from(executeWithGradients(g).V_mag.subarray(0, g.depth));

  it('of a·b are b and a', () => {
    expect(toNumbers(product(0, 3))).toEqual([3, 0]);
    expect(toNumbers(product(-2, 0))).toEqual([0, -2]);
    expect(toNumbers(product(0, 0))).toEqual([0, 0]);
  });

  it('of a·a is 2a', () => {
    expect(toNumbers(graph(1, [0], [log({ 0: 2 })]))).toEqual([0]);
    expect(toNumbers(graph(1, [-3], [log({ 0: 2 })]))).toEqual([6]);
  });

  it('of a/b at a = 0 are 1/b and 0', () => {
    expect(toNumbers(graph(2, [0, 4], [log({ 0: 1, 1: -1 })]))).toEqual([0.25, 0]);
  });

  it('go through an intermediate node that is 0, as for (a − b)·c', () => {
    const g = graph(3, [5, 5, 3], [linear({ 0: 1, 1: -1 }), log({ 2: 1, 3: 1 })]);
    expect(toNumbers(g)).toEqual([3, -3, 0]);
  });

  it('of √m is held at the largest number', () => {
    expect(toNumbers(graph(1, [0], [log({ 0: 0.5 })]))).toEqual([Number.MAX_VALUE]);
  });

  it('with respect to the coefficient of a zero is 0 in a log step, whether it takes part or not', () => {
    expect(executeWithGradients(product(0, 3)).O[0]).toBe(0);
    expect(executeWithGradients(graph(2, [0, 3], [log({ 1: 1 })])).O[0]).toBe(0);
  });
});

describe('the rules of the step', () => {
  it('an even coefficient makes the sign irrelevant, to the value and in the gradient', () => {
    for (const sign of [1, 0.4, 0, -0.7, -1]) {
      const g = graph(1, [3], [log({ 0: 2 })]);
      const { values, V_sign, V_mag } = executeWithGradients({ ...g, V_sign: g.V_sign.with(0, sign) });
      expect(values[0]).toBeCloseTo(9, 12);
      expect(V_sign[0]).toBe(0);
      expect(V_mag[0]).toBeCloseTo(6, 12);
    }
  });

  it('an odd coefficient multiplies by the sign itself, also a soft one', () => {
    for (const [sign, c] of [
      [0.4, 1],
      [-0.7, -1],
      [0, 3],
    ] as const) {
      const g = graph(1, [2], [log({ 0: c })]);
      const { values, V_sign } = executeWithGradients({ ...g, V_sign: g.V_sign.with(0, sign) });
      expect(values[0]).toBeCloseTo(sign * 2 ** c, 12);
      expect(V_sign[0]).toBeCloseTo(2 ** c, 12);
    }
  });

  it('half a coefficient of a negative number has the expected sign 0 in training', () => {
    expect(executeDag(leaves(graph(1, [-4], [log({ 0: 0.5 })]))).item()).toBe(0);
  });

  it('a soft gate mixes the sum and the product', () => {
    expect(execute(graph(2, [3, 4], [[0.25, { 0: 1, 1: 1 }]]))[0]).toBe(0.25 * 7 + 0.75 * 12);
  });

  it('coefficients of nodes that are made later have gradient 0', () => {
    const D = 4;
    const { O } = executeWithGradients(softGraph(D, 5));
    const later = Array.from(O).filter((_, at) => at % (2 * D) >= D + Math.floor(at / (2 * D)));
    expect(later).toEqual(later.map(() => 0));
    expect(O.filter((x) => x !== 0)).toHaveLength(O.length - later.length);
  });

  it('magnitudes and signs of intermediate nodes are not read and have gradient 0', () => {
    const g = graph(2, [2, 3], [log({ 0: 1, 1: 1 })]);
    const scribbled = {
      ...g,
      V_mag: g.V_mag.with(2, 9).with(3, 9),
      V_sign: g.V_sign.with(2, -1).with(3, -1),
    };
    expect(executeWithGradients(scribbled)).toEqual(executeWithGradients(g));
    expect(Array.from(executeWithGradients(g).V_mag.subarray(2))).toEqual([0, 0]);
  });

  it('a log step that maxLog holds passes no gradient to magnitudes and coefficients, but to signs and its gate', () => {
    const g = graph(2, [1e30, 1e30], [[0, { 0: 1, 1: 1 }]]);
    const held = executeWithGradients(g, { maxLog: 100 });
    expect(Array.from(held.V_mag.subarray(0, 2))).toEqual([0, 0]);
    expect(Array.from(held.O.subarray(0, 2))).toEqual([0, 0]);
    expect(Array.from(held.V_sign.subarray(0, 2))).toEqual([Math.exp(100), Math.exp(100)]);
    expect(held.G[0]).toBe(2e30 - Math.exp(100));
  });
});

describe('executeWithGradients', () => {
  const rows = [
    [2, 3],
    [-1, 0],
    [0.5, 4],
  ].map((numbers) => graph(2, numbers, [log({ 0: 1, 1: 1 }), linear({ 0: 1, 2: 2 })]));
  const repeated = batch(rows);
  const shared = { ...repeated, O: rows[0]!.O, G: rows[0]!.G };

  it('gives the values of execute', () => {
    expect(executeWithGradients(repeated).values).toEqual(execute(repeated));
  });

  it('multiplies the gradients of each graph by its upstream', () => {
    const upstream = [2, 0, -1];
    const one = executeWithGradients(repeated);
    const weighted = executeWithGradients(repeated, { upstream });
    for (const field of fieldNames) {
      const width = one[field].length / rows.length;
      expect(Array.from(weighted[field], (x) => x + 0)).toEqual(
        Array.from(one[field], (x, at) => x * upstream[Math.floor(at / width)]! + 0),
      );
    }
    expect(weighted.values).toEqual(one.values);
  });

  it('sums the gradients of a shared plan over the rows, and keeps those of the numbers apart', () => {
    const upstream = [1, 2, -3];
    const each = executeWithGradients(repeated, { upstream });
    const all = executeWithGradients(shared, { upstream });
    expect(all.values).toEqual(each.values);
    expect(all.V_mag).toEqual(each.V_mag);
    expect(all.V_sign).toEqual(each.V_sign);
    for (const field of ['O', 'G'] as const) {
      const width = each[field].length / rows.length;
      const total = Array.from({ length: width }, (_, i) =>
        rows.reduce((sum, _, row) => sum + each[field][row * width + i]!, 0),
      );
      expect(Array.from(all[field])).toEqual(total);
    }
  });

  it('refuses an upstream of another length', () => {
    expect(() => executeWithGradients(repeated, { upstream: [1] })).toThrow(
      expect.objectContaining({
        code: 'shape',
        message: expect.stringMatching(/^executeWithGradients: upstream has 1 values for 3 graphs/),
      }),
    );
  });
});

describe('executeDag', () => {
  const D = 2;
  const rows = [
    [2, 3],
    [-1, 0.1],
    [0.5, 4],
    [1, 1],
    [7, -7],
    [0, 9],
  ].map((numbers) => graph(D, numbers, [log({ 0: 1, 1: -1 }), linear({ 0: 1, 2: 2 })]));
  const all = batch(rows);

  it('takes any leading shape, and gives values of that shape', () => {
    for (const leading of [[6], [2, 3], [1, 6, 1]]) {
      const fields = {
        V_mag: tensor(all.V_mag, [...leading, 2 * D], { requiresGrad: true }),
        V_sign: tensor(all.V_sign, [...leading, 2 * D]),
        O: tensor(all.O, [...leading, D, 2 * D]),
        G: tensor(all.G, [...leading, D]),
      };
      const values = executeDag(fields);
      expect(values.shape).toEqual(leading);
      expect(values.dataSync()).toEqual(execute(all));
      sum(values).backward();
      expect(fields.V_mag.grad!.dataSync()).toEqual(executeWithGradients(all).V_mag);
    }
  });

  it('takes one graph without a leading shape', () => {
    const { V_mag, V_sign, O, G } = rows[0]!;
    const value = executeDag({
      V_mag: tensor(V_mag),
      V_sign: tensor(V_sign),
      O: tensor(O, [D, 2 * D]),
      G: tensor(G),
    });
    expect(value.shape).toEqual([]);
    expect(value.item()).toBe(2 + 2 * (2 / 3));
  });

  it('takes one plan for all rows, with gradients that are sums over them', () => {
    const plan = {
      O: tensor(rows[0]!.O, [D, 2 * D], { requiresGrad: true }),
      G: tensor(rows[0]!.G, [D], { requiresGrad: true }),
    };
    const values = executeDag({
      V_mag: tensor(all.V_mag, [2, 3, 2 * D]),
      V_sign: tensor(all.V_sign, [2, 3, 2 * D]),
      ...plan,
    });
    expect(values.dataSync()).toEqual(execute(all));
    sum(values).backward();
    const expected = executeWithGradients({ ...all, O: rows[0]!.O, G: rows[0]!.G });
    expect(plan.O.grad!.dataSync()).toEqual(expected.O);
    expect(plan.G.grad!.dataSync()).toEqual(expected.G);
  });

  it('computes in f64 whatever the dtype of its fields, and gives gradients in theirs', () => {
    const f32 = (values: Float64Array, shape: number[]) =>
      tensor(values, shape, { dtype: 'f32', requiresGrad: true });
    const fields = {
      V_mag: f32(all.V_mag, [6, 2 * D]),
      V_sign: f32(all.V_sign, [6, 2 * D]),
      O: f32(all.O, [6, D, 2 * D]),
      G: f32(all.G, [6, D]),
    };
    const values = executeDag(fields);
    expect(values.dtype).toBe('f64');
    const rounded = { ...all, V_mag: Float64Array.from(Float32Array.from(all.V_mag)) };
    expect(values.dataSync()).toEqual(execute(rounded));
    sum(values).backward();
    const expected = executeWithGradients(rounded);
    for (const field of fieldNames)
      expect(fields[field].grad!.dataSync()).toEqual(Float32Array.from(expected[field]));
  });

  it('adds to the gradients that its fields have', () => {
    const fields = leaves(rows[0]!);
    for (let pass = 0; pass < 2; pass++) executeDag(fields).backward(tensor(Float64Array.of(1)));
    const once = executeWithGradients(rows[0]!);
    for (const field of fieldNames)
      expect(Array.from(fields[field].grad!.dataSync())).toEqual(Array.from(once[field], (x) => 2 * x));
  });

  it('holds log steps at maxLog', () => {
    const fields = leaves(graph(2, [1e30, 1e30], [log({ 0: 1, 1: 1 })]));
    expect(executeDag(fields, { maxLog: 100 }).item()).toBe(Math.exp(100));
  });
});
