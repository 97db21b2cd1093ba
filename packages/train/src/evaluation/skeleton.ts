/** The operators, signs and parentheses of an expression, with # for each number. `plain`: its text in the style 'compact'. */
export const skeletonOf = (plain: string): string => plain.replaceAll(/[\d.]+/g, '#');

/** Operators between two operands of a skeleton. */
export const operatorsOf = (skeleton: string): number => skeleton.match(/(?<=[#)])[-+*/]/g)?.length ?? 0;
