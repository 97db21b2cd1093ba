import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, parse, type Expr } from '@dag/expr';
import {
  bind,
  requiredDepth,
  tensorize,
  tensorizeAll,
  tensorizeInto,
  tensorizeWithSymbols,
  variableGradients,
  zeroDag,
  type DagTensors,
} from '../src/index.js';
import { anyTree, chain, neg, num } from './expressions.js';
import { runPlan, steps } from './run-plan.js';

const at = (depth: number) => (source: Expr | string) => tensorize(source, { depth });

describe('the nodes', () => {
  it('are the numbers in order of appearance, then zeros with sign +1', () => {
    const { V_mag, V_sign, depth, size } = tensorize('2.5 * (3 - -1.5)', { depth: 4 });
    expect({ depth, size }).toEqual({ depth: 4, size: 1 });
    expect([...V_mag]).toEqual([2.5, 3, 1.5, 0, 0, 0, 0, 0]);
    expect([...V_sign]).toEqual([1, 1, -1, 1, 1, 1, 1, 1]);
  });

  it('keep the sign of minus zero', () => {
    const { V_mag, V_sign } = tensorize(num(-0), { depth: 1 });
    expect(V_mag).toEqual(Float64Array.of(0, 0));
    expect([...V_sign]).toEqual([-1, 1]);
    expect(runPlan(tensorize(num(-0), { depth: 1 }))).toBe(-0);
  });

  it('hold two equal numbers of the text as two nodes', () => {
    const t = at(2)('3 * 3');
    expect([...t.V_mag]).toEqual([3, 3, 0, 0]);
    expect(steps(t)[0]).toEqual(['log', { 0: 1, 1: 1 }]);
  });
});

describe('the steps', () => {
  it.each([
    ['a chain of subtractions is one linear step', '9 - 8 - 7', [['linear', { 0: 1, 1: -1, 2: -1 }]]],
    ['a chain of divisions is one log step', '9 / 8 / 7', [['log', { 0: 1, 1: -1, 2: -1 }]]],
    ['a mixed linear chain is one step', '9 + 8 - 7', [['linear', { 0: 1, 1: 1, 2: -1 }]]],
    ['and so is one that begins with a minus', '9 - 8 + 7', [['linear', { 0: 1, 1: -1, 2: 1 }]]],
    ['a mixed log chain is one step', '9 * 8 / 7', [['log', { 0: 1, 1: 1, 2: -1 }]]],
    ['and so is one that begins with a division', '9 / 8 * 7', [['log', { 0: 1, 1: -1, 2: 1 }]]],
    ['a constant power is a coefficient', '9^2', [['log', { 0: 2 }]]],
    ['and so is a root', 'sqrt(9)', [['log', { 0: 0.5 }]]],
    ['of any sign', '9^-0.5', [['log', { 0: -0.5 }]]],
    ['also in a product', '9 * 8^3 / 7', [['log', { 0: 1, 1: 3, 2: -1 }]]],
    ['where it may divide', '9^2 / 8^0.5 * 7^-2', [['log', { 0: 2, 1: -0.5, 2: -2 }]]],
    [
      'an absolute value is two steps',
      '|9|',
      [
        ['log', { 0: 2 }],
        ['log', { 4: 0.5 }],
      ],
    ],
    [
      'a power of a sum is a step of its own',
      '(9 + 8)^2',
      [
        ['linear', { 0: 1, 1: 1 }],
        ['log', { 4: 2 }],
      ],
    ],
    [
      'and so is one in a sum',
      '9 - 8^2',
      [
        ['log', { 1: 2 }],
        ['linear', { 0: 1, 4: -1 }],
      ],
    ],
    [
      'a group on the right of a minus is a step of its own',
      '9 - (8 - 7)',
      [
        ['linear', { 1: 1, 2: -1 }],
        ['linear', { 0: 1, 4: -1 }],
      ],
    ],
    [
      'a group on the right of a division is a step of its own',
      '9 / (8 / 7)',
      [
        ['log', { 1: 1, 2: -1 }],
        ['log', { 0: 1, 4: -1 }],
      ],
    ],
    [
      'a group on the left of the same domain is part of the chain',
      '(9 + 8) - 7',
      [['linear', { 0: 1, 1: 1, 2: -1 }]],
    ],
    [
      'a group of the other domain is an operand',
      '(9 + 8) * 7',
      [
        ['linear', { 0: 1, 1: 1 }],
        ['log', { 2: 1, 4: 1 }],
      ],
    ],
    [
      'a product on the left of a sum is an operand',
      '2.5 * 3 + 1',
      [
        ['log', { 0: 1, 1: 1 }],
        ['linear', { 2: 1, 4: 1 }],
      ],
    ],
    [
      'the minus of a group is a step with coefficient -1',
      '-(9 + 8)',
      [
        ['linear', { 0: 1, 1: 1 }],
        ['linear', { 4: -1 }],
      ],
    ],
    [
      'which is no part of the chain around it',
      '-(9 * 8) - 7',
      [
        ['log', { 0: 1, 1: 1 }],
        ['linear', { 4: -1 }],
        ['linear', { 2: -1, 5: 1 }],
      ],
    ],
    ['the minus of a number is its sign', '-9 - -8', [['linear', { 0: 1, 1: -1 }]]],
  ])('%s: %s', (_, text, expected) => {
    expect(steps(at(4)(text)).slice(0, expected.length)).toEqual(expected);
  });

  it('stand in post-order, groups from left to right', () => {
    expect(steps(at(8)('(1 - 2) * 3 + 4 / 5 - (6 + 7 * 8)')).slice(0, 6)).toEqual([
      ['linear', { 0: 1, 1: -1 }],
      ['log', { 2: 1, 8: 1 }],
      ['log', { 3: 1, 4: -1 }],
      ['log', { 6: 1, 7: 1 }],
      ['linear', { 5: 1, 11: 1 }],
      ['linear', { 9: 1, 10: 1, 12: -1 }],
    ]);
  });

  it('that are not used hand on the last result', () => {
    expect(steps(at(4)('1 / 2'))).toEqual([
      ['log', { 0: 1, 1: -1 }],
      ['linear', { 4: 1 }],
      ['linear', { 5: 1 }],
      ['linear', { 6: 1 }],
    ]);
  });

  it('hand on node 0 where there is no operation', () => {
    expect(steps(at(3)('42'))).toEqual([
      ['linear', { 0: 1 }],
      ['linear', { 3: 1 }],
      ['linear', { 4: 1 }],
    ]);
  });

  it('are the same for an n-ary chain and for the nested chain it stands for', () => {
    const [a, b, c] = [num(1), num(2), num(3)];
    expect(at(4)(chain('Sub', a, b, c))).toEqual(at(4)(chain('Sub', chain('Sub', a, b), c)));
  });

  it('use causal nodes only, each step and each number exactly once, and give the last node its value', () => {
    fc.assert(
      fc.property(anyTree, (expr) => {
        const depth = requiredDepth(expr) + 1;
        const plan = steps(tensorize(expr, { depth }));
        const used = new Map<number, number>();
        plan.forEach(([, terms], i) => {
          for (const [node, coefficient] of Object.entries(terms)) {
            expect(Number(node)).toBeLessThan(depth + i);
            expect(Math.abs(coefficient)).toBe(1);
            used.set(Number(node), (used.get(Number(node)) ?? 0) + 1);
          }
        });
        expect([...used.values()].every((count) => count === 1)).toBe(true);
        for (let i = 0; i < depth - 1; i++) expect(used.has(depth + i)).toBe(true);
      }),
    );
  });
});

describe('the depth', () => {
  it.each([
    ['42', 1],
    ['1 + 2', 2],
    ['1 + 2 + 3 + 4', 4],
    ['-(-(-(1 + 2)))', 2],
    ['-(-(1 * 2) - 3)', 4],
    ['x * x + x', 2],
  ])('that %s needs is %d', (text, needed) => {
    expect(requiredDepth(text)).toBe(needed);
  });

  it('is an error where it is too small, which says how many numbers and steps are needed', () => {
    expect(() => at(2)('1 + 2 * 3')).toThrow(
      expect.objectContaining({
        name: 'TensorizeError',
        code: 'depth',
        needed: 3,
        message: expect.stringMatching(/3 numbers and 2 steps.*depth 2.*at least 3/),
      }),
    );
  });

  it('fits exactly where it is the required one', () => {
    fc.assert(
      fc.property(anyTree, (expr) => {
        const depth = requiredDepth(expr);
        expect(tensorize(expr, { depth }).depth).toBe(depth);
        if (depth > 1) {
          expect(() => tensorize(expr, { depth: depth - 1 })).toThrow(
            expect.objectContaining({ code: 'depth', needed: depth }),
          );
        }
      }),
    );
  });

  it.each([0, -1, 1.5, NaN, Infinity])('is an error where it is %d', (depth) => {
    expect(() => tensorize('1', { depth })).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });
});

describe('sources', () => {
  it('that have variables are an error which points to bind', () => {
    expect(() => at(4)('2 * x + y')).toThrow(
      expect.objectContaining({ code: 'symbols', message: expect.stringMatching(/x, y.*bind/) }),
    );
  });

  it('that do not parse throw what parse throws', () => {
    expect(() => at(4)('1 + ')).toThrow(expect.objectContaining({ name: 'ExprError' }));
  });

  it.each([NaN, Infinity, -Infinity])('that hold %d are an error', (value) => {
    expect(() => at(4)(chain('Add', num(1), num(value)))).toThrow(/finite/);
  });

  it('may be powers of -1, which are divisions', () => {
    const power: Expr = { type: 'Pow', base: num(4), exponent: -1 };
    expect(at(2)(power)).toEqual(at(2)('1 / 4'));
  });

  it('may be text or expressions', () => {
    expect(at(4)('1 + 2 * 3')).toEqual(at(4)(parse('1 + 2 * 3')));
  });

  it('may be nested deeply on either side', () => {
    const nest = (levels: number, make: (inner: Expr, level: number) => Expr): Expr =>
      Array.from({ length: levels }, (_, i) => i).reduce((inner, i) => make(inner, i), num(1));
    const right = nest(300, (inner, i) => chain(i % 2 ? 'Sub' : 'Div', num(i), inner));
    const left = nest(300, (inner, i) => chain(i % 2 ? 'Sub' : 'Mul', inner, num(i + 1)));
    const minuses = neg(nest(100, (inner) => neg(chain('Add', inner, num(1)))));
    for (const expr of [right, left, minuses]) {
      expect(runPlan(tensorize(expr, { depth: requiredDepth(expr) }))).toBe(evaluate(expr));
    }
    const deep = nest(1000, (inner) => chain('Sub', num(1), inner));
    expect(() => tensorize(deep, { depth: 8 })).toThrow(
      expect.objectContaining({ code: 'depth', needed: 1001 }),
    );
  });
});

describe('a batch', () => {
  const row = ({ depth, V_mag, V_sign, O, G }: DagTensors, i: number) => ({
    V_mag: V_mag.slice(i * 2 * depth, (i + 1) * 2 * depth),
    V_sign: V_sign.slice(i * 2 * depth, (i + 1) * 2 * depth),
    O: O.slice(i * depth * 2 * depth, (i + 1) * depth * 2 * depth),
    G: G.slice(i * depth, (i + 1) * depth),
  });

  it('holds the graphs one after another', () => {
    fc.assert(
      fc.property(fc.array(anyTree, { minLength: 1, maxLength: 5 }), (exprs) => {
        const depth = Math.max(...exprs.map(requiredDepth));
        const batch = tensorizeAll(exprs, { depth });
        expect(batch.size).toBe(exprs.length);
        exprs.forEach((expr, i) => {
          expect(row(batch, i)).toEqual(row(tensorize(expr, { depth }), 0));
        });
      }),
    );
  });

  it('has the zero DAG for null', () => {
    const batch = tensorizeAll([null, '1 + 2', null], { depth: 2 });
    for (const i of [0, 2]) {
      expect(row(batch, i)).toEqual({
        V_mag: new Float64Array(4),
        V_sign: Float64Array.of(1, 1, 1, 1),
        O: new Float64Array(8),
        G: Float64Array.of(1, 1),
      });
      expect(runPlan(batch, i)).toBe(0);
    }
    expect(runPlan(batch, 1)).toBe(3);
  });

  it('names the source that failed', () => {
    const failing = (source: Expr | string) => () => tensorizeAll(['1', null, source], { depth: 2 });
    expect(failing('1 + 2 + 3')).toThrow(
      expect.objectContaining({
        code: 'depth',
        index: 2,
        needed: 3,
        message: expect.stringMatching(/^source 2: /),
      }),
    );
    expect(failing('x')).toThrow(expect.objectContaining({ code: 'symbols', index: 2 }));
    expect(failing('1 +')).toThrow(
      expect.objectContaining({
        code: 'bad-expression',
        index: 2,
        cause: expect.objectContaining({ name: 'ExprError' }),
      }),
    );
  });

  it('of nothing is an error', () => {
    expect(() => tensorizeAll([], { depth: 2 })).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });

  it('can be written over, graph by graph', () => {
    const batch = tensorizeAll(['1 / 2 / 3', '4 * 5', '6'], { depth: 3 });
    tensorizeInto('7 - 8', batch, 0);
    tensorizeInto(null, batch, 2);
    expect(batch).toEqual(tensorizeAll(['7 - 8', '4 * 5', null], { depth: 3 }));
  });

  it('of one graph can be written over', () => {
    const one = tensorize('1 / 2', { depth: 2 });
    tensorizeInto('3 * 4', one, 0);
    expect(one).toEqual(tensorize('3 * 4', { depth: 2 }));
  });

  it('is as it was where writing fails', () => {
    const batch = tensorizeAll(['1 / 2', '4 * 5'], { depth: 2 });
    expect(() => {
      tensorizeInto('1 + 2 + 3', batch, 0);
    }).toThrow(expect.objectContaining({ code: 'depth' }));
    expect(batch).toEqual(tensorizeAll(['1 / 2', '4 * 5'], { depth: 2 }));
  });

  it.each([-1, 2, 0.5, NaN])('has no graph %d', (index) => {
    expect(() => {
      tensorizeInto('1', zeroDag({ depth: 2, size: 2 }), index);
    }).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });

  it('of which all rows share one plan cannot be written to', () => {
    const shared: DagTensors = {
      ...zeroDag({ depth: 2, size: 2 }),
      O: new Float64Array(8),
      G: new Float64Array(2),
    };
    expect(() => {
      tensorizeInto('1', shared, 0);
    }).toThrow(expect.objectContaining({ code: 'bad-tensors' }));
  });

  it('of zero DAGs has whole numbers for depth and size', () => {
    expect(() => zeroDag({ depth: 2, size: 0 })).toThrow(expect.objectContaining({ code: 'bad-option' }));
    expect(() => zeroDag({ depth: 0.5, size: 1 })).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });
});

describe('calls that TypeScript would refuse', () => {
  const none = undefined as unknown as { depth: number };
  it.each<[string, () => unknown, code: string, message: RegExp]>([
    ['tensorize without options', () => tensorize('1 + 2', none), 'bad-option', /\{ depth: 4 \}/],
    ['tensorizeAll without options', () => tensorizeAll(['1 + 2'], none), 'bad-option', /\{ depth: 4 \}/],
    ['zeroDag without options', () => zeroDag(none as never), 'bad-option', /\{ depth: 4, size: 1 \}/],
    [
      'tensorizeAll of one text',
      () => tensorizeAll('1 + 2' as never, { depth: 4 }),
      'bad-option',
      /array.*got '1 \+ 2'; tensorize/,
    ],
    ['tensorizeInto of no tensors', () => tensorizeInto('1', none as never, 0), 'bad-tensors', /undefined/],
    ['bind without values', () => bind('x', none as never), 'bad-values', /\{ x: \[1, 2\] \}, got undefined/],
    ['bind of a value that is none', () => bind('x', { x: null as never }), 'bad-values', /x is.*got null/],
    ['gradients without V_mag', gradientsOf(none as never), 'bad-tensors', /executeWithGradients/],
  ])('%s is a TensorizeError', (_, call, code, message) => {
    expect(call).toThrow(
      expect.objectContaining({ name: 'TensorizeError', code, message: expect.stringMatching(message) }),
    );
  });
});

function gradientsOf(gradients: { V_mag: Float64Array }) {
  const template = tensorizeWithSymbols('x');
  return () => variableGradients(template, bind(template, { x: 1 }), gradients);
}
