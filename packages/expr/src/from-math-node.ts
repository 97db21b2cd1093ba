import { named } from './arguments.js';
import { ExprError } from './error.js';
import { evaluate } from './evaluate.js';
import { Abs, Chain, Neg, Num, Pow, Sym, type ChainType, type Expr } from './expr.js';
import { checkNodes, fold } from './fold.js';
import { isFunctionName, isSymbolName, type FunctionName } from './names.js';

/** A node of mathjs, as far as `fromMathNode` needs its type; every `MathNode` is one. */
export interface MathNodeLike {
  readonly type: string;
}

/** mathjs's names of the operations of a chain. */
export const CHAINS: ReadonlyMap<unknown, ChainType> = new Map<unknown, ChainType>([
  ['add', 'Add'],
  ['subtract', 'Sub'],
  ['multiply', 'Mul'],
  ['divide', 'Div'],
]);

/**
 * Converts a node of mathjs, from its `parse` or `simplify`, to an expression. It accepts what `parse` of this package
 * accepts: numbers, symbols, `+ - * /`, signs, parentheses, constant powers, `sqrt`, `cbrt` and `abs`. A run of one operator without parentheses becomes one
 * chain. It does not import mathjs, and reads the nodes as plain objects.
 *
 * @throws ExprError `unsupported` for any other node, `not-finite` for NaN and infinities, `too-long` above 1,000,000 nodes.
 * @example fromMathNode(simplify('x + x + y')) // Add(Mul(2, x), y)
 */
export function fromMathNode(node: MathNodeLike): Expr {
  return fold<unknown, Expr>(node, mathOperands, (current, args) => {
    const { type, value, name, fn } = fieldsOf(current);
    switch (type) {
      case 'ConstantNode':
        return constant(value);
      case 'SymbolNode':
        return symbol(name);
      case 'ParenthesisNode':
        return args[0]!;
      default:
        return operation(fn, args, current);
    }
  });
}

function operation(fn: unknown, args: readonly Expr[], node: unknown): Expr {
  const chain = CHAINS.get(fn);
  if (chain !== undefined) return Chain(chain, args);
  const arg = args[0]!;
  if (fn === 'unaryPlus') return arg;
  if (fn === 'pow') return Pow(arg, constantExponent(args[1]!));
  switch (calledFunction(node)) {
    case 'sqrt':
      return Pow(arg, 0.5);
    case 'cbrt':
      return Pow(arg, 1 / 3);
    case 'abs':
      return Abs(arg);
  }
  // A minus directly before a literal is part of the number. In '-(2)' and '--2' the outer minus is a Neg.
  const literal = fieldsOf(fieldsOf(node).args[0]).type === 'ConstantNode';
  return literal && arg.type === 'Num' && !(arg.value < 0 || Object.is(arg.value, -0))
    ? Num(-arg.value)
    : Neg(arg);
}

/** The children of a node that become operands. Throws for nodes that are no arithmetic. */
function mathOperands(node: unknown): readonly unknown[] {
  const { type, fn, args, content } = fieldsOf(node);
  if (type === 'ConstantNode' || type === 'SymbolNode') return [];
  if (type === 'ParenthesisNode') return [content];
  if (calledFunction(node) !== undefined && args.length === 1) return args;
  if (type !== 'OperatorNode')
    throw unsupported(typeof type === 'string' ? type : 'a value that is no mathjs node');
  if (CHAINS.has(fn)) return run(node);
  if ((fn === 'unaryMinus' || fn === 'unaryPlus') && args.length === 1) return args;
  if (fn === 'pow' && args.length === 2) return args;
  throw unsupported(`the operation ${named(fn)} of ${args.length} operands`);
}

/** The operands of a run of one operator without parentheses: a, b, c of `a + b + c`, which mathjs nests on the left. */
function run(node: unknown): unknown[] {
  const { fn } = fieldsOf(node);
  const reversed: unknown[] = [];
  let left = node;
  for (;;) {
    const { type, fn: operator, args, implicit, isPercentage } = fieldsOf(left);
    if (type !== 'OperatorNode' || operator !== fn) break;
    if (implicit === true) throw unsupported('a multiplication without *');
    if (isPercentage === true) throw unsupported('a percentage');
    if (args.length < 2) throw unsupported(`the operation ${named(fn)} of ${args.length} operands`);
    checkNodes(reversed.length + args.length);
    for (let i = args.length - 1; i > 0; i--) reversed.push(args[i]);
    left = args[0];
  }
  reversed.push(left);
  return reversed.reverse();
}

/** The function of the language that a node calls; undefined for other nodes. */
function calledFunction(node: unknown): FunctionName | undefined {
  const { type, fn } = fieldsOf(node);
  const { type: kind, name } = fieldsOf(fn);
  const calls = type === 'FunctionNode' && kind === 'SymbolNode';
  return calls && typeof name === 'string' && isFunctionName(name) ? name : undefined;
}

function constantExponent(exponent: Expr): number {
  let value: number;
  try {
    value = evaluate(exponent);
  } catch (error) {
    if (error instanceof ExprError && error.code === 'unknown-symbol')
      throw unsupported('a power whose exponent has a variable');
    throw error;
  }
  if (!Number.isFinite(value))
    throw new ExprError('not-finite', `An exponent is finite, this one is ${value}.`);
  return value;
}

function constant(value: unknown): Expr {
  if (typeof value !== 'number') throw unsupported(`the constant ${named(value)}`);
  if (!Number.isFinite(value)) throw new ExprError('not-finite', `${value} is no finite number.`);
  return Num(value);
}

function symbol(name: unknown): Expr {
  if (typeof name !== 'string' || !isSymbolName(name)) throw unsupported(`the symbol ${named(name)}`);
  return Sym(name);
}

const unsupported = (what: string): ExprError =>
  new ExprError(
    'unsupported',
    `Not part of an expression: ${what}. Allowed are numbers, variables, + - * /, signs, parentheses, constant powers, sqrt, cbrt and abs.`,
  );

type Fields = Record<'type' | 'value' | 'name' | 'fn' | 'content' | 'implicit' | 'isPercentage', unknown> & {
  readonly args: readonly unknown[];
};

/** The fields of an object from outside, of which none is checked. */
function fieldsOf(node: unknown): Fields {
  const foreign = (typeof node === 'object' && node !== null ? node : {}) as Partial<
    Record<keyof Fields, unknown>
  >;
  const { type, value, name, fn, content, implicit, isPercentage, args } = foreign;
  return { type, value, name, fn, content, implicit, isPercentage, args: Array.isArray(args) ? args : [] };
}
