import { execute } from '@dag/executor';
import { evaluate, fromText, type Expr } from '@dag/expr';
import { decidedTensors, tokenizer } from '@dag/model';
import { TrainError } from '../error.js';
import { streamExample, type Example, type StreamConfig } from '../predictor/stream.js';
import { operatorsOf, skeletonOf } from './skeleton.js';

/** One expression to evaluate on; `expected` is its value where the text is an expression, unless given. */
export interface Question {
  readonly text: string;
  readonly expected: number;
  /** What the text says, where it can be parsed. */
  readonly expr: Expr | null;
}

/** A question of a stream, with its tokens, and its expression in the style 'compact'. */
export interface HeldOutQuestion extends Question {
  readonly plain: string;
  readonly ids: readonly number[];
}

/** Draws for each different expression that is wanted, before a stream counts as having no more. */
const DRAWS_EACH = 20;

/** Up to `count` different expressions that no training stream contains; fewer where there are no more of them. */
export function heldOutQuestions(config: StreamConfig, count: number, seed: number): HeldOutQuestion[] {
  return drawQuestions(config, count, seed, () => true);
}

/** What a model was not trained on: expressions with an operation more than its stream has. */
export function moreOperations(config: StreamConfig, count: number, seed: number): Question[] {
  const { numbers } = config.data;
  const data = { ...config.data, numbers: numbers + 1, negatedGroups: 0 };
  return drawQuestions(
    { ...config, data },
    count,
    seed,
    (plain) => operatorsOf(skeletonOf(plain)) === numbers,
  );
}

/** What a model was not trained on: expressions in which a number has a digit more on one side or both. */
export function longerNumbers(config: StreamConfig, count: number, seed: number): Question[] {
  const { maxDigits, maxDecimals } = config.data;
  const data = { ...config.data, maxDigits: maxDigits + 1, maxDecimals: maxDecimals + 1 };
  const isLonger = (literal: string): boolean => {
    const [whole = '', decimals = ''] = literal.split('.');
    return whole.length > maxDigits || decimals.length > maxDecimals;
  };
  return drawQuestions({ ...config, data }, count, seed, (plain) => plain.match(/[\d.]+/g)!.some(isLonger));
}

/** `wanted` is asked of the expression in the style 'compact'. */
function drawQuestions(
  config: StreamConfig,
  count: number,
  seed: number,
  wanted: (plain: string) => boolean,
): HeldOutQuestion[] {
  const questions = new Map<string, HeldOutQuestion>();
  for (let i = 0; questions.size < count && i < DRAWS_EACH * count; i++) {
    const example = streamExample({ ...config, seed }, 'held-out', i);
    const { text, plain, ids, targets } = example;
    if (!wanted(plain) || questions.has(text)) continue;
    questions.set(text, { ...(targets ? decidedQuestion(example) : question(text)), plain, ids });
  }
  return [...questions.values()];
}

/** A text of the tokenizer `words`; its value is that of the plan which its decisions write. */
export function decidedQuestion({ text, ids, targets }: Omit<Example, 'plain'>): Question {
  const records = ids.map((id) => tokenizer('words').record(id));
  const { classes: decisions, nestings } = targets!;
  const numbers = records.filter(({ digits, begins }) => digits.length > 0 && begins).length;
  // No more steps than decisions, and no more numbers than are typed or written.
  const depth = numbers + decisions.filter((decision) => decision > 0).length;
  const plan = decidedTensors({ records, decisions, nestings }, { depth, digits: 30 });
  return { text, expected: execute(plan)[0]!, expr: null };
}

/**
 * A question from a line of a file: an expression in symbols or words, or a text, a tab and its expected value.
 *
 * @throws {TrainError} `bad-input` where the expected value is no number, or there is none and the text is no
 * expression without variables.
 */
export function question(line: string): Question {
  const [text = '', given, ...more] = line.split('\t');
  if (more.length > 0)
    throw new TrainError(
      'bad-input',
      `${shown(line)} has more than one tab; a text, a tab and its value are expected`,
    );
  const expr = readExpression(text);
  if (given !== undefined) {
    if (text.trim() === '') throw new TrainError('bad-input', 'the text before the tab is empty');
    const expected = given.trim() === '' ? Number.NaN : Number(given);
    if (Number.isNaN(expected) && given.trim() !== 'NaN')
      throw new TrainError('bad-input', `the expected value ${shown(given)} of ${shown(text)} is no number`);
    return { text, expected, expr };
  }
  if (!expr)
    throw new TrainError(
      'bad-input',
      `${shown(text)} is no expression without variables; a text of another kind needs a tab and its expected value`,
    );
  return { text, expected: evaluate(expr), expr };
}

const LONGEST_SHOWN = 60;

/** A text as messages show it: its beginning, where it is long. */
function shown(text: string): string {
  return text.length <= LONGEST_SHOWN ? `'${text}'` : `'${text.slice(0, LONGEST_SHOWN)}…'`;
}

function readExpression(text: string): Expr | null {
  try {
    const expr = fromText(text);
    // One with variables has no value of its own.
    evaluate(expr);
    return expr;
  } catch {
    return null;
  }
}
