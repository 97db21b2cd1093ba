import { checkObject, checkString, named } from './arguments.js';
import { ExprError } from './error.js';
import { isFunctionName, nameAt, reservedAs } from './names.js';
import { refuse } from './refuse.js';
import type { Token, TokenKind } from './token.js';

/** Limits on a text, for input that is not trusted. They are checked before the text is parsed. */
export interface Limits {
  /** Maximum length in characters (UTF-16 code units), from 1; 10,000 by default, for words 100,000. */
  readonly maxLength?: number;
  /** Maximum depth of nested parentheses, signs and exponents, from 1; 256 by default. */
  readonly maxDepth?: number;
}

/** The tokens of an expression or of a prefix of one. */
export interface Scan {
  readonly tokens: readonly Token[];
  /** What closes each parenthesis that is open at the end, from the outermost. */
  readonly unclosed: readonly string[];
  /** The error that says what a prefix lacks to be an expression; null for an expression. */
  incomplete(): ExprError | null;
}

const NUMBER = /(?:\d+(?:\.(?![*/^])\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const CUT_EXPONENT = /[eE][+-]?$/y;

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
  checkString('A text is', text);
  checkObject('Limits are', limits);
  const { maxLength = 10_000, maxDepth = 256 } = limits;
  checkLimits(text, maxLength, maxDepth);
  const end = text.trimEnd().length;
  const tokens: Token[] = [];
  /** The open parentheses: what closes each, and the levels that it adds, itself and the signs and exponents before it. */
  const open: { closer: string; levels: number }[] = [];
  let depth = 0;
  /** Signs and exponents since the last binary operator or open parenthesis: each nests the next. */
  let nesting = 0;
  let operandNext = true;
  let position = text.length - text.trimStart().length;

  const push = (kind: TokenKind, length: number): void => {
    tokens.push({ kind, text: text.slice(position, position + length), position });
    position += length;
  };
  const nest = (kind: TokenKind, length: number): void => {
    if (depth + nesting >= maxDepth) throw refuse.tooDeep(position, maxDepth);
    push(kind, length);
    nesting++;
  };
  const enter = (kind: 'open' | 'function', length: number, closer: string): void => {
    nest(kind, length);
    open.push({ closer, levels: nesting });
    depth += nesting;
    nesting = 0;
  };

  while (position < end) {
    const char = text[position]!;
    if (operandNext) readBeforeOperand(char);
    else readAfterOperand(char);
    position = skipBlanks(text, position);
  }
  return { tokens, unclosed: open.map(({ closer }) => closer), incomplete };

  function readBeforeOperand(char: string): void {
    if (char === '(') return enter('open', 1, ')');
    if (char === '|') return enter('function', 1, '|');
    if (char === '+' || char === '-') return nest('sign', 1);
    const number = match(NUMBER, text, position);
    const name = number === '' ? nameAt(text, position) : '';
    if (isFunctionName(name)) {
      const argument = skipBlanks(text, position + name.length);
      if (text[argument] === '(') return enter('function', argument + 1 - position, ')');
    }
    if (number !== '') readNumber(number);
    else if (name !== '') readName(name);
    else if (char === '.' && position + 1 === end) push('cut', 1);
    else throw refuse.operand(text, position);
    operandNext = false;
  }

  function readAfterOperand(char: string): void {
    if (char === '^' || text.startsWith('**', position)) {
      nest('power', char === '^' ? 1 : 2);
      operandNext = true;
    } else if (char === '+' || char === '-' || char === '*' || char === '/') {
      push('operator', 1);
      nesting = 0;
      operandNext = true;
    } else if (char === ')' || char === '|') {
      readClose(char);
    } else if (char === '%' && tokens.at(-1)!.kind !== 'percent') {
      if (/[\d.(]/.test(text[skipBlanks(text, position + 1)] ?? '')) throw refuse.character(text, position);
      push('percent', 1);
    } else {
      throw refuse.adjacent(text, position, tokens.at(-1)!);
    }
  }

  function readClose(closer: string): void {
    const last = open.pop();
    if (last?.closer !== closer) throw refuse.close(closer, last?.closer, position);
    depth -= last.levels;
    nesting = last.levels - 1;
    push('close', 1);
  }

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

  function incomplete(): ExprError | null {
    if (tokens.length === 0)
      return new ExprError('syntax', 'An expression is expected, such as 2.5 * (3 + x).', end);
    const last = tokens.at(-1)!;
    if (last.kind === 'cut') return refuse.cut(last);
    if (operandNext)
      return new ExprError('syntax', `A number, variable or '(' is expected after '${last.text}'.`, end);
    const unclosed = open.at(-1);
    return unclosed ? new ExprError('syntax', `A '${unclosed.closer}' is missing at the end.`, end) : null;
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
