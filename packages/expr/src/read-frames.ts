import { shorten } from './arguments.js';
import { ExprError } from './error.js';
import { evaluate } from './evaluate.js';
import type { Expr } from './expr.js';
import { format } from './format.js';
import {
  DENOMINATORS,
  FRAME_WORDS,
  INFIX_FRAMES,
  OPERATOR_PHRASES,
  PREFIX_FRAMES,
  SCALES,
  STEP_FRAMES,
  type Frame,
} from './frames.js';
import { isSymbolName } from './names.js';
import { parseTokens } from './parse.js';
import { cut, fromSuperscript, VULGAR_FRACTIONS, type Piece } from './pieces.js';
import { refuse } from './refuse.js';
import { scan, type Limits } from './scan.js';
import type { Token, TokenKind } from './token.js';
import { DIGIT_WORDS, isVocabulary, phrasesOf } from './vocabulary.js';

/** Longer texts of phrases are refused; others are left to `parse` and `fromWords`. */
const MAX_PIECES = 250;
/** How many readings of parts of a text are followed, which bounds the time that a text takes. */
const MAX_READINGS = 1_000;

/** One way to read some pieces, up to the piece `end`, as tokens of an expression. */
interface Reading {
  readonly tokens: readonly Token[];
  readonly end: number;
  /**
   * What the last operand is: a number, name or group; a percentage or fraction, which may be one of the other operand; a frame, whose
   * own last operand an operator may belong to as well; an operand that has taken the powers after it; or the same behind `√`, which takes
   * no operator, `√16/4`.
   */
  readonly last: 'atom' | 'share' | 'frame' | 'closed' | 'root';
  /** Whether a group that follows is a factor, as in `2 (3)`: not after a division, 6 / 2 (3), nor after words. */
  readonly multiplies?: boolean;
}

/** The operands of a frame by their names; those of a list are A0, A1, … */
type Operands = Readonly<Record<string, readonly Token[]>>;

interface Match {
  readonly operands: Operands;
  readonly end: number;
}

const PHRASES = ['+', '-', '*', '/', '^', '^2', '^3', '%']
  .flatMap((symbol) => phrasesOf(symbol).map((phrase) => [symbol, phrase] as const))
  .concat(OPERATOR_PHRASES)
  .map(([symbol, phrase]) => ({ symbol, words: phrase.split(' ') }));
const WRITTEN: ReadonlyMap<string, string> = new Map([
  ...[...'+-*/^%'].map((sign) => [sign, sign] as const),
  ['**', '^'],
]);
/** What begins a group that multiplies the number before it. */
const GROUPS = new Set(['(', '√', '∛', 'sqrt', 'cbrt', 'abs']);
/** Before a parenthesis these are functions: `√(4)^2` is the square of √4, `√4^2` the root of 4². */
const CALLS = new Set([...GROUPS].slice(1));
/** Words that are no names of variables. */
const isKeyword = (word: string): boolean =>
  FRAME_WORDS.has(word) || DENOMINATORS.has(word) || SCALES.has(word) || isVocabulary(word);
/** Words in which a text asks to be read here. */
const isOwnWord = (word: string): boolean =>
  (FRAME_WORDS.has(word) || DENOMINATORS.has(word)) && word.length > 1 && !isVocabulary(word);

/**
 * Reads a text with frames such as "the sum of 3 and 4", "half of" and "two thirds", superscripts, or products without *. One
 * recursive descent, which remembers what can begin at each word, follows all readings; those of the whole text must have the same
 * value.
 *
 * @returns null where the text has no word of a frame and is not understood.
 * @throws ExprError `ambiguous` where two readings differ, `syntax` where there is none, `too-long` above 250 pieces or 1,000 readings of parts.
 */
export function readFrames(text: string, { maxDepth = 256 }: Limits): Expr | null {
  const pieces = cut(text);
  const hasOwnWords = pieces.some(({ word }) => isOwnWord(word));
  if (pieces.length > MAX_PIECES) {
    if (!hasOwnWords) return null;
    throw new ExprError(
      'too-long',
      `Phrases are read in texts of up to ${MAX_PIECES} words and signs, this one has ${pieces.length}.`,
      positionOf(MAX_PIECES),
    );
  }
  let furthest = 0;
  let depth = 0;
  let readingsFollowed = 0;
  const expression = remembered(readExpression);
  const operand = remembered(readOperand);
  const signed = remembered(readSigned);
  const list = remembered(readList);

  const whole = different(statement().filter(({ end }) => end === pieces.length));
  if (whole.length > 0) return parseTokens(onlyOne(whole), whole[0]!.tokens.length);
  if (!hasOwnWords) return null;
  throw notUnderstood();

  /** An expression and the steps after it, "then multiply by 4". */
  function statement(): Reading[] {
    const found = collector(0);
    expression(0).forEach(found.add);
    // The array grows while it is read.
    for (const reading of found.all) after(reading, STEP_FRAMES).forEach(found.add);
    return found.all;
  }

  /** Operands with operators between them, up to each operand at which an expression can end. */
  function readExpression(at: number): Reading[] {
    if (++depth > maxDepth) throw refuse.tooDeep(positionOf(at), maxDepth);
    const found = collector(at);
    operand(at).forEach(found.add);
    for (const left of found.all) {
      const join = (symbol: string, next: number): void =>
        operand(next).forEach(({ tokens, end, last, multiplies = false }) =>
          found.add({
            tokens: [...left.tokens, token('operator', symbol, left.end), ...tokens],
            end,
            last,
            multiplies: multiplies && symbol !== '/',
          }),
        );
      // In "the sum of 1/2 and 1/3", 3 belongs to 1 and not to the sum.
      if (!['closed', 'frame'].includes(left.last) || !touches(left.end))
        for (const { symbol, end } of symbolsAt(left.end)) if ('+-*/'.includes(symbol)) join(symbol, end);
      if (left.multiplies === true && GROUPS.has(wordAt(left.end))) join('*', left.end);
      after(left, INFIX_FRAMES).forEach(found.add);
    }
    depth--;
    return found.all;
  }

  /** An operand, or a frame after one, "5 less than 9". */
  function readOperand(at: number): Reading[] {
    const found = signed(at);
    return [...found, ...found.flatMap((left) => after(left, INFIX_FRAMES))];
  }

  function readSigned(at: number): Reading[] {
    const sign = symbolsAt(at).find(
      ({ symbol, end }) => (symbol === '-' || symbol === '+') && end === at + 1,
    );
    if (sign === undefined) return powers(at);
    return signed(sign.end).map((arg) => ({
      ...arg,
      tokens: [token('sign', sign.symbol, at), ...arg.tokens],
    }));
  }

  /** A number, name or frame with what can follow it: percent, "squared", ², "to the power of". */
  function powers(at: number): Reading[] {
    const found = collector(at);
    [...numbers(at), ...names(at), ...framesAt(at)].forEach(found.add);
    for (const { tokens, end, last, multiplies = false } of found.all) {
      if (last === 'closed' || last === 'root') continue;
      // In 5³% and "5 cubed squared" the exponent is 3, unlike in 5^3% and 5^3^2.
      const before = wordAt(end - 1);
      const isRaised = fromSuperscript(before) !== null || before === 'squared' || before === 'cubed';
      const base = isRaised ? [token('open', '(', at), ...tokens, token('close', ')', end)] : tokens;
      const raise = (exponent: readonly Token[], next: number, rest: Partial<Reading> = {}): void =>
        found.add({
          ...{ tokens: [...base, token('power', '^', end), ...exponent], end: next },
          ...{ last: 'atom', multiplies, ...rest },
        });
      const raised = fromSuperscript(wordAt(end));
      if (raised !== null) raise(inside(raised, end), end + 1);
      for (const { symbol, end: next } of symbolsAt(end)) {
        if (symbol === '^2' || symbol === '^3') raise(inside(symbol.slice(1), end), next);
        if (symbol === '^')
          for (const exponent of signed(next))
            raise(exponent.tokens, exponent.end, { last: exponent.last, multiplies: false });
        if (symbol === '%' && tokens.at(-1)!.kind !== 'percent') {
          const percent = [...base, token('percent', '%', end)];
          found.add({ tokens: percent, end: next, last: 'share' });
          shareOf(next, 'P * X', { P: percent }).forEach(found.add);
        }
      }
    }
    return found.all;
  }

  /** A number, "two and a half", "three quarters", "a third of 12". */
  function numbers(at: number): Reading[] {
    const found: Reading[] = [];
    const add = (written: string, end: number): void => {
      found.push({ tokens: inside(written, at), end, last: 'atom' });
    };
    const number = numeral(at);
    if (number !== null) {
      found.push({
        tokens: [token('number', number.text, at)],
        end: number.end,
        last: 'atom',
        multiplies: true,
      });
      // "a million and a half" is 1,500,000 to most people.
      const isRound = Number(number.text) >= 1000 && Number(number.text) % 1000 === 0;
      const part = wordAt(number.end) === 'and' && !isRound ? fraction(number.end + 1) : null;
      if (part !== null) {
        const mixed = `(${number.text} + ${part.of} / ${part.by})`;
        const scale = SCALES.get(wordAt(part.end));
        if (scale === undefined) add(mixed, part.end);
        else add(`(${mixed} * 1e${scale})`, part.end + 1);
      }
      const divisor = wordAt(number.end) === '/' ? numeral(number.end + 1) : null;
      if (divisor !== null) found.push(...shareOf(divisor.end, `${number.text} * X / ${divisor.text}`, {}));
    }
    // `½`, and `2½`.
    const vulgar = VULGAR_FRACTIONS.get(wordAt(number?.end ?? at));
    if (vulgar !== undefined && number === null) {
      add(`(${vulgar.join(' / ')})`, at + 1);
      found.push(...shareOf(at + 1, `${vulgar[0]} * X / ${vulgar[1]}`, {}));
    } else if (vulgar !== undefined && /^\d+$/.test(number!.text))
      add(`(${number!.text} + ${vulgar.join(' / ')})`, number!.end + 1);
    const part = fraction(at);
    if (part === null) return found;
    found.push({ tokens: inside(`(${part.of} / ${part.by})`, at), end: part.end, last: 'share' });
    const times = part.of === '1' ? '' : `${part.of} * `;
    return [...found, ...shareOf(part.end, `${times}X / ${part.by}`, {})];
  }

  /** "of" and an operand, after a percentage or fraction. */
  function shareOf(at: number, expressionOf: string, operands: Operands): Reading[] {
    if (wordAt(at) !== 'of') return [];
    return signed(at + 1).map(({ tokens, end }) =>
      build(expressionOf, { operands: { ...operands, X: tokens }, end }, at, 'closed'),
    );
  }

  /** A number in digits, or digits said one by one, with a scale such as "million". */
  function numeral(at: number): { text: string; end: number } | null {
    let end = at;
    let text = /^\.?\d/.test(wordAt(at)) ? wordAt(end++) : said();
    if (wordAt(end) === 'point' && /^\d*$/.test(text) && DIGIT_WORDS.includes(wordAt(end + 1))) {
      end++;
      text += `.${said()}`;
    }
    if (text === '') return null;
    const scale = SCALES.get(wordAt(end));
    return scale === undefined || text.includes('e')
      ? { text, end }
      : { text: `${text}e${scale}`, end: end + 1 };

    function said(): string {
      let digits = '';
      for (; DIGIT_WORDS.includes(wordAt(end)); end++) digits += DIGIT_WORDS.indexOf(wordAt(end));
      return digits;
    }
  }

  /** "half", "a third", "three-quarters". */
  function fraction(at: number): { of: string; by: number; end: number } | null {
    const count = wordAt(at) === 'a' ? { text: '1', end: at + 1 } : numeral(at);
    const of = count ?? { text: '1', end: at };
    // "three-quarters"
    const end = wordAt(of.end) === '-' && touches(of.end) && touches(of.end + 1) ? of.end + 1 : of.end;
    const by = count === null && wordAt(at) !== 'half' ? undefined : DENOMINATORS.get(wordAt(end));
    return by === undefined ? null : { of: of.text, by, end: end + 1 };
  }

  function names(at: number): Reading[] {
    const { text: written, word } = pieces[at] ?? { text: '', word: '' };
    if (!isSymbolName(written) || (word.length > 1 && isKeyword(word))) return [];
    return [{ tokens: [token('symbol', written, at)], end: at + 1, last: 'atom' }];
  }

  function framesAt(at: number): Reading[] {
    return different(
      PREFIX_FRAMES.flatMap((frame) => {
        const isGroup = frame.expression === 'A';
        const isClosed = isGroup || isCall(at + 1) || pieces[at]?.word === '|';
        const takesAll = frame.pattern.some((part) => 'operand' in part && part.operand === 'X');
        const isRoot = ['√', '∛'].includes(pieces[at]?.word ?? '');
        const closed = isRoot ? 'root' : 'closed';
        const last = isClosed ? 'atom' : takesAll ? closed : 'frame';
        return matches(frame, 0, at, {}).map((match) => ({
          ...build(frame.expression, match, at, last),
          multiplies: isGroup,
        }));
      }),
    );
  }

  /** Whether the argument of a function begins here. */
  function isCall(at: number): boolean {
    return pieces[at]?.word === '(' && CALLS.has(pieces[at - 1]?.word ?? '');
  }

  /** Frames whose first operand is `left`. */
  function after(left: Reading, frames: readonly Frame[]): Reading[] {
    return frames.flatMap((frame) => {
      const [first] = frame.pattern;
      if (first === undefined || 'words' in first || !takes(first.operand, left)) return [];
      const operands = { [first.operand]: left.tokens };
      return matches(frame, 1, left.end, operands).map((match) =>
        build(frame.expression, match, left.end, 'frame'),
      );
    });
  }

  /** The ways in which the pattern of a frame, from its part `index` on, can be read. */
  function matches(frame: Frame, index: number, at: number, operands: Operands): Match[] {
    const part = frame.pattern[index];
    if (part === undefined) return [{ operands, end: at }];
    const rest = (end: number, more: Operands): Match[] =>
      matches(frame, index + 1, end, { ...operands, ...more });
    if ('words' in part) {
      const skipped = part.isOptional ? rest(at, {}) : [];
      return part.words.includes(wordAt(at)) ? [...rest(at + 1, {}), ...skipped] : skipped;
    }
    if (part.operand === 'LIST') return list(at).flatMap((match) => rest(match.end, match.operands));
    const readings = isCall(at) ? framesAt(at) : 'XY'.includes(part.operand) ? signed(at) : expression(at);
    return readings
      .filter((reading) => takes(part.operand, reading))
      .flatMap(({ tokens, end }) => rest(end, { [part.operand]: tokens }));
  }

  /** Two expressions or more, with commas or "and" between them and "and" before the last. */
  function readList(at: number): Match[] {
    const found: Match[] = [];
    const open = expression(at).map(({ tokens, end }) => ({ items: [tokens], end }));
    for (const { items, end } of open) {
      const comma = wordAt(end) === ',' ? 1 : 0;
      const and = wordAt(end + comma) === 'and' ? 1 : 0;
      if (comma + and === 0) continue;
      for (const { tokens, end: next } of expression(end + comma + and)) {
        const longer = [...items, tokens];
        open.push({ items: longer, end: next });
        count(at);
        const operands = Object.fromEntries(longer.map((item, i) => [`A${i}`, item]));
        if (and === 1) found.push({ operands, end: next });
      }
    }
    return found;
  }

  /** The tokens of a frame's expression, as a group, with the operands in place of their names. */
  function build(expressionOf: string, { operands, end }: Match, at: number, last: Reading['last']): Reading {
    const names = Object.keys(operands);
    const written =
      expressionOf === 'mean'
        ? `(${names.join(' + ')}) / ${names.length}`
        : expressionOf.length === 1 && '+*'.includes(expressionOf)
          ? names.join(expressionOf)
          : expressionOf;
    const tokens = inside(`(${written})`, at).flatMap((one) => {
      const named = one.kind === 'symbol' ? operands[one.text] : undefined;
      return named === undefined ? [one] : [token('open', '(', at), ...named, token('close', ')', at)];
    });
    return { tokens, end, last };
  }

  function symbolsAt(at: number): { symbol: string; end: number }[] {
    const written = WRITTEN.get(wordAt(at));
    if (written !== undefined) return [{ symbol: written, end: at + 1 }];
    return PHRASES.filter(({ words }) => words.every((word, i) => wordAt(at + i) === word)).map(
      ({ symbol, words }) => ({ symbol, end: at + words.length }),
    );
  }

  function wordAt(at: number): string {
    furthest = Math.max(furthest, at);
    return pieces[at]?.word ?? '';
  }

  function positionOf(at: number): number {
    return pieces[at]?.position ?? text.trimEnd().length;
  }

  /** Whether no blank stands before a piece. */
  function touches(at: number): boolean {
    const before = pieces[at - 1];
    return before !== undefined && before.position + before.text.length === positionOf(at);
  }

  function token(kind: TokenKind, written: string, at: number): Token {
    return { kind, text: written, position: positionOf(at) };
  }

  function inside(written: string, at: number): Token[] {
    return scan(written).tokens.map((one) => ({ ...one, position: positionOf(at) }));
  }

  function remembered<T>(read: (at: number) => T): (at: number) => T {
    const known = new Map<number, T>();
    return (at) => {
      const result = known.get(at) ?? read(at);
      known.set(at, result);
      return result;
    };
  }

  function count(at: number): void {
    if (++readingsFollowed <= MAX_READINGS) return;
    throw new ExprError(
      'too-long',
      `The phrases of the text have more than ${MAX_READINGS} readings of parts; parentheses or a shorter text have fewer.`,
      positionOf(at),
    );
  }

  /** Different readings of what begins at `at`. */
  function collector(at: number): { all: Reading[]; add: (reading: Reading) => void } {
    const all: Reading[] = [];
    const seen = new Set<string>();
    const add = (reading: Reading): void => {
      const key = `${reading.end} ${reading.tokens.map(({ text: written }) => written).join(' ')}`;
      if (seen.has(key)) return;
      seen.add(key);
      count(at);
      all.push(reading);
    };
    return { all, add };
  }

  /** Of the readings with the same end and value the first ones. */
  function different(readings: readonly Reading[]): Reading[] {
    if (readings.length < 2) return [...readings];
    const kept: { reading: Reading; value: number }[] = [];
    for (const reading of readings) {
      const value = valueOf(reading);
      if (!kept.some((one) => one.reading.end === reading.end && isSame(one.value, value)))
        kept.push({ reading, value });
    }
    return kept.map(({ reading }) => reading);
  }

  function valueOf({ tokens }: Reading): number {
    try {
      return evaluate(parseTokens(tokens, tokens.length), scopeOf(pieces));
    } catch (error) {
      // An exponent that is not constant: parsing the only reading says so.
      if (error instanceof ExprError) return NaN;
      throw error;
    }
  }

  function onlyOne([first, second]: readonly Reading[]): readonly Token[] {
    if (second === undefined) return first!.tokens;
    throw ambiguous(first!, second);
  }

  function notUnderstood(): ExprError {
    const found = pieces[furthest]?.text;
    return new ExprError(
      'syntax',
      found === undefined
        ? 'The text ends where more is expected, such as "and 5".'
        : `${JSON.stringify(shorten(found))} is not understood here.`,
      positionOf(furthest),
    );
  }
}

function ambiguous(...readings: readonly Reading[]): ExprError {
  const ways = readings.map(({ tokens }) => shorten(format(parseTokens(tokens, tokens.length))));
  return new ExprError(
    'ambiguous',
    `The text can be read in more than one way, as ${ways.join(' and as ')}; parentheses tell them apart.`,
    0,
  );
}

/** Relative tolerance: the same operations in another order round differently. */
const TOLERANCE = 1e-9;

const isSame = (a: number, b: number): boolean =>
  Object.is(a, b) || a === b || Math.abs(a - b) <= TOLERANCE * Math.abs(b);

/** Whether a reading can be the operand of this name: a third less than 12 is not 12 − 1/3 to most people. */
const takes = (operand: string, { last }: Reading): boolean => !'NY'.includes(operand) || last !== 'share';

/** Values for the variables, by which readings are compared. */
function scopeOf(pieces: readonly Piece[]): Record<string, number> {
  const scope = Object.create(null) as Record<string, number>;
  pieces.forEach(({ text }, i) => (scope[text] ??= 1.37 + i * 0.731));
  return scope;
}
