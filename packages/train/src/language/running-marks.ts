/** A part of a calculation in running text: a number, an operator, a sign, a parenthesis or a percent sign. */
export interface RunningMark {
  readonly kind: 'number' | 'operator' | 'sign' | 'open' | 'close' | 'percent';
  /** In symbols, `*` also for `x` and "of"; of a number its digits without separators. */
  readonly text: string;
  /** Indices in the text: of its first character, and after its last. */
  readonly begin: number;
  readonly end: number;
}

const NUMBER = /(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+/y;
const WORD = /\p{L}+/uy;
const IGNORED = /[\s$€£¥'"’]/y;

const SIGNS: Readonly<Record<string, string>> = {
  ...{ '+': '+', '-': '-', '–': '-', '−': '-', '—': '-' },
  ...{ '*': '*', '×': '*', '·': '*', '⋅': '*', '/': '/', '÷': '/' },
};
/** Words that are operators; `by` belongs to the word before it. */
const WORDS: Readonly<Record<string, string>> = {
  ...{ x: '*', times: '*', of: '*', multiplied: '*', plus: '+', minus: '-', divided: '/', over: '/' },
};

/**
 * Reads a calculation as people write it in sentences: "12 x 2", "$15 * 2", "20 sheep + 160 sheep", "5% of 80,000", "3(16)". Words between
 * numbers are units. A sign is an operator where an operand follows it, beside blanks and signs of currencies: that of "20/hour" is none.
 *
 * @param text From the first mark of the calculation to where its result stands.
 * @returns null where the text is no calculation: it has no operator, or numbers without one between them.
 */
export function runningMarks(text: string): RunningMark[] | null {
  const marks: RunningMark[] = [];
  let pending: RunningMark | null = null;
  let hasOperand = false;
  let depth = 0;
  let isEnded = false;
  /** Index after the last number or parenthesis. */
  let ended = -1;
  for (let at = 0; at < text.length;) {
    const match = (pattern: RegExp): string | null => {
      pattern.lastIndex = at;
      return pattern.exec(text)?.[0] ?? null;
    };
    const mark = (kind: RunningMark['kind'], symbol: string, length: number): RunningMark => ({
      ...{ kind, text: symbol, begin: at, end: at + length },
    });
    /** Takes what begins an operand. False where one stands before it without an operator between them. */
    const operand = (one: RunningMark): boolean => {
      if (isEnded) return false;
      if (hasOperand && pending === null) {
        // 3(16)
        if (one.kind !== 'open' || ended !== at) return false;
        pending = { ...one, kind: 'operator', text: '*' };
      }
      if (pending) marks.push(pending);
      pending = null;
      marks.push(one);
      return true;
    };
    const blank = match(IGNORED);
    if (blank !== null) {
      at += blank.length;
      continue;
    }
    const number = match(NUMBER);
    if (number !== null) {
      if (!operand(mark('number', number.replaceAll(',', ''), number.length))) return null;
      hasOperand = true;
      at += number.length;
      ended = at;
      continue;
    }
    const word = match(WORD)?.toLowerCase() ?? null;
    const sign = text[at]!;
    const operator = word === null ? SIGNS[sign] : WORDS[word];
    const length = word?.length ?? 1;
    if (sign === '=' || word === 'equals') {
      if (!hasOperand) return null;
      isEnded = true;
    } else if (sign === '(' || sign === '[') {
      if (!operand(mark('open', '(', 1))) return null;
      hasOperand = false;
      depth++;
    } else if (sign === ')' || sign === ']') {
      if (!hasOperand || depth === 0) return null;
      pending = null;
      marks.push(mark('close', ')', 1));
      depth--;
      ended = at + 1;
    } else if (sign === '%' || word === 'percent') {
      if (marks.at(-1)?.kind !== 'number' || pending) return null;
      marks.push(mark('percent', '%', length));
    } else if (operator !== undefined && hasOperand && pending === null) {
      if (!isEnded) {
        pending = mark('operator', operator, length);
        hasOperand = false;
      }
    } else if (operator === '+' || (operator === '-' && word === null)) {
      if (isEnded) return null;
      if (pending) marks.push(pending);
      pending = null;
      marks.push(mark('sign', operator, 1));
    } else if (word !== 'by') {
      // A unit, and a sign before it that is part of the unit.
      if (pending) hasOperand = true;
      pending = null;
    }
    at += length;
  }
  const operators = marks.some(({ kind }) => kind === 'operator' || kind === 'percent');
  return depth === 0 && marks.length > 0 && marks.at(-1)!.kind !== 'sign' && operators ? marks : null;
}

/** The marks as an expression in symbols. */
export const symbolsOf = (marks: readonly RunningMark[]): string =>
  marks.map(({ kind, text }) => (kind === 'operator' ? ` ${text} ` : text)).join('');
