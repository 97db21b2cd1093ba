/**
 * The ways to ask for an operation around its operands, and the expression that each stands for. In a pattern, `word?` may be left out,
 * `this/that` are alternatives, and the operands are
 *
 * - `A`, `B`: an expression; `N`: one that is no percentage or fraction, because "add 5% to 80" is not 80.05 to most people;
 * - `X`: one operand, which ends at the next + - * /; `Y`: one that is no percentage or fraction;
 * - `LIST`: "3 and 4", "3, 4 and 5", of which the expression says what is made of it.
 */
const PREFIX: readonly (readonly [pattern: string, expression: string])[] = [
  ['( A )', 'A'],
  ['open parenthesis? A close parenthesis?', 'A'],
  ['| A |', 'abs(A)'],
  ['the? absolute value of X', 'abs(X)'],
  ['abs of? X', 'abs(X)'],
  ['the? square root of X', 'sqrt(X)'],
  ['sqrt of? X', 'sqrt(X)'],
  ['√ X', 'sqrt(X)'],
  ['the? cube root of X', 'cbrt(X)'],
  ['cbrt of? X', 'cbrt(X)'],
  ['∛ X', 'cbrt(X)'],
  ['the? square of X', 'X^2'],
  ['the? cube of X', 'X^3'],
  ['the? reciprocal/inverse of X', '1/X'],
  ['the? negative/opposite of X', '-X'],
  ['twice/double X', '2*X'],
  ['triple/thrice X', '3*X'],
  ['half/halve X', 'X/2'],
  ['square X', 'X^2'],
  ['cube X', 'X^3'],
  ['raise X to the power of? Y', 'X^Y'],
  ['the? sum/total of LIST', '+'],
  ['add/sum LIST', '+'],
  ['add/put together LIST', '+'],
  ['add/sum up LIST', '+'],
  ['add N to B', 'N+B'],
  ['the? difference between A and B', '|A-B|'],
  ['the? distance between A and B', '|A-B|'],
  // Some mean the distance: the value is read where both are the same.
  ['the? difference of A and B', 'A-B'],
  ['the? difference of A and B', '|A-B|'],
  ['subtract/deduct N from B', 'B-N'],
  ['take away? N from B', 'B-N'],
  ['take N away from B', 'B-N'],
  ['the? product of LIST', '*'],
  ['multiply LIST', '*'],
  ['multiply together LIST', '*'],
  ['multiply A by/with B', 'A*B'],
  ['the? quotient of A and B', 'A/B'],
  ['the? ratio of A to/and B', 'A/B'],
  ['divide A by B', 'A/B'],
  ['the? average/mean of LIST', 'mean'],
  ['the? arithmetic mean of LIST', 'mean'],
];

/** What stands between an expression and its last operand, and is as strong as that operand. */
const INFIX: typeof PREFIX = [
  ['N less than B', 'B-N'],
  ['N more than B', 'N+B'],
  ['N added to B', 'N+B'],
  ['N subtracted/deducted from B', 'B-N'],
  ['N taken away? from B', 'B-N'],
];

/** What follows a whole text: "add 2 and 3, then multiply by 4", "the sum of 2 and 3, divided by 4". */
const STEPS: typeof PREFIX = ['A , and? then?', 'A and? then', 'A and'].flatMap((before) => [
  [`${before} add/plus Y`, 'A+Y'],
  [`${before} subtract/minus Y`, 'A-Y'],
  [`${before} times X`, 'A*X'],
  [`${before} multiply/multiplied it/that? by X`, 'A*X'],
  [`${before} divide/divided it/that? by X`, 'A/X'],
]);

/** Phrases for operators, beside those of the vocabulary. */
export const OPERATOR_PHRASES: readonly (readonly [symbol: string, phrase: string])[] = [
  ['-', 'take away'],
  ['*', 'multiplied with'],
  ['^', 'to the power'],
  ['^', 'raised to'],
  ['^', 'raised to the power of'],
  ['^', 'raised to the power'],
];

/** The denominators of "a third", "three quarters". */
export const DENOMINATORS: ReadonlyMap<string, number> = new Map([
  ['half', 2],
  ['halves', 2],
  ...'third quarter fifth sixth seventh eighth ninth tenth'
    .split(' ')
    .flatMap((word, i): [string, number][] => [
      [word, i + 3],
      [`${word}s`, i + 3],
    ]),
  ['fourth', 4],
  ['fourths', 4],
  ...(['hundredth', 'thousandth', 'millionth'] as const).flatMap((word, i): [string, number][] => [
    [word, [100, 1e3, 1e6][i]!],
    [`${word}s`, [100, 1e3, 1e6][i]!],
  ]),
]);

/** The words that scale a number, and the power of ten of each. */
export const SCALES: ReadonlyMap<string, number> = new Map([
  ['hundred', 2],
  ['thousand', 3],
  ['million', 6],
  ['billion', 9],
  ['trillion', 12],
]);

/** What a pattern wants next: one of some words, or an operand. */
export type Part =
  { readonly words: readonly string[]; readonly isOptional: boolean } | { readonly operand: string };

export interface Frame {
  readonly pattern: readonly Part[];
  readonly expression: string;
}

const compiled = (frames: typeof PREFIX): readonly Frame[] =>
  frames.map(([pattern, expression]) => ({ pattern: pattern.split(' ').map(partOf), expression }));

function partOf(part: string): Part {
  if (/^[A-Z]+$/.test(part)) return { operand: part };
  const isOptional = part.endsWith('?');
  return { words: (isOptional ? part.slice(0, -1) : part).split('/'), isOptional };
}

export const PREFIX_FRAMES = compiled(PREFIX);
export const INFIX_FRAMES = compiled(INFIX);
export const STEP_FRAMES = compiled(STEPS);

/** All words of the frames. */
export const FRAME_WORDS: ReadonlySet<string> = new Set(
  [...PREFIX_FRAMES, ...INFIX_FRAMES, ...STEP_FRAMES].flatMap(({ pattern }) =>
    pattern.flatMap((part) => ('words' in part ? part.words : [])),
  ),
);
