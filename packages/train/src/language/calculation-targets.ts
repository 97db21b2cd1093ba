import { decisionOf, NESTING } from '@dag/model';
import { decisionTargets, OPERATORS, type DecisionTargets } from '../predictor/prefix-targets.js';
import { runningMarks, type RunningMark } from './running-marks.js';

/** What the tokens of a calculation decide, by their texts; null where they are no calculation. */
export function targetsOfPieces(pieces: readonly string[]): DecisionTargets | null {
  const text = pieces.join('');
  const blanks = text.length - text.trimStart().length;
  const marks = runningMarks(text.trimStart());
  return marks && calculationTargets(pieces, movedBy(marks, blanks));
}

/** The tokens of a text by the index of the character with which each begins. */
export function tokensByIndex(pieces: readonly string[]): ReadonlyMap<number, number> {
  const tokens = new Map<number, number>();
  let length = 0;
  pieces.forEach((piece, t) => {
    tokens.set(length, t);
    length += piece.length;
  });
  return tokens;
}

/** Marks of a text with so many characters before it. */
export const movedBy = (marks: readonly RunningMark[], characters: number): RunningMark[] =>
  marks.map((mark) => ({ ...mark, begin: mark.begin + characters, end: mark.end + characters }));

/**
 * What the tokens of a calculation in running text decide. An operator or sign is written by the token with which the next mark begins: only
 * there is it clear that it was one.
 *
 * @param pieces The texts of the tokens; together the text of the marks.
 * @returns null where a token would decide two things.
 */
export function calculationTargets(
  pieces: readonly string[],
  marks: readonly RunningMark[],
): DecisionTargets | null {
  const targets = decisionTargets(pieces.length);
  const ends: number[] = [];
  for (const piece of pieces) ends.push((ends.at(-1) ?? 0) + piece.length);
  const tokenAt = (index: number): number => ends.findIndex((end) => end > index);
  const written = new Map<number, string>();
  const nestings = new Map<number, number>();
  let pending: string | null = null;
  for (const { kind, text, begin } of marks) {
    const token = tokenAt(begin);
    const writes = (decision: string): boolean => {
      if (written.has(token)) return false;
      written.set(token, decision);
      return true;
    };
    if (kind === 'operator') {
      pending = OPERATORS[text]!;
      continue;
    }
    if (kind === 'percent') {
      if (!writes('percent')) return null;
      continue;
    }
    if (kind !== 'close' && pending !== null && !writes(pending)) return null;
    pending = kind === 'sign' && text === '-' ? 'neg' : null;
    if (kind !== 'open' && kind !== 'close') continue;
    if (nestings.has(token)) return null;
    nestings.set(token, kind === 'open' ? 1 : -1);
  }
  ends.forEach((end, t) => {
    targets.classes[t] = decisionOf(written.get(t) ?? 'none');
    targets.nestings[t] = NESTING.indexOf(nestings.get(t) ?? 0);
    targets.completes[t] = completeAt(marks, end);
  });
  return targets;
}

/** Whether the marks before `end` are a whole calculation; −1 within a number, of which it is open whether it ends. */
function completeAt(marks: readonly RunningMark[], end: number): number {
  let [hasOperand, depth] = [false, 0];
  for (const mark of marks) {
    if (mark.begin >= end) break;
    if (mark.kind === 'number' && mark.end > end) return -1;
    hasOperand = mark.kind === 'number' || mark.kind === 'close' || mark.kind === 'percent';
    depth += Number(mark.kind === 'open') - Number(mark.kind === 'close');
  }
  return Number(hasOperand && depth === 0);
}
