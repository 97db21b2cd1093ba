import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, parse } from '@dag/expr';
import {
  bind,
  columnGradients,
  tensorize,
  tensorizeAll,
  tensorizeWithSymbols,
  variableGradients,
  zeroDag,
  type ColumnGradients,
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

  it('are read once, so that what is checked is what is bound', () => {
    /** 1 when it is read first, NaN from then on. */
    const changing = (): (() => number) => {
      let reads = 0;
      return () => (reads++ === 0 ? 1 : NaN);
    };
    const list = Object.defineProperty([1, 2], '1', { get: changing(), enumerable: true });
    const values = Object.defineProperty({ y: list }, 'x', { get: changing(), enumerable: true });
    expect([...bind('x + y', values as never).V_mag]).toEqual([1, 1, 0, 0, 1, 1, 0, 0]);
  });

  it('have all their rows where a property is not enumerable', () => {
    const values = Object.defineProperty({}, 'x', { value: [1, 2] });
    expect(bind('x + 1', values).size).toBe(2);
  });

  it.each<[string, Partial<DagTensors>, RegExp]>([
    ['is of several graphs', bind('x', { x: [1, 2] }), /a template is one graph, got 2/],
    ['has NaN among its numbers', { V_mag: Float64Array.of(NaN, 0) }, /V_mag of a template .* got NaN at 0/],
    [
      'has an infinite coefficient',
      { O: Float64Array.of(1, Infinity) },
      /O of a template .* got Infinity at 1/,
    ],
  ])('are an error where the template %s', (_, wrong, message) => {
    const { tensors, slots } = tensorizeWithSymbols('x');
    const template = { tensors: { ...tensors, ...wrong }, slots };
    expect(() => bind(template, { x: 1 })).toThrow(
      expect.objectContaining({ code: 'bad-tensors', message: expect.stringMatching(message) }),
    );
  });
});

describe('options', () => {
  const execute: ExecuteWithGradients = (_, { out }) => out;

  it.each<[string, (options: never) => unknown]>([
    ['tensorize', (options) => tensorize('1', options)],
    ['tensorizeAll', (options) => tensorizeAll(['1'], options)],
    ['tensorizeWithSymbols', (options) => tensorizeWithSymbols('x', options)],
    ['zeroDag', (options) => zeroDag(options)],
    ['bind', (options) => bind('x', { x: 1 }, options)],
    ['columnGradients', (options) => columnGradients('x', { x: 1 }, execute, options)],
  ])('of %s are an error where one is unknown, or they are an array', (_, call) => {
    const error = (message: RegExp): unknown =>
      expect.objectContaining({ code: 'bad-option', message: expect.stringMatching(message) });
    expect(() => call({ depth: 1, Depth: 9 } as never)).toThrow(
      error(/there is no option '[Dd]epth': the opt/),
    );
    expect(() => call([] as never)).toThrow(error(/expected options such as .*, got an array/));
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
  /** Arrays of `size` numbers that no result is. */
  const columnsFor = (names: string[], size: number): ColumnGradients => ({
    values: new Float64Array(size).fill(NaN),
    gradients: Object.fromEntries(names.map((name) => [name, new Float64Array(size).fill(NaN)])),
  });
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
    const results = { values: new Float64Array(size), V_mag: new Float64Array(all.V_mag.length) };
    execute(all, { out: results });
    const expected = { values: results.values, gradients: variableGradients(template, all, results) };
    expect(columnGradients(template, given, execute)).toEqual(expected);

    const out = columnsFor(['y', 'x', 'a'], size);
    const { values, gradients } = out;
    const arrays = { ...gradients };
    expect(columnGradients(template, given, execute, { out: Object.freeze(out) })).toBe(out);
    expect({ values, gradients: arrays }).toEqual(expected);
  });

  it('are written to neighbours in one memory, also for names of prototypes', () => {
    const source = { type: 'Sym', name: '__proto__' } as const;
    const memory = new Float64Array(6);
    const [x, values, column] = [0, 2, 4].map((begin) => memory.subarray(begin, begin + 2)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    x.set([-2, 3]);
    const gradients = Object.fromEntries([['__proto__', column]]);
    columnGradients(source, Object.fromEntries([['__proto__', x]]), execute, { out: { values, gradients } });
    expect([...memory]).toEqual([-2, 3, -2, 3, -5, 10]);
  });

  it('are written to arrays that override subarray, and to properties that are not enumerable', () => {
    const all = Object.defineProperty(new Float64Array(2), 'subarray', { value: () => new Float64Array(2) });
    const x = new Float64Array(2);
    const out = { values: all, gradients: Object.defineProperty({}, 'x', { value: x }) };
    columnGradients('x', { x: [-2, 3] }, execute, { out });
    expect([...all, ...x]).toEqual([-2, 3, -5, 10]);
  });

  describe('are an error where out', () => {
    const memory = new Float64Array(4).fill(7);
    const own = (length = 3): Float64Array => new Float64Array(length).fill(7);
    const x = own();
    const template = tensorizeWithSymbols('x * y');
    const right = { values: own(), gradients: { x: own(), y: own() } };
    const withX = (x: unknown): object => ({ ...right, gradients: { ...right.gradients, x } });

    it.each<[string, unknown, RegExp]>([
      ['is null', null, /expected out such as .*, got null/],
      ['is an array', [], /expected out.gradients.*, got undefined/],
      ['has no values', { gradients: right.gradients }, /out.values is a Float64Array, got undefined/],
      ['has no gradients', { values: own() }, /expected out.gradients.*, got undefined/],
      [
        'lacks a variable',
        { ...right, gradients: { x: own() } },
        /no out.gradients for y: the variables are/,
      ],
      ['inherits a variable', { ...right, gradients: Object.create(right.gradients) }, /no out.gradients/],
      ['has another variable', { ...right, gradients: { ...right.gradients, z: own() } }, /is named z: the/],
      ['has other numbers', withX(new Float32Array(3)), /out.gradients.x is a Float64Array, got an array/],
      ['has a list', withX([1, 2, 3]), /out.gradients.x is a Float64Array/],
      ['has a proxy', withX(new Proxy(own(), {})), /out.gradients.x is a Float64Array/],
      [
        'says a length that is not its own',
        withX(Object.defineProperty(own(2), 'length', { value: 3 })),
        /out.gradients.x is a Float64Array/,
      ],
      ['is short', { ...right, values: own(2) }, /out.values has 3 numbers for 3 rows, got 2/],
      ['is long', withX(own(4)), /out.gradients.x has 3 numbers for 3 rows, got 4/],
      ['has a column of values', withX(x), /out.gradients.x shares memory with the values of x/],
      ['has an array twice', withX(right.values), /out.gradients.x shares memory with out.values/],
      [
        'has an array that hides its buffer',
        withX(Object.defineProperty(x.subarray(), 'buffer', { value: null })),
        /out.gradients.x shares memory with the values of x/,
      ],
      [
        'has arrays that overlap',
        { values: own(), gradients: { x: memory.subarray(0, 3), y: memory.subarray(1) } },
        /out.gradients.y shares memory with out.gradients.x/,
      ],
      [
        'is memory of the template',
        withX(template.tensors.V_mag.subarray(0, 3)),
        /out.gradients.x shares memory with V_mag of the template/,
      ],
    ])('%s, and nothing is written', (_, out, message) => {
      const written: ExecuteWithGradients = () => {
        throw new Error('was executed');
      };
      expect(() => columnGradients(template, { x, y: 2 }, written, { out: out as ColumnGradients })).toThrow(
        expect.objectContaining({ code: 'bad-option', message: expect.stringMatching(message) }),
      );
      for (const array of [memory, x, right.values, right.gradients.x, right.gradients.y])
        expect(array.every((number) => number === 7)).toBe(true);
    });

    it('is in no object of options', () => {
      expect(() => columnGradients(template, { x, y: 2 }, execute, null as never)).toThrow(
        expect.objectContaining({ code: 'bad-option' }),
      );
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
