import { execute } from '@dag/executor';
import { evaluate, fromText, type Expr } from '@dag/expr';
import { decidedTensors, decisionOf, tokenizer, type Decided, type RegisterLayout } from '@dag/model';
import { STREAM, requireArguments } from '../arguments.js';
import { TrainError } from '../error.js';
import type { DecisionTargets } from '../predictor/prefix-targets.js';
import { labelledText } from '../predictor/words-stream.js';
import type { FrameOptions } from '../reading/symbols.js';
import { foreignExample, streamExample, type Example, type StreamConfig } from '../predictor/stream.js';
import { operatorsOf, skeletonOf } from './skeleton.js';

/** A text for the model, with its expected value. */
export interface Question {
  readonly text: string;
  readonly expected: number;
  /** The parsed text; null if it is not an expression. */
  readonly expr: Expr | null;
}

/**
 * A question drawn from a stream: `plain` is its expression in the style 'compact', `ids` are its tokens, and `targets` what they decide, of
 * the tokenizer `words`.
 */
export interface HeldOutQuestion extends Question {
  readonly plain: string;
  readonly ids: readonly number[];
  readonly targets?: DecisionTargets;
}

/** After this many draws per requested question, a stream counts as exhausted. */
const DRAWS_EACH = 20;

/** Up to `count` different held-out expressions, which no training stream contains; fewer if the stream has no more. */
export function heldOutQuestions(config: StreamConfig, count: number, seed: number): HeldOutQuestion[] {
  requireArguments('heldOutQuestions', {
    config: [config, STREAM],
    count: [count, 'a whole number from 0'],
    seed: [seed, 'a number'],
  });
  return drawQuestions(config, count, seed, () => true);
}

/** Up to `count` different held-out texts that are to be refused, of the tokenizer `words`. Their value is NaN. */
export function foreignQuestions(config: StreamConfig, count: number, seed: number): Question[] {
  return drawDistinct(count, (i) => {
    const { text } = foreignExample({ ...config, seed }, i);
    return { text, expected: Number.NaN, expr: null };
  });
}

/** Held-out expressions beyond the training stream: with one operation more. */
export function moreOperations(config: StreamConfig, count: number, seed: number): Question[] {
  requireArguments('moreOperations', {
    config: [config, STREAM],
    count: [count, 'a whole number from 0'],
    seed: [seed, 'a number'],
  });
  const { numbers } = config.data;
  const data = { ...config.data, numbers: numbers + 1, negatedGroups: 0 };
  return drawQuestions(
    { ...config, data },
    count,
    seed,
    (plain) => operatorsOf(skeletonOf(plain)) === numbers,
  );
}

/** Held-out expressions beyond the training stream: a number has one more digit before or after the point, or both. */
export function longerNumbers(config: StreamConfig, count: number, seed: number): Question[] {
  requireArguments('longerNumbers', {
    config: [config, STREAM],
    count: [count, 'a whole number from 0'],
    seed: [seed, 'a number'],
  });
  const { maxDigits, maxDecimals } = config.data;
  const data = { ...config.data, maxDigits: maxDigits + 1, maxDecimals: maxDecimals + 1 };
  const isLonger = (literal: string): boolean => {
    const [whole = '', decimals = ''] = literal.split('.');
    return whole.length > maxDigits || decimals.length > maxDecimals;
  };
  return drawQuestions({ ...config, data }, count, seed, (plain) => plain.match(/[\d.]+/g)!.some(isLonger));
}

/** @param wanted Filters by the expression in the style 'compact'. */
function drawQuestions(
  config: StreamConfig,
  count: number,
  seed: number,
  wanted: (plain: string) => boolean,
): HeldOutQuestion[] {
  return drawDistinct(count, (i) => {
    const example = streamExample({ ...config, seed }, 'held-out', i);
    const { text, plain, ids, targets } = example;
    if (!wanted(plain)) return null;
    return targets ? { ...decidedQuestion(example), plain, ids, targets } : { ...question(text), plain, ids };
  });
}

/** Up to `count` questions with different texts, of 20 draws for each. `draw` gives null where draw i is not wanted. */
export function drawDistinct<Q extends Question>(count: number, draw: (i: number) => Q | null): Q[] {
  const questions = new Map<string, Q>();
  for (let i = 0; questions.size < count && i < DRAWS_EACH * count; i++) {
    const drawn = draw(i);
    if (drawn && !questions.has(drawn.text)) questions.set(drawn.text, drawn);
  }
  return [...questions.values()];
}

/** A text of the tokenizer `words`; its value is that of the plan which its decisions write. */
function decidedQuestion({ text, ids, targets }: Omit<Example, 'plain'>): Question {
  const { decided, layout } = decidedText(ids, targets!);
  return { text, expected: execute(decidedTensors(decided, layout))[0]!, expr: null };
}

/** The largest depth of a plan. */
const MOST_DEPTH = 256;
const [MEAN, PERCENT_OF] = ['mean', 'percentOf'].map(decisionOf);

/** What the tokens of a text of the tokenizer `words` decide, and a layout with room for it. */
export function decidedText(
  ids: readonly number[],
  { classes: decisions, nestings }: DecisionTargets,
): { readonly decided: Decided; readonly layout: RegisterLayout } {
  const records = ids.map((id) => tokenizer('words').record(id));
  const numbers = records.filter(({ digits, begins }) => digits.length > 0 && begins).length;
  const counted = (wanted: (decision: number) => boolean): number => decisions.filter(wanted).length;
  // Numbers are typed, or written by a percentage of a group or a mean; a mean takes two steps.
  const written = counted((decision) => decision === MEAN || decision === PERCENT_OF);
  const depth =
    Math.max(
      numbers,
      counted((decision) => decision > 0),
    ) + written;
  return { decided: { records, decisions, nestings }, layout: { depth, digits: 30 } };
}

/** Texts of the tokenizer `words` that a model was not trained on, by what is new to it. Those to be refused have NaN as their value. */
export function beyondWords(config: StreamConfig, count: number, seed: number): Record<string, Question[]> {
  const { maxDigits, maxDecimals, numbers } = config.data;
  const drawn = (many: number, options: Partial<FrameOptions>): Question[] =>
    Array.from({ length: many }, (_, index) =>
      labelledText({
        ...{ seed, index, numbers, maxDigits, maxDecimals, phrases: 'trained' },
        ...options,
      }),
    )
      .filter(
        ({ ids, targets }) =>
          ids.length <= config.blockSize && decidedText(ids, targets).layout.depth <= MOST_DEPTH,
      )
      .map((text) =>
        options.foreign ? { text: text.text, expected: Number.NaN, expr: null } : decidedQuestion(text),
      );
  const long = (n: number): Question[] => drawn(Math.ceil(count / 4), { numbers: n, fewest: n });
  return {
    'phrases held out': drawn(count, { phrases: 'held-out' }),
    ...{ '16 numbers': long(16), '32 numbers': long(32), '64 numbers': long(64) },
    'to be refused': drawn(count, { foreign: 1, phrases: 'all' }),
  };
}

/**
 * Parses a question: an expression in symbols or words, or any text, a tab and its expected value, which may be NaN, Infinity or -Infinity.
 *
 * @throws {TrainError} `bad-input` if the expected value is not a number, or if there is none and the text is not an
 * expression without variables.
 */
export function question(line: string): Question {
  requireArguments('question', { line: [line, 'a string'] });
  const [text = '', given, ...more] = line.split('\t');
  if (more.length > 0)
    throw new TrainError(
      'bad-input',
      `${shown(line)} has more than one tab; expected a text, a tab and its value`,
    );
  const expr = readExpression(text);
  if (given !== undefined) {
    if (text.trim() === '') throw new TrainError('bad-input', 'the text before the tab is empty');
    const expected = given.trim() === '' ? Number.NaN : Number(given);
    if (!Number.isFinite(expected) && given.trim() !== String(expected))
      throw new TrainError(
        'bad-input',
        `the expected value ${shown(given)} of ${shown(text)} is not a number`,
      );
    return { text, expected, expr };
  }
  if (!expr)
    throw new TrainError(
      'bad-input',
      `${shown(text)} is not an expression without variables; any other text needs a tab and its expected value`,
    );
  return { text, expected: evaluate(expr), expr };
}

const LONGEST_SHOWN = 60;

/** A text for a message, cut if it is long. */
function shown(text: string): string {
  return text.length <= LONGEST_SHOWN ? `'${text}'` : `'${text.slice(0, LONGEST_SHOWN)}…'`;
}

function readExpression(text: string): Expr | null {
  try {
    const expr = fromText(text);
    // Throws if the expression has variables, and so no value.
    evaluate(expr);
    return expr;
  } catch {
    return null;
  }
}
