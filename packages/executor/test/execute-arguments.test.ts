/** `execute` and `executeWithGradients` check types, lengths and overlap of arrays: the kernels check no bounds. */
import { describe, expect, it } from '@jest/globals';
import type { DagTensors } from '@dag/tensorize';
import { execute, executeDag, executeWithGradients, tensor } from '../src/index.js';
import { codeOf } from './code-of.js';
import { devices } from './devices.js';
import { batch, graph, log } from './graphs.js';

const N = 3;
const D = 2;
const graphs = (): DagTensors =>
  batch(Array.from({ length: N }, (_, i) => graph(D, [i + 2, 3], [log({ 0: 1, 1: 1 })])));
const FIELDS = ['V_mag', 'V_sign', 'O', 'G'] as const;

/** What JavaScript gives without the types. */
const untyped = (x: unknown): never => x as never;

class Disguised extends Int32Array {
  override readonly [Symbol.toStringTag] = untyped('Float64Array');
}

class Longer extends Float64Array {
  override get length(): number {
    return N;
  }
}

/** In place of a Float64Array of these numbers. */
const impostors: readonly (readonly [string, (data: Float64Array) => unknown])[] = [
  ['a Float32Array', (data) => Float32Array.from(data)],
  ['an Int32Array', (data) => Int32Array.from(data)],
  ['a disguised Int32Array', (data) => new Disguised(data.length)],
  ['a BigInt64Array', (data) => new BigInt64Array(data.length)],
  ['an array', (data) => Array.from(data)],
  ['an object with a length', (data) => ({ length: data.length })],
  ['a DataView', (data) => new DataView(data.buffer)],
  ['a proxy', (data) => new Proxy(data, {})],
  ['an object with the prototype', (data) => Object.create(data) as unknown],
  ['null', () => null],
  ['a number', () => 3],
];

describe.each(devices)('on %s', (backend) => {
  it.each(impostors)('%s is no Float64Array', (_, make) => {
    for (const field of FIELDS) {
      const g = graphs();
      const wrong = untyped({ ...g, [field]: make(g[field]) });
      expect(codeOf(() => execute(wrong, { backend }))).toBe('dtype');
      expect(codeOf(() => executeWithGradients(wrong, { backend }))).toBe('dtype');
      const out = untyped({ [field]: make(g[field]) });
      expect(codeOf(() => executeWithGradients(g, { backend, out }))).toBe('dtype');
    }
    const values = make(new Float64Array(N));
    expect(codeOf(() => execute(graphs(), { backend, out: untyped(values) }))).toBe('dtype');
    expect(codeOf(() => executeWithGradients(graphs(), { backend, out: untyped({ values }) }))).toBe('dtype');
  });

  it('what is no Float64Array is named', () => {
    expect(() => execute(untyped({ ...graphs(), O: Int32Array.of(1) }), { backend })).toThrow(
      /^execute: O is a Float64Array, given an Int32Array$/,
    );
  });

  it('options, graphs and arrays of outputs are objects', () => {
    for (const wrong of [null, 1, 'x'].map(untyped)) {
      expect(codeOf(() => execute(wrong, { backend }))).toBe('value');
      expect(codeOf(() => execute(graphs(), wrong))).toBe('value');
      expect(codeOf(() => executeWithGradients(wrong, { backend }))).toBe('value');
      expect(codeOf(() => executeWithGradients(graphs(), wrong))).toBe('value');
      expect(codeOf(() => executeWithGradients(graphs(), { backend, out: wrong }))).toBe('value');
      expect(codeOf(() => executeWithGradients(graphs(), { backend, upstream: wrong }))).toBe('value');
    }
  });

  it('an array is as long as its memory, whatever its length says', () => {
    for (const out of [new Longer(1), Object.defineProperty(new Float64Array(1), 'length', { value: N })]) {
      expect(codeOf(() => execute(graphs(), { backend, out }))).toBe('shape');
      expect(out.at(0)).toBe(0);
    }
    const g = graphs();
    structuredClone(g.O, { transfer: [g.O.buffer as ArrayBuffer] });
    expect(codeOf(() => execute(g, { backend }))).toBe('shape');
  });

  it('arrays of an upstream are copied, and hold numbers', () => {
    const g = graphs();
    const expected = executeWithGradients(g, { backend, upstream: Float64Array.of(1, 2, 3) });
    for (const upstream of [[1, 2, 3], Float32Array.of(1, 2, 3), { length: 3, 0: 1, 1: 2, 2: 3 }])
      expect(executeWithGradients(g, { backend, upstream })).toEqual(expected);
    for (const upstream of [['1', '2', '3'], [1n, 2n, 3n], [1, undefined, 3], { length: 3 }].map(untyped))
      expect(codeOf(() => executeWithGradients(g, { backend, upstream }))).toBe('value');
    for (const upstream of [[1], new Float64Array(4), { length: 2 ** 31 }, { length: NaN }, {}].map(untyped))
      expect(codeOf(() => executeWithGradients(g, { backend, upstream }))).toBe('shape');
  });

  it('outputs have a field that is known, and no other', () => {
    const g = graphs();
    const cases: [unknown, RegExp][] = [
      [{ values: new Float64Array(N), v_mag: new Float64Array(g.V_mag.length) }, /did you mean 'V_mag'\?/],
      [new Float64Array(N), /out has no field '0'. Fields are values, V_mag, V_sign, O, G/],
      [{}, /out has one of values, V_mag, V_sign, O, G or more, given none/],
      [{ values: undefined }, /given none/],
    ];
    for (const [out, message] of cases)
      expect(() => executeWithGradients(g, { backend, out: untyped(out) })).toThrow(
        expect.objectContaining({ code: 'value', message: expect.stringMatching(message) }),
      );
  });

  it('outputs may be arrays that override set', () => {
    const g = graphs();
    const values = Object.defineProperty(new Float64Array(N), 'set', { value: () => undefined });
    executeWithGradients(g, { backend, out: { values } });
    expect([...values]).toEqual([...execute(g, { backend })]);
  });

  it('outputs share no memory with inputs or each other', () => {
    const g = graphs();
    const upstream = new Float64Array(N);
    for (const field of FIELDS) {
      const out = g[field].subarray(0, N);
      expect(codeOf(() => execute(g, { backend, out }))).toBe('value');
      expect(codeOf(() => executeWithGradients(g, { backend, out: { values: out } }))).toBe('value');
      expect(codeOf(() => executeWithGradients(g, { backend, out: { [field]: g[field] } }))).toBe('value');
    }
    expect(codeOf(() => executeWithGradients(g, { backend, upstream, out: { values: upstream } }))).toBe(
      'value',
    );
    const both = new Float64Array(g.V_mag.length + 1);
    const [V_mag, V_sign] = [both.subarray(1), both.subarray(0, -1)];
    expect(codeOf(() => executeWithGradients(g, { backend, out: { V_mag, V_sign } }))).toBe('value');
  });

  it('outputs may be neighbours in one memory, also one that threads share', () => {
    const g = graphs();
    const expected = executeWithGradients(g, { backend });
    for (const buffer of [new ArrayBuffer(8 * 40), new SharedArrayBuffer(8 * 40)]) {
      const V_mag = new Float64Array(buffer, 8, g.V_mag.length);
      const V_sign = new Float64Array(buffer, 8 + V_mag.byteLength, g.V_sign.length);
      for (const out of [
        { V_mag, V_sign },
        { V_mag: V_sign, V_sign: V_mag },
      ]) {
        executeWithGradients(g, { backend, out });
        expect([...out.V_mag, ...out.V_sign]).toEqual([...expected.V_mag, ...expected.V_sign]);
      }
    }
  });

  it('results share no memory with those of other calls', () => {
    const [g, other] = [7, 8].map((x) => graph(4, [x, 3], [log({ 0: 1, 1: 1 })]));
    const expected = executeWithGradients(g!, { backend });
    const [first, second, third] = [g!, g!, other!].map((g) => executeWithGradients(g, { backend }));
    for (const array of Object.values(first!)) (array as Float64Array).fill(NaN);
    expect(second).toEqual(expected);
    for (const { buffer } of Object.values(third!) as Float64Array[])
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    expect(second).toEqual(expected);
    expect(executeWithGradients(g!, { backend })).toEqual(expected);
    expect([...execute(g!, { backend })]).toEqual([...expected.values]);
  });

  it('each argument is read once', () => {
    const g = graphs();
    let reads = 0;
    const twoFaced = Object.freeze({
      ...g,
      get O() {
        return reads++ === 0 ? g.O : new Float64Array(1);
      },
    });
    expect([...execute(twoFaced, { backend })]).toEqual([6, 9, 12]);
    reads = 0;
    const out = Object.freeze({
      get values() {
        return new Float64Array(reads++ === 0 ? N : 1);
      },
    });
    expect(executeWithGradients(g, { backend, out })).toBe(out);
    expect(reads).toBe(1);
  });

  it('depth and size are whole numbers, and lengths fit them', () => {
    const g = graphs();
    for (const x of [0, -1, 1.5, NaN, Infinity, 2 ** 31, 2 ** 40, 2 ** 53, '2', 2n].map(untyped)) {
      expect(codeOf(() => execute({ ...g, depth: x }, { backend }))).toBe('shape');
      if (x !== 0) expect(codeOf(() => execute({ ...g, size: x }, { backend }))).toBe('shape');
    }
  });

  it('no graphs take no memory, however deep they are', () => {
    const none = new Float64Array(0);
    for (const depth of [2 ** 31, 2 ** 40, 1e9]) {
      const g = { depth, size: 0, V_mag: none, V_sign: none, O: none, G: none };
      expect(execute(g, { backend })).toHaveLength(0);
      expect(executeWithGradients(g, { backend }).O).toHaveLength(0);
    }
    // Deeper ones have shapes of more than 2^53 elements but for the 0, which `tensor` refuses.
    for (const depth of [2 ** 20, 2 ** 25]) {
      const t = (...shape: number[]) =>
        tensor(none, shape, { dtype: 'f64', device: backend, requiresGrad: true });
      const fields = {
        V_mag: t(0, 2 * depth),
        V_sign: t(0, 2 * depth),
        O: t(0, depth, 2 * depth),
        G: t(0, depth),
      };
      const values = executeDag(fields);
      expect(values.size).toBe(0);
      values.backward(tensor(none, [0], { dtype: 'f64', device: backend }));
    }
  });

  it('maxLog is a number above 0', () => {
    for (const maxLog of [0, -1, NaN, '100', null, 10n].map(untyped)) {
      expect(codeOf(() => execute(graphs(), { backend, maxLog }))).toBe('value');
      expect(codeOf(() => executeWithGradients(graphs(), { backend, maxLog }))).toBe('value');
    }
  });
});

it('a backend that is not there is an error', () => {
  for (const backend of ['gpu', '', 3, {}].map(untyped))
    expect(codeOf(() => execute(graphs(), { backend }))).toBe('device');
});
