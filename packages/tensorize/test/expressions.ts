import fc from 'fast-check';
import { normalize, type Expr } from '@dag/expr';

export const num = (value: number): Expr => ({ type: 'Num', value });
export const neg = (arg: Expr): Expr => ({ type: 'Neg', arg });
export const chain = (type: ChainType, ...args: Expr[]): Expr => ({ type, args });

type ChainType = 'Add' | 'Sub' | 'Mul' | 'Div';
const LINEAR: ChainType[] = ['Add', 'Sub'];
const LOG: ChainType[] = ['Mul', 'Div'];

/** Doubles of every size up to 1e300, zeros of both signs, and small numbers that are often equal. */
export const anyNumber: fc.Arbitrary<number> = fc.oneof(
  fc.double({ min: -1e300, max: 1e300, noNaN: true }),
  fc
    .tuple(fc.integer({ min: -300, max: 300 }), fc.double({ min: -10, max: 10, noNaN: true }))
    .map(([exponent, x]) => x * 10 ** exponent)
    .filter((x) => Math.abs(x) <= 1e300),
  fc.constantFrom(0, -0, 1, -1, 2, 3, -3, 0.1, 0.25, 1e-300, -1e300),
);

/** Numbers of which chains of eight neither overflow nor underflow. */
const ordinaryNumber: fc.Arbitrary<number> = fc.oneof(
  fc
    .tuple(fc.integer({ min: -15, max: 15 }), fc.double({ min: -10, max: 10, noNaN: true }))
    .map(([exponent, x]) => Math.sign(x) * Math.max(Math.abs(x), 0.1) * 10 ** exponent),
  fc.constantFrom(0, -0, 1, -1, 2, 3, 0.1),
);

/** Draws decisions from a list that fast-check can shrink; an exhausted list always decides 0. */
function decisions(list: readonly number[]): (count: number) => number {
  let next = 0;
  return (count) => (list[next++] ?? 0) % count;
}

const isChainOf = (types: ChainType[], expr: Expr): boolean => types.some((type) => type === expr.type);

/** Splits numbers into a tree; `join` makes one node of two or more neighbours. */
function grow(
  numbers: readonly number[],
  decide: (count: number) => number,
  maxParts: number,
  join: (parts: Expr[]) => Expr,
): Expr {
  if (numbers.length === 1) return num(numbers[0]!);
  const parts: Expr[] = [];
  const wanted = 2 + decide(Math.min(maxParts, numbers.length) - 1);
  let start = 0;
  for (let part = 0; part < wanted; part++) {
    const longest = numbers.length - start - (wanted - part - 1);
    const length = part === wanted - 1 ? longest : 1 + decide(longest);
    parts.push(grow(numbers.slice(start, start + length), decide, maxParts, join));
    start += length;
  }
  return join(parts);
}

const leavesAndDecisions = fc.tuple(
  fc.array(anyNumber, { minLength: 1, maxLength: 8 }),
  fc.array(fc.nat(1000), { maxLength: 40 }),
);

/** Trees whose every step has at most two operands: a left operand is never a chain of the same domain. */
export const binaryTree: fc.Arbitrary<Expr> = leavesAndDecisions.map(([numbers, list]) => {
  const decide = decisions(list);
  return grow(numbers, decide, 2, ([left, right]) => {
    const free = [LINEAR, LOG].filter((types) => !isChainOf(types, normalize(left!)));
    const types = free[decide(free.length)]!;
    const group = chain(types[decide(2)]!, left!, right!);
    return decide(6) === 5 ? neg(group) : group;
  });
});

/** Any trees: chains of two to four operands, mixed, nested on either side, some negated. */
export const anyTree: fc.Arbitrary<Expr> = leavesAndDecisions.map(([numbers, list]) => {
  const decide = decisions(list);
  return grow(numbers, decide, 4, (parts) => {
    const group = chain([...LINEAR, ...LOG][decide(4)]!, ...parts);
    return decide(6) === 5 ? neg(group) : group;
  });
});

/** One chain of three to eight operands, read from the left; some operands are groups of two of the other domain. */
export const longChain = (domain: 'linear' | 'log'): fc.Arbitrary<{ expr: Expr; operands: Expr[] }> => {
  const [own, other] = domain === 'linear' ? [LINEAR, LOG] : [LOG, LINEAR];
  const operand = fc.oneof(
    ordinaryNumber.map(num),
    fc
      .tuple(fc.constantFrom(...other), ordinaryNumber, ordinaryNumber)
      .map(([type, a, b]) => chain(type, num(a), num(b))),
  );
  return fc
    .tuple(operand, fc.array(fc.tuple(fc.constantFrom(...own), operand), { minLength: 2, maxLength: 7 }))
    .map(([first, rest]) => ({
      expr: rest.reduce((left, [type, right]) => chain(type, left, right), first),
      operands: [first, ...rest.map(([, right]) => right)],
    }));
};
