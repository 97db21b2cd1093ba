/**
 * Normal forms alone: `@dag/expr/normalize` works on plain objects, those of a mathjs tree too, and needs neither a
 * parser nor mathjs. To show it, a module hook counts the files of mathjs that this process loads.
 */
import { register } from 'node:module';
import type { Expr } from '@dag/expr/normalize';

const loaded = new Int32Array(new SharedArrayBuffer(4));
const hook = `
  let loaded;
  export function initialize(counter) { loaded = counter; }
  export function load(url, context, next) {
    if (url.includes('/node_modules/mathjs/')) Atomics.add(loaded, 0, 1);
    return next(url, context);
  }`;
register(`data:text/javascript,${encodeURIComponent(hook)}`, { data: loaded });
const { fromMathNode, normalize } = await import('@dag/expr/normalize');

const num = (value: number): Expr => ({ type: 'Num', value });
const sym = (name: string): Expr => ({ type: 'Sym', name });
const inverse = (base: Expr): Expr => ({ type: 'Pow', base, exponent: -1 });
const neg = (arg: Expr): Expr => ({ type: 'Neg', arg });
const [a, b, c] = [sym('a'), sym('b'), sym('c')];

console.log('Expressions, and their normal forms:\n');
print({ type: 'Mul', args: [a, inverse(b), inverse(c)] });
print({ type: 'Add', args: [a, neg(b), neg(c)] });
print({ type: 'Sub', args: [{ type: 'Sub', args: [a, neg(b)] }, num(-2)] });
print({ type: 'Mul', args: [num(-1), a] });
print(inverse(a));

// What mathjs's parse('2 - -(x / 4)') returns has this shape; any object of this shape will do.
const constant = (value: number) => ({ type: 'ConstantNode', value });
const operator = (fn: string, ...args: object[]) => ({ type: 'OperatorNode', fn, args });
const quotient = operator('divide', { type: 'SymbolNode', name: 'x' }, constant(4));
console.log('The nodes of a mathjs tree, as an expression, and its normal form:\n');
print(fromMathNode(operator('subtract', constant(2), operator('unaryMinus', quotient))));

console.log(`Files of mathjs loaded so far: ${loaded[0]}`);
await import('@dag/expr');
console.log(`after importing @dag/expr, parser and all: ${loaded[0]}`);

function print(expr: Expr): void {
  console.log(`  ${show(expr)}\n  → ${show(normalize(expr))}\n`);
}

function show(expr: Expr): string {
  if (expr.type === 'Num') return String(expr.value);
  if (expr.type === 'Sym') return expr.name;
  if (expr.type === 'Neg') return `Neg(${show(expr.arg)})`;
  if (expr.type === 'Pow') return `Pow(${show(expr.base)}, -1)`;
  return `${expr.type}(${expr.args.map(show).join(', ')})`;
}
