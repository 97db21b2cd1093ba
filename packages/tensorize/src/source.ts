import { parse, type Expr } from '@dag/expr';
import { normalize } from '@dag/expr/normalize';

/** An expression, or a text that `parse` of @dag/expr reads. */
export type Source = Expr | string;

/**
 * The normal form of an expression or of its text.
 *
 * @throws ExprError where the text is no expression, with the position of the mistake
 */
export const normalForm = (source: Source): Expr =>
  normalize(typeof source === 'string' ? parse(source) : source);
