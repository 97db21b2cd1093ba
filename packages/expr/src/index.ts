export { ExprError, type ExprErrorCode } from './error.js';
export { evaluate } from './evaluate.js';
export { type ChainType, type Expr } from './expr.js';
export { format } from './format.js';
export { fromMathNode, type MathNodeLike } from './from-math-node.js';
export { normalize } from './normalize.js';
export { parse } from './parse.js';
export { type Limits } from './scan.js';
