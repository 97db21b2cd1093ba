import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, format, normalize, parse, type Expr } from '@dag/expr';
import {
  bind,
  detensorize,
  requiredDepth,
  tensorize,
  tensorizeAll,
  zeroDag,
  type DagTensors,
} from '../src/index.js';
import { anyNumber, anyTree, binaryTree } from './expressions.js';
import { runPlan } from './run-plan.js';

type StepSpec = ['linear' | 'log', Record<number, number>];

/** A graph from numbers and steps; the steps stand last, so that the last one gives the value. */
function graph(depth: number, numbers: number[], specs: StepSpec[]): DagTensors {
  const t = zeroDag({ depth, size: 1 });
  numbers.forEach((value, j) => {
    t.V_mag[j] = Math.abs(value);
    t.V_sign[j] = value < 0 || Object.is(value, -0) ? -1 : 1;
  });
  specs.forEach(([domain, terms], i) => {
    for (const [node, coefficient] of Object.entries(terms)) t.O[i * 2 * depth + Number(node)] = coefficient;
    t.G[i] = domain === 'linear' ? 1 : 0;
  });
  return t;
}

const text = (t: DagTensors, index = 0): string => format(detensorize(t, index));

describe('what tensorize made', () => {
  it.each([
    '42',
    '-0.5',
    '2.5 * 3 + 1',
    '1 + 2 * 3',
    '(1 + 2) * 3',
    '(1 + 2) - 3 * 4',
    '(1 + 2) / 3',
    '3 / (1 + 2)',
    '(1 * 2) - 3',
    '1 - (2 - 3)',
    '1 / (2 / 3)',
    '1 - 2 - 3',
    '1 / 2 / 3',
    '1 + 2 - 3',
    '1 * 2 / 3',
    '-(1 + 2)',
    '-(1 * 2) - 3',
    '-(-(1 + 2))',
    '(1 + 2) * (3 - 4)',
    '1 * 2 + 3 * 4',
    '1 / 2 - 3 / (4 - -5)',
    '1 * 2 + 3 + 4 * 5',
    '3^2',
    'sqrt(2)',
    '2^-0.5',
    '2^0.3',
    '2^40',
    '(1 + 2)^2 - 3',
    '2 * 3^3 / 4',
    '2 / sqrt(3)',
    'abs(-3)',
    '2 - abs(3 - 5)',
    'cbrt(8)',
    '-(3^2)',
  ])('is read back in its own form: %s', (expression) => {
    const tensors = tensorize(expression, { depth: 8 });
    expect(detensorize(tensors)).toEqual(normalize(parse(expression)));
    expect(tensorize(text(tensors), { depth: 8 })).toEqual(tensors);
  });

  it('is the same expression where every step has two operands', () => {
    fc.assert(
      fc.property(binaryTree, (expr) => {
        const depth = Math.max(8, requiredDepth(expr));
        const tensors = tensorize(expr, { depth });
        const back = detensorize(tensors);
        expect(back).toEqual(normalize(expr));
        expect(tensorize(back, { depth })).toEqual(tensors);
      }),
      { numRuns: 2000 },
    );
  });

  it('evaluates to the bits of the plan, for longer chains too', () => {
    fc.assert(
      fc.property(anyTree, (expr) => {
        const tensors = tensorize(expr, { depth: Math.max(8, requiredDepth(expr)) });
        expect(evaluate(detensorize(tensors))).toBe(runPlan(tensors));
      }),
      { numRuns: 3000 },
    );
  });

  it('can be any graph of a batch', () => {
    const batch = tensorizeAll(['1 + 2', null, '3 / 4'], { depth: 3 });
    expect([0, 1, 2].map((index) => text(batch, index))).toEqual(['1 + 2', '0', '3 / 4']);
    expect(() => detensorize(batch, 3)).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });

  it('can be any row under a shared plan', () => {
    const bound = bind('a * x + b', { a: 2, x: [10, -20], b: [1, 0] });
    expect([text(bound, 0), text(bound, 1)]).toEqual(['2 * 10 + 1', '2 * -20 + 0']);
  });
});

describe('a hard plan that a model predicted', () => {
  it.each<[string, DagTensors, string]>([
    [
      'repeats a node that two steps use',
      graph(
        2,
        [2, 3],
        [
          ['linear', { 0: 1, 1: 1 }],
          ['log', { 0: 1, 2: 1 }],
        ],
      ),
      '2 * (2 + 3)',
    ],
    [
      'leaves out a step that the value does not depend on',
      graph(
        2,
        [2, 3],
        [
          ['log', { 0: 1, 1: 1 }],
          ['linear', { 0: 1, 1: 1 }],
        ],
      ),
      '2 + 3',
    ],
    [
      'passes through identity steps of either domain',
      graph(
        2,
        [2, 3],
        [
          ['log', { 1: 1 }],
          ['linear', { 2: 1 }],
        ],
      ),
      '3',
    ],
    ['writes a linear coefficient as a factor', graph(1, [7], [['linear', { 0: 3 }]]), '3 * 7'],
    [
      'subtracts a negative one',
      graph(
        2,
        [7, 5],
        [
          ['linear', {}],
          ['linear', { 0: 1, 1: -3 }],
        ],
      ),
      '7 - 3 * 5',
    ],
    ['writes a log coefficient as a power', graph(1, [7], [['log', { 0: 3 }]]), '7^3'],
    ['writes one below 0 as a negative power', graph(1, [7], [['log', { 0: -2 }]]), '7^-2'],
    [
      'writes a log coefficient as factors where the power has other bits',
      graph(
        2,
        [0.1, 0.7],
        [
          ['log', {}],
          ['log', { 0: 1, 1: 3 }],
        ],
      ),
      '0.1 * 0.7 * 0.7 * 0.7',
    ],
    [
      'writes the root of a square as an absolute value',
      graph(
        2,
        [-7],
        [
          ['log', { 0: 2 }],
          ['log', { 2: 0.5 }],
        ],
      ),
      'abs(-7)',
    ],
    [
      'does not where the square overflows',
      graph(
        2,
        [-1e200],
        [
          ['log', { 0: 2 }],
          ['log', { 2: 0.5 }],
        ],
      ),
      'sqrt(-1e+200 * -1e+200)',
    ],
    [
      'divides by each of a negative one',
      graph(
        2,
        [7, 5],
        [
          ['log', {}],
          ['log', { 0: 1, 1: -2 }],
        ],
      ),
      '7 / 5 / 5',
    ],
    [
      'begins with the positive term',
      graph(
        2,
        [7, 5],
        [
          ['linear', {}],
          ['linear', { 0: -1, 1: 1 }],
        ],
      ),
      '5 - 7',
    ],
    ['folds the minus of a number into it', graph(1, [7], [['linear', { 0: -1 }]]), '-7'],
    [
      'negates a group',
      graph(
        2,
        [7, 5],
        [
          ['log', { 0: 1, 1: 1 }],
          ['linear', { 2: -1 }],
        ],
      ),
      '-(7 * 5)',
    ],
    [
      'begins an all-negative sum with its negated first term',
      graph(
        2,
        [7, 5],
        [
          ['linear', {}],
          ['linear', { 0: -1, 1: -1 }],
        ],
      ),
      '-7 - 5',
    ],
    [
      'divides 1 where there is no numerator',
      graph(
        2,
        [7, 5],
        [
          ['log', {}],
          ['log', { 0: -1, 1: -1 }],
        ],
      ),
      '1 / 7 / 5',
    ],
    [
      'divides by a power that was rounded before, at the edge of overflow',
      graph(
        2,
        [-1.7718548704178432e-103],
        [
          ['log', { 0: 3 }],
          ['log', { 2: -1 }],
        ],
      ),
      '1 / (-1.7718548704178432e-103)^3',
    ],
    [
      'keeps a negative power that is a factor on its side',
      graph(
        3,
        [3, 7],
        [
          ['log', { 1: -2 }],
          ['linear', { 3: -3 }],
          ['log', { 0: 1, 3: 1, 4: -1 }],
        ],
      ),
      '3 * (1 / 7 / 7) / (-3 * (1 / 7 / 7))',
    ],
    ['takes a sum of nothing for 0', graph(1, [7], [['linear', {}]]), '0'],
    ['takes a product of nothing for 1', graph(1, [7], [['log', {}]]), '1'],
    ['ignores coefficients that are not causal', graph(1, [7], [['linear', { 0: 1, 1: 5 }]]), '7'],
  ])('%s', (_, tensors, expected) => {
    expect(text(tensors)).toBe(expected);
  });

  it('evaluates to the bits of the plan', () => {
    const coefficient = fc.oneof(
      { weight: 5, arbitrary: fc.constant(0) },
      { weight: 3, arbitrary: fc.constantFrom(1, -1) },
      { weight: 1, arbitrary: fc.integer({ min: -3, max: 3 }) },
    );
    const plan = fc.integer({ min: 1, max: 5 }).chain((depth) =>
      fc.record({
        depth: fc.constant(depth),
        numbers: fc.array(anyNumber, { minLength: depth, maxLength: depth }),
        O: fc.array(coefficient, { minLength: 2 * depth * depth, maxLength: 2 * depth * depth }),
        G: fc.array(fc.constantFrom(0, 1), { minLength: depth, maxLength: depth }),
      }),
    );
    fc.assert(
      fc.property(plan, ({ depth, numbers, O, G }) => {
        const tensors: DagTensors = {
          ...graph(depth, numbers, []),
          O: Float64Array.from(O),
          G: Float64Array.from(G),
        };
        let expr: Expr;
        try {
          expr = detensorize(tensors);
        } catch (error) {
          expect(error).toMatchObject({ code: 'too-large' });
          return;
        }
        expect(evaluate(expr)).toBe(runPlan(tensors));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('what cannot be read', () => {
  it.each<[string, (t: DagTensors) => void, RegExp]>([
    [
      'a power that is infinite',
      (t) => {
        t.G[0] = 0;
        t.O[0] = Infinity;
      },
      /step 0 .*Infinity on node 0/,
    ],
    ['a coefficient that is NaN', (t) => (t.O[0] = NaN), /step 0 .*NaN on node 0/],
    ['a domain between linear and log', (t) => (t.G[0] = 0.25), /step 0 has G 0\.25/],
    ['a sign between minus and plus', (t) => (t.V_sign[1] = 0.9), /node 1 is 0\.9/],
  ])('%s is a soft plan', (_, soften, message) => {
    const tensors = tensorize('1 + 2', { depth: 2 });
    soften(tensors);
    expect(() => detensorize(tensors)).toThrow(
      expect.objectContaining({ code: 'soft-plan', message: expect.stringMatching(message) }),
    );
  });

  it('is not a coefficient between whole numbers, which is a factor', () => {
    const tensors = tensorize('1 + 2', { depth: 2 });
    tensors.O[0] = 0.5;
    tensors.O[1] = -0.25;
    expect(format(detensorize(tensors))).toBe('0.5 * 1 - 0.25 * 2');
    expect(evaluate(detensorize(tensors))).toBe(runPlan(tensors));
  });

  it('may be there where the value does not depend on it', () => {
    const tensors = graph(
      3,
      [1, 2, 3],
      [
        ['linear', { 0: 0.5 }],
        ['linear', {}],
        ['linear', { 0: 1, 1: 1 }],
      ],
    );
    tensors.G[0] = 0.3;
    tensors.V_sign[2] = 0.2;
    expect(text(tensors)).toBe('1 + 2');
  });

  it.each([NaN, Infinity, -1])('is a magnitude of %d', (magnitude) => {
    const tensors = tensorize('1 + 2', { depth: 2 });
    tensors.V_mag[1] = magnitude;
    expect(() => detensorize(tensors)).toThrow(expect.objectContaining({ code: 'bad-tensors' }));
  });

  it('is no sum, whatever its coefficients are', () => {
    expect(text(graph(1, [3], [['linear', { 0: 17 }]]))).toBe('17 * 3');
  });

  it('is a plan that doubles at every step', () => {
    const depth = 40;
    const doubling = graph(
      depth,
      [1],
      Array.from({ length: depth }, (_, i): StepSpec => [
        i % 2 ? 'log' : 'linear',
        i === 0 ? { 0: 1 } : { [depth + i - 1]: 2 },
      ]),
    );
    expect(() => detensorize(doubling)).toThrow(expect.objectContaining({ code: 'too-large' }));
  });
});
