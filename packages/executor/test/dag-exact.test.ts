/** Values of graphs whose plan is hard: gates 0 or 1, whole coefficients. */
import { describe, expect, it } from '@jest/globals';
import type { DagTensors } from '@dag/tensorize';
import fc from 'fast-check';
import { execute, executeDag, executeWithGradients, tensor } from '../src/index.js';
import { devices, runsOn } from './devices.js';
import { batch, graph, linear, log, type Step } from './graphs.js';

const edge = fc.constantFrom(0, -0, 1, -1, 1e300, -1e300, 1e-300, -1e-300, 5e-324, Number.MAX_VALUE, 0.1, -3);
const number = fc.oneof(edge, fc.double({ noNaN: true, noDefaultInfinity: true }));

describe.each(devices)('on %s', (device) => {
  const run = (g: DagTensors): number => execute(g, { backend: device })[0]!;
  /** The value as it is in training. */
  const train = ({ depth: D, V_mag, V_sign, O, G }: DagTensors): number =>
    executeDag({
      V_mag: tensor(V_mag, [2 * D], { device }),
      V_sign: tensor(V_sign, [2 * D], { device }),
      O: tensor(O, [D, 2 * D], { device }),
      G: tensor(G, [D], { device }),
    }).item();

  describe('a step of two operands gives the bits of IEEE double:', () => {
    const plus = linear({ 0: 1, 1: 1 });
    const minus = linear({ 0: 1, 1: -1 });
    const times = log({ 0: 1, 1: 1 });
    const over = log({ 0: 1, 1: -1 });
    const { MAX_VALUE } = Number;
    it.each<[text: string, numbers: [number, number], step: Step, value: number]>([
      ['0.1 + 0.2', [0.1, 0.2], plus, 0.30000000000000004],
      ['0.00001 + 0.00002', [0.00001, 0.00002], plus, 0.00001 + 0.00002],
      ['1e300 − 1', [1e300, 1], minus, 1e300],
      ['5 − 5 is 0, not −0', [5, 5], minus, 0],
      ['−0 + −0 is −0', [-0, -0], plus, -0],
      ['0 + −0 is 0', [0, -0], plus, 0],
      ['−0 − 0 is −0', [-0, 0], minus, -0],
      ['0 · −3 is −0', [0, -3], times, -0],
      ['−0 · −3 is 0', [-0, -3], times, 0],
      ['0.1 · 3', [0.1, 3], times, 0.30000000000000004],
      ['−7 · 0.1', [-7, 0.1], times, -0.7000000000000001],
      ['1 / 3', [1, 3], over, 1 / 3],
      ['−1 / 49', [-1, 49], over, -1 / 49],
      ['1 / 0', [1, 0], over, Infinity],
      ['1 / −0', [1, -0], over, -Infinity],
      ['−1 / 0', [-1, 0], over, -Infinity],
      ['0 / 0', [0, 0], over, NaN],
      ['0 / −5 is −0', [0, -5], over, -0],
      ['1e300 · 1e300 overflows', [1e300, 1e300], times, Infinity],
      ['1e300 · −1e300 overflows', [1e300, -1e300], times, -Infinity],
      ['−1e-300 · 1e-300 underflows to −0', [-1e-300, 1e-300], times, -0],
      ['1e-300 · 1e-300 underflows', [1e-300, 1e-300], times, 0],
      ['5e-324 / 2 underflows', [5e-324, 2], over, 0],
      ['the largest number twice', [MAX_VALUE, MAX_VALUE], plus, Infinity],
    ])('%s', (_, numbers, step, value) => {
      expect(run(graph(2, numbers, [step]))).toBe(value);
    });
  });

  it.each([
    ['a quotient times a number', [1e300, 1e300, 1e300], { 0: 1, 1: -1, 2: 1 }, 1e300],
    ['a tiny quotient times a number', [1e-300, 1e-300, 1e-300], { 0: 1, 1: -1, 2: 1 }, 1e-300],
    ['a product that overflows before the division', [1e300, 1e300, 1e300], { 0: 1, 1: 1, 2: -1 }, Infinity],
  ])('a chain is as in IEEE where its numerators leave the range: %s', (_, numbers, operands, value) => {
    expect(run(graph(3, numbers, [log(operands)]))).toBe(value);
  });

  it('plans of two-operand steps give the bits of IEEE double, whatever the numbers', () => {
    const operation = fc.constantFrom('+', '−', '×', '÷');
    const plan = fc.integer({ min: 1, max: 8 }).chain((depth) =>
      fc.record({
        depth: fc.constant(depth),
        numbers: fc.array(number, { minLength: depth, maxLength: depth }),
        steps: fc.array(fc.tuple(operation, fc.nat(), fc.nat()), { minLength: 1, maxLength: depth }),
      }),
    );
    fc.assert(
      fc.property(plan, ({ depth, numbers, steps }) => {
        const values = [...numbers];
        const written = steps.map(([op, m, n], i): Step => {
          const a = m % (depth + i);
          const b = n % (depth + i);
          // One node twice is a coefficient of 2; x − x and x / x would be one of 0, which takes no part.
          const [x, y] = [values[a]!, values[b]!];
          const twice = a === b;
          switch (op) {
            case '+':
              values.push(x + y);
              return linear(twice ? { [a]: 2 } : { [a]: 1, [b]: 1 });
            case '×':
              values.push(x * y);
              return log(twice ? { [a]: 2 } : { [a]: 1, [b]: 1 });
            case '−':
              values.push(twice ? -x : x - y);
              return linear(twice ? { [a]: -1 } : { [a]: 1, [b]: -1 });
            default:
              values.push(twice ? x : x / y);
              return log(twice ? { [a]: 1 } : { [a]: 1, [b]: -1 });
          }
        });
        expect(run(graph(depth, numbers, written))).toBe(values.at(-1));
      }),
      { numRuns: 1000 },
    );
  });

  it('a chain is the sum in node order that starts at its first term', () => {
    const numbers = [0.1, 0.2, 0.3, -1e16, 1e16, 0.7];
    const chain = linear({ 0: 1, 1: 1, 2: -1, 3: 1, 4: 1, 5: -1 });
    expect(run(graph(6, numbers, [chain]))).toBe(0.1 + 0.2 - 0.3 + -1e16 + 1e16 - 0.7);
    expect(run(graph(3, [-0, -0, -0], [linear({ 0: 1, 1: 1, 2: 1 })]))).toBe(-0);
  });

  it('a chain is the product of the numerators, then the division by each denominator, in node order', () => {
    const numbers = [0.1, 3, 0.7, 49, 1.1];
    const chain = log({ 0: 1, 1: -1, 2: 1, 3: -1, 4: 1 });
    expect(run(graph(5, numbers, [chain]))).toBe((0.1 * 0.7 * 1.1) / 3 / 49);
  });

  it('chains stay within 2 ulp an operation of evaluating them from left to right', () => {
    const value = fc.double({ min: 0.01, max: 100, noNaN: true });
    const chain = fc.array(fc.tuple(value, fc.boolean()), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(chain, (terms) => {
        const numbers = terms.map(([x]) => x);
        const coefficients = Object.fromEntries(
          terms.map(([, divided], j) => [j, divided && j > 0 ? -1 : 1]),
        );
        const expected = terms.slice(1).reduce((p, [x, divided]) => (divided ? p / x : p * x), numbers[0]!);
        const actual = run(graph(terms.length, numbers, [log(coefficients)]));
        expect(Math.abs(actual / expected - 1)).toBeLessThanOrEqual(2 * (terms.length - 1) * Number.EPSILON);
      }),
    );
  });

  it.each<[string, number[], Step, number]>([
    ['2 in a linear step doubles', [0.1], linear({ 0: 2 }), 0.2],
    ['2 in a log step squares', [-0.1], log({ 0: 2 }), 0.1 * 0.1],
    ['3 in a log step keeps the sign', [-0.1], log({ 0: 3 }), -(0.1 * 0.1 * 0.1)],
    ['−2 in a log step divides twice', [-3], log({ 0: -2 }), 1 / 3 / 3],
    ['20 in a log step is a power', [2], log({ 0: 20 }), 2 ** 20],
    ['−20 in a log step is a power too', [-2], log({ 0: -20 }), 2 ** -20],
    ['−1 in a linear step negates, also a zero', [0], linear({ 0: -1 }), -0],
  ])('a coefficient of %s', (_, numbers, step, value) => {
    expect(run(graph(1, numbers, [step]))).toBe(value);
  });

  it('a power above 16 is the double nearest to it', () => {
    const power = fc.tuple(
      fc.integer({ min: 17, max: 5000 }),
      fc.double({ min: -1, max: 1, noNaN: true }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(power, ([n, part, negative]) => {
        const m = (negative ? -1 : 1) * Math.exp((part * 708) / n);
        expect(run(graph(1, [m], [log({ 0: n })]))).toBe(nearestPower(m, n));
      }),
    );
    expect(run(graph(1, [3], [log({ 0: 34 })]))).toBe(Number(3n ** 34n));
    expect(run(graph(1, [0.5], [log({ 0: 1074 })]))).toBe(5e-324);
    expect(run(graph(1, [5e-324], [log({ 0: 17 })]))).toBe(0);
    expect(run(graph(1, [0.5], [log({ 0: 1080 })]))).toBe(0);
    expect(run(graph(1, [-2], [log({ 0: 1025 })]))).toBe(-Infinity);
    expect(run(graph(1, [-1], [log({ 0: 1e300 })]))).toBe(1);
  });

  const anyMagnitude = fc.oneof(
    fc.constantFrom(0, 1, 2, 5e-324, 2 ** -1022, Number.MAX_VALUE, Infinity),
    fc.double({ min: 0, noNaN: true }),
    fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
  );
  const fraction = fc.integer({ min: -40, max: 40 }).map((n) => (4 * n + 1) / 8);

  it('a coefficient of ±½ is the square root of IEEE, alone and in a chain, in training too', () => {
    fc.assert(
      fc.property(anyMagnitude, number, (m, x) => {
        const root = Math.sqrt(m);
        for (const [g, expected] of [
          [graph(1, [m], [log({ 0: 0.5 })]), root],
          [graph(1, [m], [log({ 0: -0.5 })]), 1 / root],
          [graph(2, [x, m], [log({ 0: 1, 1: 0.5 })]), x * root],
          [graph(2, [x, m], [log({ 0: 1, 1: -0.5 })]), x / root],
        ] as const) {
          expect(run(g)).toBe(expected);
          expect(train(g)).toBe(expected);
        }
      }),
      { numRuns: runsOn(device, 200) },
    );
    expect(run(graph(1, [-0], [log({ 0: 0.5 })]))).toBe(Math.sqrt(-0));
    expect(run(graph(1, [-0], [log({ 0: -0.5 })]))).toBe(1 / Math.sqrt(-0));
  });

  it('a square and its root are the size of a number', () => {
    const between = fc.double({ min: -1e150, max: 1e150, noNaN: true });
    fc.assert(
      fc.property(between, (x) => {
        fc.pre(Math.abs(x) > 1e-150 || x === 0);
        expect(run(graph(2, [x], [log({ 0: 2 }), log({ 2: 0.5 })]))).toBe(Math.abs(x));
      }),
      { numRuns: runsOn(device, 200) },
    );
  });

  it('another fraction is within one unit in the last place of the power', () => {
    const base = fc.oneof(
      fc.double({ min: 2 ** -1074, max: Number.MAX_VALUE, noNaN: true }),
      fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      fc.double({ min: 0.99, max: 1.01, noNaN: true }),
    );
    fc.assert(
      fc.property(base, fraction, (m, c) => {
        const power = run(graph(1, [m], [log({ 0: c })]));
        if (!isNearPower(power, m, 8 * c, 8)) throw new Error(`${m}^${c} is ${power}`);
      }),
      { numRuns: runsOn(device, 500) },
    );
  });

  it('a fraction of a negative number is NaN at inference, as in IEEE, and its expected sign in training', () => {
    fc.assert(
      fc.property(anyMagnitude, fc.oneof(fraction, fc.constantFrom(0.5, -0.5)), (m, c) => {
        const g = graph(2, [-m, 3], [log({ 0: c, 1: 1 })]);
        if (m === 0 && Math.abs(c) === 0.5) return;
        const expected = 3 * Math.pow(-m, c);
        expect(run(g)).toBe(m > 0 && m < Infinity ? NaN : m === 0 ? expected : NaN);
        expect(executeWithGradients(g, { backend: device }).values[0]).toBe(run(g));
        if (m > 0 && m < 1e3 && m > 1e-3 && Math.abs(c) < 6)
          expect(train(g) / (3 * m ** c)).toBeCloseTo(Math.cos(Math.PI * c), 10);
      }),
      { numRuns: runsOn(device, 200) },
    );
  });

  it('a coefficient of 0 takes no part, be the node 0, infinite or NaN', () => {
    const overflow = [log({ 0: 1, 1: 1 }), linear({ 2: 1, 4: 0 })];
    expect(run(graph(4, [1e300, 1e300, 7], overflow))).toBe(7);
    expect(run(graph(4, [1e300, 1e300, 7], [overflow[0]!, log({ 2: 1, 4: 0 })]))).toBe(7);
    const undefinedRatio = log({ 0: 1, 1: -1 });
    expect(run(graph(4, [0, 0, 7], [undefinedRatio, linear({ 2: 1, 4: 0 })]))).toBe(7);
    expect(run(graph(2, [0, 7], [log({ 0: 0, 1: 1 })]))).toBe(7);
  });

  it('a step without operands is 0 in the linear domain and 1 in the log domain', () => {
    expect(run(graph(1, [5], [linear({})]))).toBe(0);
    expect(run(graph(1, [5], [log({})]))).toBe(1);
  });

  it('a node of −0 counts as negative in the steps that read it', () => {
    // 1 / (0 · −3)
    expect(run(graph(3, [0, -3, 1], [log({ 0: 1, 1: 1 }), log({ 2: 1, 3: -1 })]))).toBe(-Infinity);
  });

  it('the zero graph, which stands for a prefix that is no expression, has the value 0', () => {
    expect(run({ ...graph(3, [], []), O: new Float64Array(18) })).toBe(0);
  });

  it('a step reads no node that is made later, whatever its coefficient', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), number, number, (depth, later, x) => {
        const g = graph(depth, [x, 2], [linear({ 0: 1 })]);
        const O = g.O.map((c, at) => (at % (2 * depth) >= depth + Math.floor(at / (2 * depth)) ? later : c));
        expect(run({ ...g, O })).toBe(x);
      }),
    );
  });

  it('many graphs give what each gives alone', () => {
    const graphs = [
      graph(3, [2.5, 3, 1], [log({ 0: 1, 1: 1 }), linear({ 2: 1, 3: 1 })]),
      graph(3, [-1, 0, 4], [log({ 0: 1, 1: -1 })]),
      graph(3, [7], []),
    ];
    expect(Array.from(execute(batch(graphs), { backend: device }))).toEqual([8.5, -Infinity, 7]);
    expect(execute({ ...batch(graphs.slice(0, 1)), size: 0, V_mag: f64(), V_sign: f64() })).toHaveLength(0);
  });

  it('one plan for all rows gives what the plan repeated for each row gives', () => {
    const rows = [
      [2, 3],
      [-1, 0],
      [0.1, 1e300],
    ].map((numbers) => graph(2, numbers, [log({ 0: 1, 1: -1 }), linear({ 0: -1, 2: 2 })]));
    const repeated = batch(rows);
    const shared = { ...repeated, O: rows[0]!.O, G: rows[0]!.G };
    expect(Array.from(execute(shared, { backend: device }))).toEqual(
      Array.from(execute(repeated, { backend: device })),
    );
  });

  it('maxLog holds the product of a log step at e^maxLog, with its sign, and leaves smaller ones alone', () => {
    const product = (a: number, b: number) => graph(2, [a, b], [log({ 0: 1, 1: 1 })]);
    const clamped = (g: DagTensors) => execute(g, { backend: device, maxLog: 100 })[0];
    expect(clamped(product(1e30, -1e30))).toBe(-Math.exp(100));
    expect(clamped(product(1e300, 1e300))).toBe(Math.exp(100));
    expect(clamped(graph(2, [1, 0], [log({ 0: 1, 1: -1 })]))).toBe(Math.exp(100));
    expect(clamped(product(1e20, 1e20))).toBe(1e20 * 1e20);
    expect(clamped(graph(1, [1e300], [linear({ 0: 1 })]))).toBe(1e300);
  });

  describe('refused are', () => {
    const g = graph(2, [1, 2], [linear({ 0: 1, 1: 1 })]);
    it.each<[string, Partial<DagTensors>, RegExp]>([
      ['magnitudes of another length', { V_mag: f64(1, 2, 3) }, /V_mag 3, .* they are 4, 4, 8, 2/],
      ['signs of another length', { V_sign: f64(1) }, /V_sign 1/],
      ['coefficients of another length', { O: f64(1, 2) }, /O 2/],
      ['gates of another length', { G: f64(1) }, /G 1/],
      ['a depth that does not fit', { depth: 3 }, /depth 3/],
      ['a depth of 0', { depth: 0 }, /depth is a whole number from 1 .* given 0 and 1/],
      ['a broken size', { size: 0.5 }, /given 2 and 0\.5/],
      [
        'a shared O without a shared G',
        {
          size: 2,
          V_mag: f64(...g.V_mag, ...g.V_mag),
          V_sign: f64(...g.V_sign, ...g.V_sign),
          G: f64(1, 1, 1, 1),
        },
        /one plan for all/,
      ],
    ])('%s', (_, wrong, message) => {
      expect(() => execute({ ...g, ...wrong }, { backend: device })).toThrow(
        expect.objectContaining({
          name: 'ExecutorError',
          code: 'shape',
          message: expect.stringMatching(message),
        }),
      );
    });

    it('a maxLog that is not above 0', () => {
      for (const maxLog of [0, -1, NaN])
        expect(() => execute(g, { backend: device, maxLog })).toThrow(
          expect.objectContaining({ code: 'value', message: expect.stringMatching(/maxLog is above 0/) }),
        );
    });
  });
});

function f64(...values: number[]): Float64Array {
  return Float64Array.from(values);
}

/** m^n as the nearest double, in whole numbers; both in the normal range. */
function nearestPower(m: number, n: number): number {
  let exponent = 0;
  let whole = Math.abs(m);
  for (; !Number.isInteger(whole); exponent--) whole *= 2;
  const power = BigInt(whole) ** BigInt(n);
  const excess = power.toString(2).length - 60;
  exponent *= n;
  if (excess <= 0) return sign(m, n) * Number(power) * 2 ** exponent;
  const cut = BigInt(excess);
  const sticky = power & ((1n << cut) - 1n) ? 1n : 0n;
  return sign(m, n) * (Number((power >> cut) | sticky) / 2 ** 60) * 2 ** (exponent + excess + 60);
}

const sign = (m: number, n: number) => (m < 0 && n % 2 ? -1 : 1);

/** Whether m^(p/q) lies between the numbers beside y, in whole numbers: y^q ≈ m^p. */
function isNearPower(y: number, m: number, p: number, q: number): boolean {
  const [below, above] = [nextTo(y, -1), nextTo(y, 1)];
  const isAtMost = (x: number) => x <= 0 || (x < Infinity && compareWithPower(x, m, p, q) <= 0);
  const isAtLeast = (x: number) => x === Infinity || (x > 0 && compareWithPower(x, m, p, q) >= 0);
  return isAtMost(below) && isAtLeast(above);
}

/** The sign of x^q − m^p. */
function compareWithPower(x: number, m: number, p: number, q: number): number {
  const [a, b] = [exactly(x), exactly(m)];
  // x^q · m^−p for a p below 0, against 1.
  let left = a.whole ** BigInt(q) * (p < 0 ? b.whole ** BigInt(-p) : 1n);
  let right = p < 0 ? 1n : b.whole ** BigInt(p);
  const exponent = a.exponent * q - b.exponent * p;
  if (exponent > 0) left <<= BigInt(exponent);
  else right <<= BigInt(-exponent);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** x as whole · 2^exponent. */
function exactly(x: number): { whole: bigint; exponent: number } {
  let [whole, exponent] = [x, 0];
  while (whole >= 2 ** 53) [whole, exponent] = [whole / 2, exponent + 1];
  while (!Number.isInteger(whole)) [whole, exponent] = [whole * 2, exponent - 1];
  return { whole: BigInt(whole), exponent };
}

/** The double before or after x ≥ 0. */
function nextTo(x: number, by: number): number {
  if (x === 0) return by * Number.MIN_VALUE;
  const [word, number] = [new BigInt64Array(1), new Float64Array(1)];
  number[0] = x;
  word.set(new BigInt64Array(number.buffer));
  return x === Infinity && by > 0 ? x : new Float64Array(BigInt64Array.of(word[0]! + BigInt(by)).buffer)[0]!;
}
