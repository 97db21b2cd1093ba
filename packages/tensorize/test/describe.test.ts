import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  describe as describePlan,
  isIdentity,
  readPlan,
  requiredDepth,
  tensorize,
  tensorizeAll,
  zeroDag,
} from '../src/index.js';
import { anyTree } from './expressions.js';

describe('a described plan', () => {
  it.each([
    ['2.5 * 3 + 1', 'n0 = 2.5   n1 = 3   n2 = 1\ns0 = n0 × n1\ns1 = s0 + n2\nvalue = s1'],
    ['9 - 8 + 7', 'n0 = 9   n1 = 8   n2 = 7\ns0 = n0 − n1 + n2\nvalue = s0'],
    ['9 / 8 * -7', 'n0 = 9   n1 = 8   n2 = -7\ns0 = n0 × n2 ÷ n1\nvalue = s0'],
    ['1 - 2 * 3', 'n0 = 1   n1 = 2   n2 = 3\ns0 = n1 × n2\ns1 = n0 − s0\nvalue = s1'],
    ['-(1 + 2)', 'n0 = 1   n1 = 2\ns0 = n0 + n1\ns1 = −s0\nvalue = s1'],
    ['42', 'n0 = 42\nvalue = n0'],
  ])('of %s shows its numbers, its steps and where the value is', (text, expected) => {
    expect(describePlan(tensorize(text, { depth: 6 }))).toBe(expected);
  });

  it('can be of any graph of a batch', () => {
    const batch = tensorizeAll(['1', null], { depth: 2 });
    expect(describePlan(batch, 1)).toBe('value = 0');
    expect(() => describePlan(batch, 2)).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });

  it('has whole coefficients as factors and powers', () => {
    const t = zeroDag({ depth: 2, size: 1 });
    t.V_mag.set([3, 4]);
    t.O.set([2, -3, 0, 0, /* step 1 */ -1, 0, 2, 0]);
    t.G.set([1, 0]);
    expect(describePlan(t)).toBe('n0 = 3   n1 = 4\ns0 = 2·n0 − 3·n1\ns1 = s0^2 ÷ n0\nvalue = s1');
  });

  it('has soft coefficients, domains and signs with three decimals', () => {
    const t = tensorize('3 * 4', { depth: 1 + 1 });
    t.O.set([0.99812, -0.0214, 0, 0]);
    t.G.set([0.93]);
    t.V_sign[1] = 0.5;
    expect(describePlan(t)).toBe(
      [
        'n0 = 3   n1 = 0.500·4',
        's0 = 0.930·(0.998·n0 − 0.021·n1) + 0.070·(n0^0.998 ÷ n1^0.021)',
        'value = s0',
      ].join('\n'),
    );
  });

  it('marks a step of which parts that round to nothing are left out', () => {
    const t = tensorize('3 + 4', { depth: 2 });
    t.G[0] = 0.9999;
    expect(describePlan(t)).toBe('n0 = 3   n1 = 4\ns0 ≈ n0 + n1\nvalue = s0');
    t.G[0] = 1;
    t.O[1] = 1e-5;
    expect(describePlan(t)).toBe('n0 = 3   n1 = 4\ns0 ≈ n0\nvalue = s0');
  });

  it('keeps to 80 columns', () => {
    const t = zeroDag({ depth: 12, size: 1 });
    t.V_mag.fill(123456.789);
    t.O.fill(-0.123);
    t.G.fill(0.5);
    for (const line of describePlan(t).split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('has a line for each step of an expression, and names for all that it uses', () => {
    fc.assert(
      fc.property(anyTree, (expr) => {
        const depth = requiredDepth(expr) + 2;
        const text = describePlan(tensorize(expr, { depth }));
        const stepLines = text.split('\n').filter((line) => line.startsWith('s'));
        const chains = (node: typeof expr): number =>
          'args' in node
            ? node.args.reduce((n, arg) => n + chains(arg), 1)
            : node.type === 'Neg'
              ? 1 + chains(node.arg)
              : 0;
        expect(stepLines.length).toBeLessThanOrEqual(chains(expr));
        expect(text).not.toContain('undefined');
        expect(text).toMatch(stepLines.length === 0 ? /^value = n0$/m : /^value = s\d+$/m);
      }),
    );
  });
});

describe('a plan that is read', () => {
  it('holds the numbers and steps that the value depends on, and unused steps as identities', () => {
    const plan = readPlan(tensorize('8 / (5 - 6)', { depth: 4 }));
    expect(plan.initial).toEqual([0, 1, 2]);
    const [difference, quotient, ...unused] = plan.steps;
    expect(difference).toEqual({
      index: 0,
      gate: 1,
      terms: [
        { node: 1, coefficient: 1 },
        { node: 2, coefficient: -1 },
      ],
    });
    expect(quotient).toEqual({
      index: 1,
      gate: 0,
      terms: [
        { node: 0, coefficient: 1 },
        { node: 4, coefficient: -1 },
      ],
    });
    expect(unused.map(isIdentity)).toEqual([true, true]);
    expect([difference!, quotient!].map(isIdentity)).toEqual([false, false]);
  });

  it('can be any graph of a batch', () => {
    expect(readPlan(tensorizeAll(['1', null], { depth: 2 }), 1)).toEqual({
      initial: [],
      steps: [{ index: 1, gate: 1, terms: [] }],
    });
    expect(() => readPlan(zeroDag({ depth: 1, size: 1 }), 1)).toThrow(
      expect.objectContaining({ code: 'bad-option' }),
    );
  });
});
