export { ExprError, type ExprErrorCode } from './error.js';
export { type Expr } from './expr.js';
