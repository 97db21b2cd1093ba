import fc from 'fast-check';
import type { Expr } from '../src/index.js';

export const num = (value: number): Expr => ({ type: 'Num', value });
export const sym = (name: string): Expr => ({ type: 'Sym', name });
export const neg = (arg: Expr): Expr => ({ type: 'Neg', arg });
export const pow = (base: Expr, exponent: number): Expr => ({ type: 'Pow', base, exponent });
export const inverse = (base: Expr): Expr => pow(base, -1);
export const abs = (arg: Expr): Expr => pow(pow(arg, 2), 0.5);
export const add = (...args: Expr[]): Expr => ({ type: 'Add', args });
export const sub = (...args: Expr[]): Expr => ({ type: 'Sub', args });
export const mul = (...args: Expr[]): Expr => ({ type: 'Mul', args });
export const div = (...args: Expr[]): Expr => ({ type: 'Div', args });

export const [a, b, c, d] = [sym('a'), sym('b'), sym('c'), sym('d')];

const anyNumber = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 2, -2, 0.1, 5e-324, 1.7976931348623157e308, 1e21, 1e-7),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -20, max: 20 }),
);
const anyName = fc.constantFrom('a', 'b', 'x1', '_', '$y', 'π', '𝐀', 'e', 'constructor', '__proto__');

const exponents = fc.oneof(
  fc.constantFrom(2, 3, 0.5, -0.5, 1 / 3, -1 / 3, -2, 0, -0, 1, 10, 17, 1e-7, 1e21),
  fc.integer({ min: -9, max: 9 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

/** Well-formed expressions of every kind of node; `powers` and `names` may be left out. */
export function anyExpression({ powers = true, names = true } = {}): fc.Arbitrary<Expr> {
  return fc.letrec<{ expr: Expr }>((tie) => {
    const chain = fc
      .tuple(fc.constantFrom(add, sub, mul, div), fc.array(tie('expr'), { minLength: 2, maxLength: 4 }))
      .map(([make, args]) => make(...args));
    return {
      expr: fc.oneof(
        { maxDepth: 5, depthSize: 'small' },
        names ? fc.oneof(anyNumber.map(num), anyName.map(sym)) : anyNumber.map(num),
        chain,
        chain,
        tie('expr').map(neg),
        powers
          ? fc.oneof(
              tie('expr').map(inverse),
              tie('expr').map(abs),
              fc.tuple(tie('expr'), exponents).map(([base, exponent]) => pow(base, exponent)),
            )
          : tie('expr').map((arg) => mul(num(-1), arg)),
      ),
    };
  }).expr;
}

/** `Add(Add(Add(1, 1), 1), …)`, as libraries that know binary sums only write it. */
export function leftNest(make: (...args: Expr[]) => Expr, depth: number): Expr {
  let nest = num(1);
  for (let i = 0; i < depth; i++) nest = make(nest, num(1));
  return nest;
}
