import { evaluate, fromText } from '@dag/expr';
import { decidedTensors, placesOf, tokenizer, type TokenizerName } from '@dag/model';
import { execute } from '@dag/executor';
import { tokenTexts } from '../predictor/stream.js';
import { calculationTargets, movedBy } from './calculation-targets.js';
import { runningMarks, symbolsOf, type RunningMark } from './running-marks.js';

/** A calculation in a text of tokens: its expression has tokens start … value − 1, its result value … end − 1. */
export interface TextCalculation {
  readonly start: number;
  readonly value: number;
  readonly end: number;
  /** The expression in symbols, `12 * 2`. */
  readonly expression: string;
  /** Its value; the text may round it. */
  readonly result: number;
}

/** A text of tokens with the results in it. */
export interface AnnotatedText {
  readonly ids: readonly number[];
  readonly calculations: readonly TextCalculation[];
  /** Results whose calculation does not stand before them, such as the solution of an equation. */
  readonly others: readonly { readonly value: number; readonly end: number }[];
}

const ANNOTATION = /<<([^<>]*)>>/g;
const WRITTEN = /-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|-?\.\d+/y;
/** Characters before a result in which its calculation is looked for. */
const LONGEST = 240;
/** Room for the numbers of a calculation, and for their digits. */
const ROOM = { depth: 12, digits: 16 };

/**
 * Reads a text in which results are marked as those of GSM8K are (Cobbe et al. 2021): "48 / 2 = <<48/2=24>>24 clips". The marks are taken out;
 * each says where a result stands, and what it is of.
 */
export function readAnnotated(text: string, name: TokenizerName): AnnotatedText {
  const tokens = tokenizer(name);
  const results: { at: number; end: number; text: string; annotation: string }[] = [];
  let plain = '';
  let read = 0;
  for (const match of text.matchAll(ANNOTATION)) {
    plain += text.slice(read, match.index);
    read = match.index + match[0].length;
    WRITTEN.lastIndex = read;
    const written = WRITTEN.exec(text)?.[0];
    if (written === undefined) continue;
    const at = plain.length;
    results.push({ at, end: at + written.length, text: written, annotation: match[1]! });
  }
  plain += text.slice(read);
  const ids = tokens.encodeSigns(plain);
  const pieces = tokenTexts(ids, name);
  const begins: number[] = [];
  let length = 0;
  for (const piece of pieces) {
    begins.push(length);
    length += piece.length;
  }
  const calculations: TextCalculation[] = [];
  const others: { value: number; end: number }[] = [];
  for (const result of results) {
    const value = tokenAt(begins, result.at);
    const tokensOf = { value, end: tokenAt(begins, result.end - 1) + 1 };
    const blank = plain.slice(begins[value], result.at);
    const ends = tokensOf.end === ids.length ? plain.length : begins[tokensOf.end]!;
    const found =
      (blank === '' || blank === ' ') && ends === result.end
        ? calculationBefore({ plain, pieces, begins, ids }, { ...result, value, blank }, name)
        : null;
    if (found) calculations.push({ ...tokensOf, ...found });
    else others.push(tokensOf);
  }
  return { ids, calculations, others };
}

/** The calculation whose result stands at token `value`: that of the annotation, else the shortest one with that result. */
function calculationBefore(
  text: { plain: string; pieces: string[]; begins: number[]; ids: number[] },
  result: { at: number; text: string; annotation: string; value: number; blank: string },
  name: TokenizerName,
): Pick<TextCalculation, 'start' | 'expression' | 'result'> | null {
  const { plain, pieces, begins, ids } = text;
  const first = Math.max(plain.lastIndexOf('\n', result.at - 1) + 1, result.at - LONGEST);
  const annotated = numbersIn(result.annotation.slice(0, result.annotation.lastIndexOf('=')));
  let shortest: Pick<TextCalculation, 'start' | 'expression' | 'result'> | null = null;
  for (let begin = result.at - 1; begin >= first; begin--) {
    if (!/[-\d.([–−]/.test(plain[begin]!) || /[\d.,]/.test(plain[begin - 1] ?? '')) continue;
    const marks = runningMarks(plain.slice(begin, begins[result.value]));
    if (marks?.[0]!.begin !== 0) continue;
    const numbers = marks.filter(({ kind }) => kind === 'number').map(({ text }) => Number(text));
    const isAnnotated = numbers.join() === annotated.join();
    if (shortest !== null && !isAnnotated) continue;
    if (!isClose(valueOf(marks), Number(result.text.replaceAll(',', '')))) continue;
    const start = tokenAt(begins, begin);
    const before = plain.slice(begins[start], begin);
    if (before !== '' && before !== ' ') continue;
    const targets = calculationTargets(pieces.slice(start, result.value), movedBy(marks, before.length));
    if (!targets) continue;
    const records = tokenizer(name).records(ids.slice(start, result.value));
    const decided = { records, decisions: targets.classes, nestings: targets.nestings };
    let value: number;
    try {
      value = execute(decidedTensors(decided, ROOM))[0]!;
    } catch {
      continue;
    }
    if (!placesOf(result.blank + result.text, value).includes(1)) continue;
    const found = { start, expression: symbolsOf(marks), result: value };
    if (isAnnotated) return found;
    shortest = found;
  }
  return shortest;
}

/** The last token that begins at or before the character `index`, by the ascending beginnings of all. */
function tokenAt(begins: readonly number[], index: number): number {
  let [low, high] = [0, begins.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (begins[middle]! <= index) low = middle;
    else high = middle;
  }
  return low;
}

const numbersIn = (expression: string): number[] =>
  Array.from(expression.matchAll(/(?:\d+(?:\.\d+)?|\.\d+)/g), ([digits]) => Number(digits));

/** The value of marks; NaN where they are no expression. */
export function valueOf(marks: readonly RunningMark[]): number {
  try {
    return evaluate(fromText(symbolsOf(marks)));
  } catch {
    return Number.NaN;
  }
}

/** Whether a text may write `value` as `written`. */
const isClose = (value: number, written: number): boolean =>
  Math.abs(value - written) <= 1 || Math.abs(value - written) <= 0.01 * Math.abs(written);
