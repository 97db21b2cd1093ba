import { checkObject, checkString, named } from './arguments.js';
import { ExprError } from './error.js';
import { nameAt, reservedAs } from './names.js';
import { refuse } from './refuse.js';
import type { Token, TokenKind } from './token.js';

/** Limits on a text, for input that is not trusted. They are checked before the text is parsed. */
export interface Limits {
  /** Maximum length in characters (UTF-16 code units), from 1; 10,000 by default, for words 100,000. */
  readonly maxLength?: number;
  /** Maximum depth of nested parentheses and signs, from 1; 256 by default. */
  readonly maxDepth?: number;
}

/** The tokens of an expression or of a prefix of one. */
export interface Scan {
  readonly tokens: readonly Token[];
  /** Number of parentheses that are open at the end. */
  readonly unclosed: number;
  /** The error that says what a prefix lacks to be an expression; null for an expression. */
  incomplete(): ExprError | null;
}

const NUMBER = /(?:\d+(?:\.(?![*/^])\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const CUT_EXPONENT = /[eE][+-]?$/y;
const INVERSE = /\^[ \t\u00A0]*(?:\([ \t\u00A0]*)?-[ \t\u00A0]*/y;
const CUT_INVERSE = /\^[ \t\u00A0]*(?:\([ \t\u00A0]*)?(?:-[ \t\u00A0]*)?$/y;

/** The match of a sticky `pattern` at `position`; '' where there is none. */
function match(pattern: RegExp, text: string, position: number): string {
  pattern.lastIndex = position;
  // `test` is faster than `exec`, which allocates an array; matches are most of the time of a scan.
  return pattern.test(text) ? text.slice(position, pattern.lastIndex) : '';
}

/** The first position from `position` on that is no blank. */
function skipBlanks(text: string, position: number): number {
  for (;;) {
    const char = text[position];
    if (char !== ' ' && char !== '\t' && char !== '\u00A0') return position;
    position++;
  }
}

/**
 * The lexer. It also checks the syntax, so that its tokens are a prefix of an expression; `incomplete` says what is missing at
 * the end. It is iterative and takes time linear in the text, so that hostile texts fail here, before the parser recurses.
 *
 * @throws ExprError with the position of the first character that no expression can have there.
 */
export function scan(text: string, limits: Limits = {}): Scan {
  checkString('An expression is', text);
  checkObject('Limits are', limits);
  const { maxLength = 10_000, maxDepth = 256 } = limits;
  checkLimits(text, maxLength, maxDepth);
  const end = text.trimEnd().length;
  const tokens: Token[] = [];
  /** Of each open parenthesis, the levels that it adds: itself and the signs before it. */
  const levels: number[] = [];
  let depth = 0;
  let signs = 0;
  let operandNext = true;
  let position = text.length - text.trimStart().length;

  const push = (kind: TokenKind, length: number): void => {
    tokens.push({ kind, text: text.slice(position, position + length), position });
    position += length;
  };

  while (position < end) {
    const char = text[position]!;
    if (char === '(' || ((char === '+' || char === '-') && operandNext)) {
      if (!operandNext) throw refuse.adjacent(text, position, tokens.at(-1)!);
      if (depth + signs >= maxDepth) throw refuse.tooDeep(position, maxDepth);
      push(char === '(' ? 'open' : 'sign', 1);
      signs++;
      if (char === '(') {
        levels.push(signs);
        depth += signs;
        signs = 0;
      }
    } else if (operandNext) {
      const number = match(NUMBER, text, position);
      const name = number === '' ? nameAt(text, position) : '';
      if (number !== '') readNumber(number);
      else if (name !== '') readName(name);
      else if (char === '.' && position + 1 === end) push('cut', 1);
      else throw refuse.operand(text, position);
      operandNext = false;
      signs = 0;
    } else if (char === '+' || char === '-' || char === '*' || char === '/') {
      push('operator', 1);
      operandNext = true;
    } else if (char === ')') {
      const level = levels.pop();
      if (level === undefined) throw new ExprError('syntax', `This ')' has no '(' before it.`, position);
      depth -= level;
      push('close', 1);
    } else if (char === '^') {
      readInverse();
    } else {
      throw refuse.adjacent(text, position, tokens.at(-1)!);
    }
    position = skipBlanks(text, position);
  }
  return { tokens, unclosed: levels.length, incomplete };

  function readNumber(number: string): void {
    const next = text[position + number.length];
    if (number === '0' && (next === 'b' || next === 'o' || next === 'x')) throw refuse.radix(position);
    if (!Number.isFinite(Number(number))) throw refuse.overflow(number, position);
    push('number', number.length);
    if (next !== 'e' && next !== 'E') return;
    const exponent = match(CUT_EXPONENT, text.slice(0, end), position);
    if (exponent !== '') push('cut', exponent.length);
  }

  function readName(name: string): void {
    const reserved = reservedAs(name);
    if (reserved !== undefined) throw refuse.reserved(name, reserved, position);
    push('symbol', name.length);
  }

  function readInverse(): void {
    if (tokens.at(-1)?.kind === 'inverse') throw refuse.power(position);
    const visible = text.slice(0, end);
    const cut = match(CUT_INVERSE, visible, position);
    if (cut !== '') return push('cut', cut.length);
    const opening = match(INVERSE, visible, position);
    const number = opening === '' ? '' : match(NUMBER, visible, position + opening.length);
    if (Number(number || 0) !== 1) throw refuse.power(position);
    let length = opening.length + number.length;
    if (opening.includes('(')) {
      length = skipBlanks(visible, position + length) - position;
      if (position + length === end) return push('cut', length);
      if (visible[position + length] !== ')') throw refuse.power(position);
      length++;
    }
    push('inverse', length);
  }

  function incomplete(): ExprError | null {
    if (tokens.length === 0)
      return new ExprError('syntax', 'An expression is expected, such as 2.5 * (3 + x).', end);
    const last = tokens.at(-1)!;
    if (last.kind === 'cut') return refuse.cut(last);
    if (operandNext)
      return new ExprError('syntax', `A number, variable or '(' is expected after '${last.text}'.`, end);
    return levels.length > 0 ? new ExprError('syntax', `A ')' is missing at the end.`, end) : null;
  }
}

function checkLimits(text: string, maxLength: number, maxDepth: number): void {
  checkLimit('maxLength', maxLength);
  checkLimit('maxDepth', maxDepth);
  if (text.length > maxLength) {
    throw new ExprError(
      'too-long',
      `The text has ${text.length} characters; at most ${maxLength} are read.`,
      maxLength,
    );
  }
}

export function checkLimit(name: string, limit: unknown): void {
  if (typeof limit === 'number' && limit >= 1) return;
  throw new ExprError('bad-option', `${name} must be a number of at least 1, not ${named(limit)}.`);
}
