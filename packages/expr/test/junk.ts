import fc from 'fast-check';

/** Values that callers from JavaScript may give where something else is asked for. */
const MAKERS: readonly (() => unknown)[] = [
  ...[null, undefined, true, 0, -1, 0.5, NaN, Infinity, 2 ** 53, 7n, '', 'x', '1 + 2', '\ud800\0'].map(
    (value) => () => value,
  ),
  () => Symbol('junk'),
  () => '('.repeat(20_000),
  () => ({}),
  () => Object.create(null) as unknown,
  () => [],
  () => new Array(3),
  () => [null],
  () => [Object.create(null)],
  () => ({ length: 2 ** 40 }),
  () => ({ length: -1 }),
  () => new Float64Array(3),
  () => BigInt64Array.of(1n),
  () => lying(),
  () => detached(),
  () => new Proxy({}, {}),
  () => new Proxy([], {}),
  () => new Proxy(new Float64Array(4), {}),
  () => new Date(NaN),
  () => new Map(),
  () => () => 1,
  () => cyclic(),
  // Expressions, nearly.
  () => ({ type: 'Num', value: '3' }),
  () => ({ type: 'Num' }),
  () => ({ type: 'Sym', name: Object.create(null) as unknown }),
  () => ({ type: 'Neg' }),
  () => ({ type: 'Pow', base: { type: 'Num', value: 2 }, exponent: '2' }),
  () => ({ type: 'Pow', base: null, exponent: 0.5 }),
  () => ({ type: 'Add', args: [] }),
  () => ({ type: 'Sub', args: [{ type: 'Num', value: 2 }] }),
  () => ({ type: 'Mul', args: new Array(4) }),
  () => ({ type: 'Div', args: [null, 1] }),
  () => ({ type: 'toString', args: [] }),
  () => ({ type: Symbol('Num') }),
  // mathjs's nodes, nearly.
  () => ({ type: 'ConstantNode', value: Object.create(null) as unknown }),
  () => ({ type: 'SymbolNode', name: Symbol('x') }),
  () => ({ type: 'OperatorNode', fn: Object.create(null) as unknown, args: [] }),
];

/** One of the values above, or whatever fast-check thinks of. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...MAKERS).map((make) => make()),
  fc.anything({ withNullPrototype: true, withBigInt: true, withSparseArray: true, withTypedArray: true }),
);

/** Mostly the right value, or junk; the type is that of the right one, as a caller from JavaScript has none. */
export const orJunk = <T>(right: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: right }, { weight: 1, arbitrary: junk }) as fc.Arbitrary<T>;

function cyclic(): unknown {
  const node: { type: string; arg?: unknown } = { type: 'Neg' };
  node.arg = node;
  return { value: [node] };
}

function lying(): Float64Array {
  return Object.defineProperty(new Float64Array(2), 'length', { value: 8 });
}

function detached(): Float64Array {
  const array = new Float64Array(8);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}
