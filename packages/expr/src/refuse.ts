import { shorten } from './arguments.js';
import { ExprError } from './error.js';
import { nameAt, reservedAs } from './names.js';
import { keyOf } from './signs.js';
import type { Token } from './token.js';
import { symbolOf } from './vocabulary.js';

const ALLOWED =
  'Allowed are decimal numbers, variables, + - * /, signs, parentheses, constant powers such as x^2, sqrt(), cbrt(), abs(), |x| and percentages.';

/** What characters and pairs of them mean in other languages. Pairs stand first, so that they are found first. */
const ELSEWHERE: readonly (readonly [string, string])[] = [
  ['.*', 'elementwise operators'],
  ['./', 'elementwise operators'],
  ['.^', 'elementwise operators'],
  ['!=', 'comparisons'],
  ['==', 'comparisons'],
  ['!', 'factorials'],
  ['%', 'remainders'],
  [',', 'commas'],
  ['[', 'matrices'],
  [']', 'matrices'],
  ['{', 'objects'],
  ['}', 'objects'],
  ['"', 'strings'],
  ["'", 'strings and transposes'],
  ['=', 'assignments'],
  ['<', 'comparisons'],
  ['>', 'comparisons'],
  ['&', 'bitwise operators'],
  ['~', 'bitwise operators'],
  ['?', 'conditions'],
  [':', 'ranges'],
  [';', 'several expressions'],
  ['\n', 'several lines'],
  ['\r', 'several lines'],
  ['#', 'comments'],
];

/** The errors of `scan`. Each says what was found, what is allowed, and where there is one a way out. */
export const refuse = {
  /** At a position where an operand is expected and none begins. */
  operand(text: string, position: number): ExprError {
    const char = text[position]!;
    if ('+*/^)'.includes(char)) {
      return new ExprError('syntax', `A number, variable or '(' is expected before '${char}'.`, position);
    }
    return refuse.character(text, position);
  },

  /** At a position after an operand where no operator stands. */
  adjacent(text: string, position: number, before: Token): ExprError {
    const char = text[position]!;
    if (char === '(') {
      return before.kind === 'symbol'
        ? unsupported(`${shorten(before.text)}(…) would call a function.`, before.position)
        : refuse.implicitProduct("'('", position);
    }
    const name = nameAt(text, position);
    const reserved = reservedAs(name);
    if (reserved !== undefined) return refuse.reserved(name, reserved, position);
    if (name !== '' && symbolOf(name) !== undefined)
      return unsupported(`'${name}' is a word: parse reads signs, fromText words that it knows.`, position);
    if (name !== '') return refuse.implicitProduct(`'${shorten(name)}'`, position);
    if (/^\.?\d/.test(text.slice(position, position + 2))) {
      return before.kind === 'number'
        ? new ExprError('syntax', 'An operator is missing between two numbers.', position)
        : refuse.implicitProduct('a number', position);
    }
    return refuse.character(text, position);
  },

  /** @param before What stands where an operator is missing. */
  implicitProduct: (before: string, position: number): ExprError =>
    unsupported(`An operator is missing before ${before}; a product is written with *.`, position),

  character(text: string, position: number): ExprError {
    const char = String.fromCodePoint(text.codePointAt(position)!);
    const key = keyOf(char);
    if (key !== undefined) return unsupported(`'${char}' is written ${key} here.`, position);
    const known = ELSEWHERE.find(([begin]) => text.startsWith(begin, position));
    if (known !== undefined)
      return unsupported(`${JSON.stringify(known[0])} is not read: there are no ${known[1]} here.`, position);
    return new ExprError(
      'syntax',
      `The character ${JSON.stringify(char)} is unexpected. ${ALLOWED}`,
      position,
    );
  },

  radix: (position: number): ExprError =>
    unsupported('Hexadecimal, octal and binary numbers are not read.', position),

  overflow: (number: string, position: number): ExprError =>
    new ExprError(
      'not-finite',
      `${shorten(number)} is larger than the largest double, about 1.8e308.`,
      position,
    ),

  reserved: (name: string, kind: 'constant' | 'operator', position: number): ExprError =>
    unsupported(
      `'${name}' is ${kind === 'constant' ? 'a constant' : 'an operator'} of other languages, no variable.`,
      position,
    ),

  /** For an exponent that depends on `name`. */
  exponent: (name: string, position: number): ExprError =>
    unsupported(`An exponent is a constant, this one has the variable ${shorten(name)}.`, position),

  infiniteExponent: (value: number, position: number): ExprError =>
    new ExprError('not-finite', `An exponent is finite, this one is ${value}.`, position),

  /** @param wanted What closes the innermost open parenthesis; undefined where none is open. */
  close: (found: string, wanted: string | undefined, position: number): ExprError =>
    new ExprError(
      'syntax',
      wanted === undefined
        ? `This '${found}' has no '${'([{'[')]}'.indexOf(found)] ?? found}' before it.`
        : `A '${wanted}' is expected before this '${found}'.`,
      position,
    ),

  /** For amounts of two currencies. */
  currency: (found: string, first: string, position: number): ExprError =>
    unsupported(
      `'${found}' follows '${first}': amounts of different currencies are not converted.`,
      position,
    ),

  tooDeep: (position: number, maxDepth: number): ExprError =>
    new ExprError(
      'too-deep',
      `Parentheses, signs and exponents are nested deeper than ${maxDepth} levels.`,
      position,
    ),

  /** For a token that the end of the text cuts off. */
  cut({ text, position }: Token): ExprError {
    const wanted = text === '.' ? 'a digit' : 'the exponent';
    return new ExprError(
      'syntax',
      `After '${text}' the text ends where ${wanted} is expected.`,
      position + text.length,
    );
  },
};

const unsupported = (message: string, position: number): ExprError =>
  new ExprError('unsupported', `${message} ${ALLOWED}`, position);
