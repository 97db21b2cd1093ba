import type { DagGpt } from '@dag/model';
import { requireArguments } from '../arguments.js';
import { interval, type Interval } from '../evaluation/evaluate.js';
import { percent } from '../evaluation/table.js';
import { nextTurn } from '../next-turn.js';
import { tokenTexts } from '../predictor/stream.js';
import type { AnnotatedText } from './annotated-text.js';
import { tokensByIndex } from './calculation-targets.js';

/** How many of `of`. */
export interface Counted {
  readonly of: number;
  readonly count: number;
  readonly share: number;
  readonly interval: Interval;
}

/** How a model calculates in texts with marked results, each of which it reads up to the result. */
export interface CalculationScores {
  readonly texts: number;
  /** Results that the executor writes. */
  readonly computed: Counted;
  /** Of these, those that are written exactly as in the text, but for a blank before them. */
  readonly exact: Counted;
  /** Of all other numbers those in whose place the executor would write another one. */
  readonly overwritten: Counted;
  /** Of all other numbers those that it would write too, as they are: results that are not marked. */
  readonly alsoComputed: Counted;
  /** Of the tokens that begin no number those before which it would write one. */
  readonly inserted: Counted;
  /** Results that are not computed, or not as in the text. */
  readonly failures: readonly CalculationFailure[];
}

/** A result that is not written as in the text. */
export interface CalculationFailure {
  /** The text up to the result, its last characters. */
  readonly text: string;
  readonly expected: string;
  /** What is written; null where the gate does not open. */
  readonly written: string | null;
  /** What is computed. */
  readonly expression: string;
}

/** Characters of a text that a failure shows. */
const SHOWN = 100;
const NUMBER = /(?<![\d.])(?<!\d,)(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?/g;

/** Measures what a model would compute in texts: each of their numbers by the text before it. */
export async function calculationScores(
  model: DagGpt,
  texts: readonly AnnotatedText[],
  onText: (done: number) => void = () => undefined,
): Promise<CalculationScores> {
  requireArguments('calculationScores', {
    model: [model, { tokenizer: 'an object', computedIn: 'a function' }],
    texts: [texts, ['an object']],
  });
  const tally = {
    results: 0,
    computed: 0,
    exact: 0,
    numbers: 0,
    overwritten: 0,
    also: 0,
    rest: 0,
    inserted: 0,
  };
  const failures: CalculationFailure[] = [];
  for (const [i, { ids, calculations, others }] of texts.entries()) {
    await nextTurn();
    const pieces = tokenTexts(ids, model.tokenizer.name);
    const results = new Map([...calculations, ...others].map(({ value, end }) => [value, end]));
    const computed = model.computedIn(ids, new Set(results.keys()));
    const textOf = (from: number, to: number): string => pieces.slice(from, to).join('');
    const numbers = numbersAt(pieces);
    tally.rest += ids.length;
    for (const [t, end] of results) {
      const expected = textOf(t, end);
      const { written = null, expression = '' } = computed.get(t) ?? {};
      const isExact = written?.trim() === expected.trim();
      tally.results++;
      tally.rest -= end - t;
      tally.computed += Number(written !== null);
      tally.exact += Number(isExact);
      if (!isExact) failures.push({ text: textOf(0, t).slice(-SHOWN), expected, written, expression });
      for (let at = t; at < end; at++) {
        computed.delete(at);
        numbers.delete(at);
      }
    }
    for (const [t, expected] of numbers) {
      tally.numbers++;
      tally.rest--;
      const written = computed.get(t)?.written;
      if (written !== undefined) tally[written.trim() === expected.trim() ? 'also' : 'overwritten']++;
      computed.delete(t);
    }
    tally.inserted += computed.size;
    onText(i + 1);
  }
  const counted = (count: number, of: number): Counted => {
    const share = of === 0 ? 0 : count / of;
    return { of, count, share, interval: interval(share, of) };
  };
  return {
    texts: texts.length,
    computed: counted(tally.computed, tally.results),
    exact: counted(tally.exact, tally.computed),
    overwritten: counted(tally.overwritten, tally.numbers),
    alsoComputed: counted(tally.also, tally.numbers),
    inserted: counted(tally.inserted, tally.rest),
    failures,
  };
}

/** The numbers of a text by the token with which each begins, with the blank before them. */
function numbersAt(pieces: readonly string[]): Map<number, string> {
  const text = pieces.join('');
  const tokens = tokensByIndex(pieces);
  const numbers = new Map<number, string>();
  for (const { 0: digits, index } of text.matchAll(NUMBER)) {
    const isSpaced = !tokens.has(index) && text[index - 1] === ' ';
    const token = tokens.get(isSpaced ? index - 1 : index);
    if (token !== undefined) numbers.set(token, isSpaced ? ` ${digits}` : digits);
  }
  return numbers;
}

/** The scores as a table. */
export function formatCalculations(scores: CalculationScores): string {
  const line = (name: string, { of, count, share, interval: [low, high] }: Counted): string =>
    `${name.padEnd(36)}${percent(share).padStart(8)}  (${percent(low)} – ${percent(high)})  ${count} of ${of}`;
  return [
    line('results computed', scores.computed),
    line('of these as in the text', scores.exact),
    line('other numbers overwritten', scores.overwritten),
    line('other numbers computed as they are', scores.alsoComputed),
    line('inserted where no number is', scores.inserted),
  ].join('\n');
}
