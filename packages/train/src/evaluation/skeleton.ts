/** The operators, signs and parentheses of an expression, with # for each number. @param plain The expression in the style 'compact'. */
export const skeletonOf = (plain: string): string => plain.replaceAll(/[\d.]+/g, '#');

/** The number of binary operators of a skeleton. */
export const operatorsOf = (skeleton: string): number => skeleton.match(/(?<=[#)])[-+*/]/g)?.length ?? 0;
