/** Every export, called with whatever a caller from JavaScript may give: the right result, or an ExprError. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as expr from '../src/index.js';
import { ExprError, type Expr } from '../src/index.js';
import { failure } from './failure.js';
import { junk, orJunk } from './junk.js';

const text = orJunk(fc.constantFrom('1 + 2', '2 * (3 - x)', 'two plus three', 'What is 12 / 4?', '2 *'));
const tree = orJunk(fc.constantFrom('1 + 2', '2 * (3 - x)', '-(1 - 2)^-1').map((t) => expr.parse(t)));
const limits = orJunk(
  fc.record({ maxLength: orJunk(fc.constant(100)), maxDepth: orJunk(fc.constant(9)) }, { requiredKeys: [] }),
);
const scope = orJunk(fc.record({ x: orJunk(fc.constant(2)) }));
const options = orJunk(
  fc.record({
    seed: orJunk(fc.constant(1)),
    index: orJunk(fc.nat()),
    depth: orJunk(fc.constant(4)),
    maxDigits: orJunk(fc.constant(3)),
    maxDecimals: orJunk(fc.constant(2)),
    style: orJunk(fc.constant('mixed' as const)),
    synonyms: orJunk(fc.constant(0.5)),
  }),
);
const count = orJunk(fc.nat());
const node = orJunk(fc.constant({ type: 'ConstantNode', value: 3 } as { type: string }));

/** Whether a value is of the kind that a function promises. */
type Check = (result: never) => boolean;
const isText: Check = (result) => typeof result === 'string';
const isTextOrNull: Check = (result) => result === null || isText(result);
const isBoolean: Check = (result) => typeof result === 'boolean';
const isNumber: Check = (result) => typeof result === 'number';
const isExpr: Check = (result: Expr) => isText(expr.format(result) as never);

/** A function with its arguments, and what it gives. */
function call<A extends [unknown, ...unknown[]]>(
  f: (...args: A) => unknown,
  args: { [K in keyof A]: fc.Arbitrary<A[K]> },
  check: Check,
): fc.Arbitrary<{ result: () => unknown; check: Check }> {
  return fc.tuple(...(args as fc.Arbitrary<unknown>[])).map((values) => ({
    result: () => f(...(values as A)),
    check,
  }));
}

const calls: Record<keyof typeof expr, fc.Arbitrary<{ result: () => unknown; check: Check }>> = {
  ExprError: call(
    (message: unknown) => new ExprError('syntax', String(message)),
    [fc.string()],
    () => true,
  ),
  asRead: call(expr.asRead, [text], isText),
  asWords: call(expr.asWords, [text], isText),
  fnv1a: call(expr.fnv1a, [text], isNumber),
  symbolOf: call(expr.symbolOf, [text], (symbol) => symbol === undefined || isText(symbol)),
  isQuestion: call(expr.isQuestion, [text], isBoolean),
  fromText: call(expr.fromText, [text, limits], isExpr),
  fromWords: call(expr.fromWords, [text, limits], isExpr),
  parse: call(expr.parse, [text, limits], isExpr),
  formatValue: call(expr.formatValue, [orJunk(fc.double())], isText),
  evaluate: call(expr.evaluate, [tree, scope], isNumber),
  format: call(expr.format, [tree], isText),
  normalize: call(expr.normalize, [tree], isExpr),
  toWords: call(expr.toWords, [tree], isText),
  textToWords: call(expr.textToWords, [text], isText),
  wordsToText: call(expr.wordsToText, [text], isText),
  completePrefix: call(expr.completePrefix, [text], isTextOrNull),
  fromMathNode: call(expr.fromMathNode, [node], isExpr),
  generateExpression: call(expr.generateExpression, [options], isExpr),
  generateText: call(expr.generateText, [options], isText),
  generateTexts: call((o: never) => expr.generateTexts(o).text, [options as fc.Arbitrary<never>], isText),
  randomStream: call(
    (seed: number, index: number, below: number) => expr.randomStream(seed, index).below(below),
    [count, count, count],
    (n: number) => n >= 0,
  ),
  readPrefixes: call(
    (t: string, end: number, last: number) => {
      const prefixes = expr.readPrefixes(t);
      prefixes.at(end);
      return prefixes.complete(last);
    },
    [text, count, orJunk(fc.constantFrom(0, 1, 2))],
    isExpr,
  ),
};

describe('calls without types', () => {
  it.each(Object.entries(calls))('%s gives what it promises, or an ExprError', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, ({ result, check }) => {
        let value: unknown;
        try {
          value = result();
        } catch (error) {
          if (error instanceof ExprError) return;
          throw error;
        }
        try {
          expect(check(value as never)).toBe(true);
        } catch (error) {
          // An expression of numbers that no decimal can write.
          if (!(error instanceof ExprError && error.code === 'not-finite')) throw error;
        }
      }),
      { numRuns: 150 },
    );
  });

  const cycle = { type: 'Neg', arg: null as unknown };
  cycle.arg = cycle;
  const leftCycle = { type: 'Add', args: [null, expr.parse('1')] as unknown[] };
  leftCycle.args[0] = leftCycle;
  let doubled = expr.parse('1');
  for (let i = 0; i < 60; i++) doubled = { type: 'Mul', args: [doubled, doubled] };
  it.each([
    ['contains itself', cycle],
    ['contains itself on the left', leftCycle],
    ['repeats its parts 2^60 times', doubled],
  ])('an expression that %s is too long', (_, value) => {
    for (const act of [expr.evaluate, expr.format, expr.normalize])
      expect(() => act(value as Expr)).toThrow(/more than 1000000 nodes, or contains itself/);
  });

  it('a node of mathjs that contains itself is too long', () => {
    const group = { type: 'ParenthesisNode', content: null as unknown };
    group.content = group;
    const left = { type: 'OperatorNode', fn: 'add', args: [null, null] as unknown[] };
    left.args[0] = left;
    const power = { type: 'OperatorNode', fn: 'pow', args: [{ type: 'ConstantNode', value: 2 }, group] };
    for (const value of [group, left, power])
      expect(() => expr.fromMathNode(value)).toThrow(/contains itself/);
  });

  it('a text is no expression', () => {
    for (const act of [expr.evaluate, expr.format, expr.normalize])
      expect(() => act('2 + 3' as unknown as Expr)).toThrow('got a text: parse it first');
  });

  it.each([
    [NaN, 'NaN'],
    [Infinity, 'Infinity'],
    ['2', "'2'"],
    [undefined, 'undefined'],
  ])('a power with exponent %p is no expression', (exponent, named) => {
    const power = { type: 'Pow', base: expr.parse('2'), exponent } as Expr;
    for (const act of [expr.evaluate, expr.format, expr.normalize])
      expect(() => act(power)).toThrow(`a Pow with exponent ${named}`);
  });

  it('an expression that cannot be read is a bad expression', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const throwing = {
      type: 'Neg',
      get arg(): Expr {
        throw new TypeError('not now');
      },
    };
    for (const node of [proxy, { type: 'Neg', arg: proxy }, { type: 'Add', args: proxy }, throwing])
      for (const act of [expr.evaluate, expr.format, expr.normalize])
        expect(failure(() => act(node as Expr)).code).toBe('bad-expression');
    for (const act of [
      () => expr.parse('2', proxy),
      () => expr.parse(proxy as string),
      () => expr.asWords(proxy as string),
      () => expr.formatValue(proxy as number),
      () => expr.generateText(proxy as expr.GenerateOptions),
      () => expr.evaluate(expr.parse('x'), proxy as Record<string, number>),
    ])
      expect(failure(act).code).toBe('bad-option');
  });

  it('an Expr that is junk is a bad expression', () => {
    fc.assert(
      fc.property(junk, (value) => {
        expect(() => expr.evaluate(value as Expr)).toThrow(ExprError);
      }),
      { numRuns: 200 },
    );
  });
});
