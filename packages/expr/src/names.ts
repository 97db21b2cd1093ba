/** Low surrogates after \uD835 whose code points are no letters. */
const UNASSIGNED = String.raw`\uDC55\uDC9D\uDCA0\uDCA1\uDCA3\uDCA4\uDCA7\uDCA8\uDCAD\uDCBA\uDCBC\uDCC4\uDD06\uDD0B\uDD0C\uDD15\uDD1D\uDD3A\uDD3F\uDD45\uDD47-\uDD49\uDD51\uDEA6\uDEA7\uDFCC\uDFCD`;

/** Letters of names, as in mathjs: Latin, accented, Greek, letter-like and mathematical letters, _ and $; not × and ÷. */
const LETTER = String.raw`[a-zA-Z_$\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u02AF\u0370-\u03FF\u2100-\u214F]|\uD835(?![${UNASSIGNED}])[\uDC00-\uDFFF]`;

const NAME = new RegExp(`(?:${LETTER})(?:${LETTER}|[0-9])*`, 'y');
const WHOLE_NAME = new RegExp(`^(?:${LETTER})(?:${LETTER}|[0-9])*$`);

/** The longest name that begins at `position`; '' where none does. */
export function nameAt(text: string, position: number): string {
  NAME.lastIndex = position;
  return NAME.exec(text)?.[0] ?? '';
}

/** Names that cannot be variables, with what they are in other languages. */
const RESERVED = new Map<string, 'constant' | 'operator'>([
  ...['true', 'false', 'null', 'undefined', 'NaN', 'Infinity'].map((name) => [name, 'constant'] as const),
  ...['mod', 'to', 'in', 'and', 'xor', 'or', 'not'].map((name) => [name, 'operator'] as const),
]);

export const reservedAs = (name: string): 'constant' | 'operator' | undefined => RESERVED.get(name);

/** Whether `parse` reads `text` as one variable. */
export const isSymbolName = (text: string): boolean => WHOLE_NAME.test(text) && !RESERVED.has(text);

/** Whether all of `text` is a name, reserved ones included. */
export const isName = (text: string): boolean => WHOLE_NAME.test(text);

/** The functions of the language, each a constant power of its argument. */
export const FUNCTIONS = ['sqrt', 'cbrt', 'abs'] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** Whether a name followed by `(` calls a function of the language; elsewhere it is a variable. */
export const isFunctionName = (name: string): name is FunctionName =>
  (FUNCTIONS as readonly string[]).includes(name);
