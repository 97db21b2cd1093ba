/** The way from and to mathjs, an optional peer dependency. Nothing else of this package imports it. */
import * as math from 'mathjs';
import type { FunctionNode, MathNode, OperatorNode, SymbolNode } from 'mathjs';
import { checkString, shorten } from './arguments.js';
import { ExprError } from './error.js';
import type { Expr } from './expr.js';
import { fold } from './fold.js';
import { format } from './format.js';
import { CHAINS, fromMathNode, type MathNodeLike } from './from-math-node.js';
import { isFunctionName } from './names.js';

export { ExprError, type ExprErrorCode } from './error.js';
export { type ChainType, type Expr } from './expr.js';
export { fromMathNode, type MathNodeLike } from './from-math-node.js';

const MAX_LENGTH = 10_000;

/** Functions that give the same real number for the same numbers, in a time that does not grow with them. */
const FUNCTIONS = new Set<string>([
  ...['add', 'subtract', 'multiply', 'divide', 'unaryMinus', 'unaryPlus', 'mod', 'gcd', 'lcm', 'sign'],
  ...['pow', 'square', 'cube', 'sqrt', 'cbrt', 'nthRoot', 'hypot', 'abs', 'ceil', 'fix', 'floor', 'round'],
  ...['exp', 'expm1', 'log', 'log1p', 'log2', 'log10', 'factorial', 'gamma', 'lgamma', 'erf'],
  ...['sin', 'cos', 'tan', 'sec', 'csc', 'cot', 'asin', 'acos', 'atan', 'atan2', 'asec', 'acsc', 'acot'],
  ...['sinh', 'cosh', 'tanh', 'sech', 'csch', 'coth', 'asinh', 'acosh', 'atanh', 'asech', 'acsch', 'acoth'],
  ...['min', 'max', 'sum', 'prod', 'mean', 'median'],
]);

/** Whether `Expr` has a node for this function of so many operands. */
const isArithmetic = (fn: string, operands: number): boolean =>
  CHAINS.has(fn) ? operands >= 2 : (fn === 'unaryMinus' || fn === 'unaryPlus') && operands === 1;

const { pi, e, tau, phi, LN2, LN10, LOG2E, LOG10E, SQRT1_2, SQRT2 } = math;
const CONSTANTS = new Map(
  Object.entries({ pi, PI: pi, e, E: e, tau, phi, LN2, LN10, LOG2E, LOG10E, SQRT1_2, SQRT2 }),
);

/** Kinds of nodes that no arithmetic has. */
const REFUSED = new Map([
  ['ArrayNode', 'a matrix'],
  ['RangeNode', 'a range'],
  ['ObjectNode', 'an object'],
  ['AccessorNode', 'an index or a property'],
  ['AssignmentNode', 'an assignment'],
  ['FunctionAssignmentNode', 'the definition of a function'],
  ['BlockNode', 'several expressions'],
  ['ConditionalNode', 'a condition'],
  ['RelationalNode', 'a comparison'],
]);

/**
 * Reads a text of mathjs's whole grammar and reduces it to an expression: products without `*` (`2x`, `3 (x + 1)`),
 * percentages, numbers of other radixes and mathjs's constants (`pi`, `e`) are written out, and functions, powers and factorials
 * of constants are their values. What else `parse` reads without naming a constant, this reads as the same expression.
 *
 * Variables are allowed in `+ - * /`, signs, constant powers, `sqrt`, `cbrt` and `abs`. Their other functions and powers
 * (`sin(x)`, `2^x`) are refused, and so are units, matrices, complex numbers, assignments, conditions and everything else that is no arithmetic of real numbers.
 *
 * @param text at most 10,000 characters.
 * @throws ExprError `syntax` at the position that mathjs names; `unsupported` and `not-finite` with the part of the text that is
 *   refused, at its position where the text has it exactly once, else −1; `too-long`; `too-deep`.
 * @example format(parseMath('2x + sqrt(16)')) // '2 * x + 4'
 */
export function parseMath(text: string): Expr {
  checkString('A text is', text);
  if (text.length > MAX_LENGTH)
    throw new ExprError(
      'too-long',
      `The text has ${text.length} characters; at most ${MAX_LENGTH} are read.`,
      MAX_LENGTH,
    );
  const root = parseNode(text);
  // mathjs repeats the left operand of `x + 5%`: the number of nodes may grow as 2^length, and with it any message.
  fold(root, childrenOf, () => null);
  const reduced = fold<MathNode, Reduced>(
    root,
    (node) => operandsOf(node, text),
    (node, args) => reduce(node, args, text),
  );
  return fromMathNode(reduced.node);
}

/**
 * An expression as a node of mathjs, to be simplified, differentiated or typeset there; `fromMathNode(toMathNode(e))` is `e`
 * again, node for node.
 *
 * @throws ExprError as `format`; `too-deep` where mathjs's parser, which recurses, meets the end of the stack.
 * @example toMathNode(parse('2.5 / (x + 1)')).toTex() // '\\frac{2.5}{ x+1}'
 */
export function toMathNode(expr: Expr): MathNode {
  return parseNode(format(expr));
}

function parseNode(text: string): MathNode {
  try {
    return math.parse(text);
  } catch (error) {
    if (error instanceof RangeError)
      throw new ExprError('too-deep', 'The expression is nested deeper than the stack allows.', 0);
    // mathjs counts characters from 1, and says so in its message.
    const { message, char } = error as Error & { char?: number };
    throw new ExprError('syntax', message, char === undefined ? -1 : char - 1);
  }
}

/** A part of the tree in nodes that `fromMathNode` reads; `value` is null where it has a variable. */
interface Reduced {
  readonly node: MathNodeLike;
  readonly value: number | null;
}

const constant = (value: number): Reduced => ({
  node: { type: 'ConstantNode', value } as MathNodeLike,
  value,
});

function childrenOf(node: MathNode): MathNode[] {
  const children: MathNode[] = [];
  node.forEach((child) => children.push(child));
  return children;
}

/** The operands of a node, which are reduced before it. Throws for kinds of nodes that no arithmetic has. */
function operandsOf(node: MathNode, text: string): readonly MathNode[] {
  const refused = REFUSED.get(node.type);
  if (refused !== undefined) throw refusal(refused, node, text);
  if (node.type !== 'FunctionNode') return childrenOf(node);
  const { fn, args } = node as FunctionNode;
  return (fn as MathNode).type === 'SymbolNode' ? args : operandsOf(fn, text);
}

function reduce(node: MathNode, args: readonly Reduced[], text: string): Reduced {
  switch (node.type) {
    case 'ConstantNode':
      return reduceConstant((node as MathNode & { value: unknown }).value, node, text);
    case 'SymbolNode':
      return reduceSymbol(node as SymbolNode, text);
    case 'ParenthesisNode':
      return { node: { type: node.type, content: args[0]!.node } as MathNodeLike, value: args[0]!.value };
    default:
      return reduceCall(node as OperatorNode | FunctionNode, args, text);
  }
}

function reduceConstant(value: unknown, node: MathNode, text: string): Reduced {
  if (value === undefined)
    throw new ExprError('syntax', 'An expression is expected, such as 2.5 (3 + x).', 0);
  if (typeof value !== 'number') throw refusal(value === null ? 'null' : `a ${typeof value}`, node, text);
  if (!Number.isFinite(value)) throw refusal('a value that is not finite', node, text, 'not-finite');
  return constant(value);
}

function reduceSymbol(node: SymbolNode, text: string): Reduced {
  const value = CONSTANTS.get(node.name);
  if (value !== undefined) return constant(value);
  if (node.name === 'i') throw refusal('a complex number', node, text);
  return { node, value: null };
}

function reduceCall(node: OperatorNode | FunctionNode, args: readonly Reduced[], text: string): Reduced {
  const fn: string = node.type === 'OperatorNode' ? node.fn : node.fn.name;
  const values = args.map(({ value }) => value);
  if (node.type === 'OperatorNode' && node.implicit) refuseUnit(node, values, text);
  const isConstant = values.every((value) => value !== null);
  const exponent = fn === 'pow' && values.length === 2 ? (values[1] ?? null) : null;
  const isPower = exponent !== null && (exponent === -1 || !isConstant);
  if (isPower || isArithmetic(fn, values.length)) {
    const operands = isPower ? [args[0]!, constant(exponent)] : args;
    const kept = { type: 'OperatorNode', fn, args: operands.map((arg) => arg.node) };
    return { node: kept, value: isConstant ? (call(fn, values) as number) : null };
  }
  if (!isConstant && isFunctionName(fn) && values.length === 1) {
    const kept = { type: 'FunctionNode', fn: { type: 'SymbolNode', name: fn }, args: [args[0]!.node] };
    return { node: kept, value: null };
  }
  if (!FUNCTIONS.has(fn)) throw refusal(`the ${nameOf(node)}`, node, text);
  if (!isConstant) throw refusal(`the ${nameOf(node)} of a variable`, node, text);
  const value = call(fn, values);
  if (value === undefined) throw refusal(`the ${nameOf(node)} outside of its domain`, node, text);
  if (typeof value !== 'number') throw refusal('a value that is no real number', node, text);
  if (!Number.isFinite(value)) throw refusal('a value that is not finite', node, text, 'not-finite');
  return constant(value);
}

/** What mathjs computes; undefined where it throws, for arguments outside of the function's domain. */
function call(fn: string, values: readonly (number | null)[]): unknown {
  try {
    return (math as unknown as Record<string, (...args: unknown[]) => unknown>)[fn]!(...values);
  } catch {
    return undefined;
  }
}

/** Throws where a unit follows a constant, as in `5 cm`. Elsewhere the name of a unit is a variable. */
function refuseUnit(
  { args: [, right] }: OperatorNode,
  values: readonly (number | null)[],
  text: string,
): void {
  if (values[0] === null || right?.type !== 'SymbolNode') return;
  const { name } = right as SymbolNode;
  if (math.Unit.isValuelessUnit(name))
    throw refusal(
      `the unit ${name}`,
      right,
      text,
      'unsupported',
      ` For a variable of this name write * ${name}.`,
    );
}

const nameOf = (node: OperatorNode | FunctionNode): string =>
  node.type === 'OperatorNode'
    ? node.fn === 'pow'
      ? 'power'
      : `operator ${node.op}`
    : `function ${shorten(node.fn.name)}`;

/** An error about a part of the text, at its position where the text has it exactly once. */
function refusal(
  what: string,
  node: MathNode,
  text: string,
  code: 'unsupported' | 'not-finite' = 'unsupported',
  hint = '',
): ExprError {
  const part = node.toString();
  return new ExprError(
    code,
    `Not part of an expression: ${what}, in '${shorten(part)}'. Variables are allowed in + - * /, signs, constant powers, sqrt, cbrt and abs; ` +
      `other functions and powers are read where their operands are constants.${hint}`,
    positionOf(part, text),
  );
}

/** mathjs's nodes do not know where in the text they stand, and print with blanks of their own. */
function positionOf(part: string, text: string): number {
  const [wanted, within] = [part, text].map((t) => t.replace(/\s/g, ''));
  const at = within!.indexOf(wanted!);
  if (at < 0 || within!.includes(wanted!, at + 1)) return -1;
  const visible = Array.from(text.matchAll(/\S/g), ({ index }) => index);
  return visible[at]!;
}
