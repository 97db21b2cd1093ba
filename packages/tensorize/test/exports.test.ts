/** Every export, called with whatever a caller from JavaScript may give: the right result, or a typed error. */
import { describe, expect, it } from '@jest/globals';
import { ExprError, parse } from '@dag/expr';
import fc from 'fast-check';
import { junk, orJunk } from '../../expr/test/junk.js';
import * as tensorize from '../src/index.js';
import { TensorizeError, type DagTensors } from '../src/index.js';

const source = orJunk(fc.constantFrom('1 + 2', '2 * (3 - 4)', parse('1 / 3')));
const formula = orJunk(fc.constantFrom('a * x', 'x - (a + 1)', parse('x * a')));
const options = orJunk(fc.record({ depth: orJunk(fc.constantFrom(3, 4)) }));
const index = orJunk(fc.constantFrom(0, 1));
/** Arrays of their own for each call: some calls write into them. */
const batch = orJunk(
  fc
    .record(
      {
        size: junk,
        depth: junk,
        V_mag: junk,
        V_sign: junk,
        O: junk,
        G: junk,
      },
      { requiredKeys: [] },
    )
    .map((wrong) => {
      const right = tensorize.tensorizeAll(['1 + 2', '3 * 4'], { depth: 3 });
      // Some have nothing wrong.
      return (Object.keys(wrong).length > 3 ? right : { ...right, ...wrong }) as DagTensors;
    }),
);
const column = orJunk(fc.constantFrom<number | number[]>(2, [1, 2], [3, 4]));
const values = orJunk(fc.record({ a: column, x: column }));
/** Most arrays are right; those of some calls are the same ones. */
const array = orJunk(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(2).map((length) => new Float64Array(length)) },
    fc.constantFrom<unknown>(new Float64Array(2), new Float32Array(2), new Proxy(new Float64Array(2), {})),
  ),
);
const out = orJunk(fc.record({ values: array, gradients: orJunk(fc.record({ a: array, x: array })) }));
const slots = orJunk(fc.record({ a: orJunk(fc.constant(0)), x: orJunk(fc.constant(1)) }));

type Call = (...args: never[]) => unknown;
const calls: Record<keyof typeof tensorize, readonly [Call, ...fc.Arbitrary<unknown>[]]> = {
  TensorizeError: [(message: string) => new TensorizeError('depth', message), fc.string()],
  bind: [
    tensorize.bind,
    fc.oneof(
      formula,
      orJunk(fc.constant(tensorize.tensorizeWithSymbols('a * x'))),
      slots.map((wrong) => ({ ...tensorize.tensorizeWithSymbols('a * x'), slots: wrong })),
    ),
    values,
    orJunk(fc.constant(undefined)),
  ],
  checkTensors: [tensorize.checkTensors, batch],
  columnGradients: [
    tensorize.columnGradients,
    fc.oneof(
      formula,
      slots.map((wrong) => ({ ...tensorize.tensorizeWithSymbols('a * x'), slots: wrong })),
    ),
    values,
    orJunk(fc.constantFrom(() => 0, ((_, { out }) => out) as tensorize.ExecuteWithGradients)),
    orJunk(fc.record({ out }, { requiredKeys: [] })),
  ],
  compile: [tensorize.compile, source],
  describe: [tensorize.describe, batch, index],
  detensorize: [tensorize.detensorize, batch, index],
  readPlan: [tensorize.readPlan, batch, index],
  isIdentity: [(tensors: DagTensors) => tensorize.readPlan(tensors).steps.map(tensorize.isIdentity), batch],
  requiredDepth: [tensorize.requiredDepth, source],
  tensorize: [tensorize.tensorize, source, options],
  tensorizeAll: [tensorize.tensorizeAll, orJunk(fc.array(source, { maxLength: 3 })), options],
  tensorizeInto: [tensorize.tensorizeInto, source, batch, index],
  tensorizeWithSymbols: [tensorize.tensorizeWithSymbols, formula, options],
  variableGradients: [
    tensorize.variableGradients,
    orJunk(
      slots.map((wrong) => ({ ...tensorize.tensorizeWithSymbols('a * x', { depth: 3 }), slots: wrong })),
    ),
    batch,
    orJunk(
      fc.record({ V_mag: orJunk(fc.constantFrom([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6], new Array(12))) }),
    ),
  ],
  // Its program and tensors are not checked: it says so.
  writeGraph: [
    (text: string) =>
      tensorize.writeGraph(tensorize.compile(text), tensorize.zeroDag({ depth: 3, size: 1 }), 0),
    source,
  ],
  // Not junk: a size that is a large number takes as much memory.
  zeroDag: [
    tensorize.zeroDag,
    fc.record({ depth: index, size: fc.constantFrom<unknown>(0, 1, 0.5, NaN, null, '2', {}, [2], 2 ** 53) }),
  ],
};

describe('calls without types', () => {
  it.each(Object.entries(calls))('%s gives a result or a typed error', (_, [f, ...args]) => {
    fc.assert(
      fc.property(fc.tuple(...args), (given) => {
        try {
          return f(...(given as never[])) !== null;
        } catch (error) {
          if (error instanceof TensorizeError || error instanceof ExprError) return true;
          throw error;
        }
      }),
      { numRuns: 200 },
    );
  });

  it('says that there is no memory for tensors as large as were asked for', () => {
    for (const depth of [2 ** 30, Number.MAX_SAFE_INTEGER])
      expect(() => tensorize.tensorize('1 + 2', { depth })).toThrow(/no memory for an array/);
  });

  it('takes no array for longer than it is', () => {
    const right = tensorize.tensorize('1 + 2', { depth: 2 });
    const short = Object.defineProperty(new Float64Array(2), 'length', { value: 4 });
    expect(() => tensorize.checkTensors({ ...right, V_mag: short })).toThrow(/V_mag is a Float64Array/);
    expect(() => tensorize.bind('x + 1', { x: { length: 2 ** 40 } })).toThrow(/x is undefined in row 0/);
    // The column before it is a number, which is in all of those rows.
    expect(() => tensorize.bind('a + x', { a: 2, x: { length: 2 ** 40 } })).toThrow(
      /x is undefined in row 0/,
    );
  });

  it('misses no source that an array lacks', () => {
    const sources = ['1', , '2'] as string[]; // eslint-disable-line no-sparse-arrays
    expect(() => tensorize.tensorizeAll(sources, { depth: 1 })).toThrow(/source 1: Expected an expression/);
  });

  it('gives no NaN for gradients that an array lacks', () => {
    const template = tensorize.tensorizeWithSymbols('x');
    const bound = tensorize.bind(template, { x: 1 });
    expect(() => tensorize.variableGradients(template, bound, { V_mag: new Array<number>(2) })).toThrow(
      /gradient by V_mag is numbers, got undefined at 0/,
    );
  });
});
