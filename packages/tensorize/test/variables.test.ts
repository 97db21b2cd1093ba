import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, parse } from '@dag/expr';
import {
  bind,
  columnGradients,
  tensorizeWithSymbols,
  variableGradients,
  type DagTensors,
  type ExecuteWithGradients,
} from '../src/index.js';
import { anyNumber } from './expressions.js';
import { runPlan, steps } from './run-plan.js';

/** d(value)/d(V_mag) of each row by central differences. */
function magnitudeGradients(t: DagTensors): Float64Array {
  const width = 2 * t.depth;
  return Float64Array.from(t.V_mag, (m, at) => {
    const h = 1e-5;
    const valueAt = (magnitude: number): number =>
      runPlan({ ...t, V_mag: t.V_mag.with(at, magnitude) }, Math.floor(at / width));
    return (valueAt(m + h) - valueAt(m - h)) / (2 * h);
  });
}

describe('a template', () => {
  it('has one initial node for each variable, at its first appearance', () => {
    const { slots, tensors } = tensorizeWithSymbols('2 * x + y - 3 * x', { depth: 6 });
    expect(slots).toEqual({ x: 1, y: 2 });
    expect([...tensors.V_mag.subarray(0, 6)]).toEqual([2, 0, 0, 3, 0, 0]);
    expect(tensors.size).toBe(1);
  });

  it.each([
    ['x * x', 'log', { 0: 2 }],
    ['x * x * x', 'log', { 0: 3 }],
    ['x + x', 'linear', { 0: 2 }],
    ['x - x', 'linear', {}],
    ['x / x', 'log', {}],
    ['x / y / y', 'log', { 0: 1, 1: -2 }],
    ['-x', 'linear', { 0: -1 }],
  ] as const)('adds the coefficients of a repeated operand: %s', (text, domain, terms) => {
    expect(steps(tensorizeWithSymbols(text, { depth: 2 }).tensors)[0]).toEqual([domain, terms]);
  });

  it('has the smallest depth that fits where none is given', () => {
    expect(tensorizeWithSymbols('x * x + 1').tensors.depth).toBe(2);
    expect(() => tensorizeWithSymbols('a + b + c', { depth: 2 })).toThrow(
      expect.objectContaining({ code: 'depth', needed: 3 }),
    );
    expect(() => tensorizeWithSymbols('a + b', { depth: 0 })).toThrow(
      expect.objectContaining({ code: 'bad-option' }),
    );
  });

  it('may have variables of any name', () => {
    const { slots } = tensorizeWithSymbols({ type: 'Sym', name: '__proto__' });
    expect(Object.entries(slots)).toEqual([['__proto__', 0]]);
  });
});

describe('bound values', () => {
  it('are rows under one plan; one number is for all rows', () => {
    const t = bind('a * x + 1', { x: [1, -2, -0], a: 3 }, { depth: 4 });
    expect({ depth: t.depth, size: t.size }).toEqual({ depth: 4, size: 3 });
    expect([t.O.length, t.G.length]).toEqual([32, 4]);
    expect([...t.V_mag]).toEqual([3, 1, 1, 0, 0, 0, 0, 0, 3, 2, 1, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0]);
    expect([0, 1, 2].map((row) => t.V_sign[row * 8 + 1])).toEqual([1, -1, -1]);
  });

  it('make every row the value of the expression in its scope', () => {
    const text = 'x * (y - 2) / (x + 0.5) - y';
    const expr = parse(text);
    fc.assert(
      fc.property(fc.array(fc.tuple(anyNumber, anyNumber), { minLength: 1, maxLength: 5 }), (rows) => {
        const t = bind(text, { x: rows.map(([x]) => x), y: Float64Array.from(rows, ([, y]) => y) });
        rows.forEach(([x, y], row) => {
          // The chain x · (y − 2) ÷ (x + 0.5) is executed in the order in which it is written.
          expect(runPlan(t, row)).toBe(evaluate(expr, { x, y }));
        });
      }),
    );
  });

  it('make one row where all are numbers, or there are no variables', () => {
    expect(runPlan(bind('x + y', { x: 1, y: 2 }))).toBe(3);
    expect(bind('x + y', { x: 1, y: 2 }).size).toBe(1);
    expect(runPlan(bind('1 + 2', {}))).toBe(3);
  });

  it('can fill the same template again and again', () => {
    const template = tensorizeWithSymbols('x - 1');
    expect(bind(template, { x: [5, 6] })).toEqual(bind('x - 1', { x: [5, 6] }));
    expect(runPlan(bind(template, { x: 9 }))).toBe(8);
    bind(template, { x: 1 }).O.fill(0);
    expect(runPlan(bind(template, { x: 9 }))).toBe(8);
    expect(() => bind(template, { x: 1 }, { depth: 5 })).toThrow(
      expect.objectContaining({ code: 'bad-option' }),
    );
  });

  it.each<[string, Record<string, number | number[]>, RegExp]>([
    ['lack a variable', { x: 1 }, /no values for y: the variables are x, y/],
    ['name one that does not exist', { x: 1, y: 2, z: 3 }, /named z: the variables are x, y/],
    ['differ in length', { x: [1, 2], y: [1, 2, 3] }, /x has 2, y has 3/],
    ['are empty', { x: [], y: 1 }, /x has no values/],
    ['have a NaN', { x: [1, NaN], y: 1 }, /x is NaN in row 1/],
    ['have an infinity', { x: 1, y: [1, 2, -Infinity] }, /y is -Infinity in row 2/],
    ['are infinite for all rows', { x: Infinity, y: [1, 2] }, /x is Infinity in row 0/],
  ])('are an error where they %s', (_, values, message) => {
    expect(() => bind('x / y', values)).toThrow(
      expect.objectContaining({ code: 'bad-values', message: expect.stringMatching(message) }),
    );
  });

  it('are an error where the expression has no variables', () => {
    expect(() => bind('1 + 2', { toString: 1 })).toThrow(/named toString: the expression has none/);
    expect(() => bind('toString + 2', {})).toThrow(/no values for toString/);
  });
});

describe('gradients by the variables', () => {
  const template = tensorizeWithSymbols('x * x / y - y');
  const values = { x: [1.5, -2, 3], y: [-0.5, 4, 2] };
  const tensors = bind(template, values);

  it('are the derivatives of each row by the signed value', () => {
    const { x, y } = variableGradients(template, tensors, { V_mag: magnitudeGradients(tensors) });
    values.x.forEach((xi, row) => {
      const yi = values.y[row]!;
      expect(x![row]).toBeCloseTo((2 * xi) / yi, 6);
      expect(y![row]).toBeCloseTo((-xi * xi) / (yi * yi) - 1, 6);
    });
  });

  it('are an error where lengths do not belong together', () => {
    const code = expect.objectContaining({ code: 'bad-tensors' });
    expect(() => variableGradients(template, tensors, { V_mag: [1, 2, 3] })).toThrow(code);
    const other = bind('x + y + z', { x: 1, y: 1, z: 1 });
    expect(() => variableGradients(template, other, { V_mag: new Float64Array(6) })).toThrow(code);
  });
});

describe('gradients of columns', () => {
  const execute: ExecuteWithGradients = (tensors, { out }) => {
    for (let row = 0; row < tensors.size; row++) out.values[row] = runPlan(tensors, row);
    // No derivatives, but as good for what is compared here: numbers that depend on the row alone.
    tensors.V_mag.forEach((m, at) => (out.V_mag[at] = m * m + 1));
    return out;
  };

  it.each([1, 7, 2731, 6000])('are those of bind and variableGradients, of %d rows in blocks', (size) => {
    const column = (scale: number): number[] =>
      Array.from({ length: size }, (_, i) => scale * Math.sin(i) - (i % 5 === 0 ? 2 : 0));
    const template = tensorizeWithSymbols('a * x + y / 3');
    const given = { a: -2, x: column(1), y: column(3) };
    const all = bind(template, given);
    const out = { values: new Float64Array(size), V_mag: new Float64Array(all.V_mag.length) };
    execute(all, { out });
    expect(columnGradients(template, given, execute)).toEqual({
      values: out.values,
      gradients: variableGradients(template, all, out),
    });
  });

  it('come from text, too, and an executor that is none is an error', () => {
    expect([...columnGradients('x * y', { x: [1, -2], y: 3 }, execute).values]).toEqual([3, -6]);
    expect(() => columnGradients('x', { x: 1 }, undefined as never)).toThrow(
      'execute is executeWithGradients of @dag/executor, got undefined',
    );
    // Zeros would be what an executor leaves that was not told where to write.
    const apart: ExecuteWithGradients = (tensors) =>
      execute(tensors, {
        out: { values: new Float64Array(1), V_mag: new Float64Array(tensors.V_mag.length) },
      });
    for (const other of [apart, () => undefined, () => Promise.resolve({})])
      expect(() => columnGradients('x', { x: 1 }, other as ExecuteWithGradients)).toThrow(
        'execute has to write to the arrays of options.out and return them',
      );
  });
});
