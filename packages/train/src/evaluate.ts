import { execute } from '@dag/executor';
import { evaluate as evaluateExpr, format, fromText, type Expr } from '@dag/expr';
import type { PredictorModel } from '@dag/model';
import { detensorize, tensorize, TensorizeError, type DagTensors } from '@dag/tensorize';
import { TrainError } from './error.js';
import { streamText, type StreamConfig } from './data/stream.js';

/** One expression to evaluate on; `expected` is its value where the text is an expression, unless given. */
export interface Question {
  readonly text: string;
  readonly expected: number;
  /** What the text says, where it can be parsed. */
  readonly expr: Expr | null;
}

/** What the model answered. */
export interface Answer {
  readonly text: string;
  readonly expected: number;
  readonly value: number;
  /** The predicted plan as an expression; empty where it cannot be written as one, or the text is too long. */
  readonly expression: string;
  /** Whether the value is right to a relative error of 1e-6. */
  readonly ok: boolean;
  /** Whether it is the same double. */
  readonly exact: boolean;
  /** Whether the whole plan is that of the text; null where the text's own plan is not known. */
  readonly planRight: boolean | null;
  /** Operations of the text; null where it is not known. */
  readonly operations: number | null;
}

export interface Score {
  readonly count: number;
  /** Shares of 1. */
  readonly value: number;
  readonly exact: number;
  /** Of those whose plan is known. */
  readonly plan: number;
}

export interface Summary extends Score {
  readonly byOperations: Readonly<Record<string, Score>>;
}

const TOLERANCE = 1e-6;
const BATCH = 64;
const UNREADABLE = '0';

/** Draws for each different expression that is wanted, before a stream counts as having no more. */
const DRAWS_EACH = 20;

/** Up to `count` different expressions that no training stream contains; fewer where there are no more of them. */
export function heldOutQuestions(config: StreamConfig, count: number, seed: number): Question[] {
  const texts = new Set<string>();
  for (let i = 0; texts.size < count && i < DRAWS_EACH * count; i++)
    texts.add(streamText({ ...config, seed }, 'held-out', i));
  return [...texts].map(question);
}

/**
 * A question from a line of a file: an expression in symbols or words, or a text, a tab and its expected value.
 *
 * @throws {TrainError} `bad-input` where the expected value is no number, or there is none and the text is no
 * expression without variables.
 */
export function question(line: string): Question {
  const [text = '', given] = line.split('\t');
  const expr = readExpression(text);
  if (given !== undefined) {
    const expected = given.trim() === '' ? Number.NaN : Number(given);
    if (Number.isNaN(expected) && given.trim() !== 'NaN')
      throw new TrainError('bad-input', `the expected value '${given}' of '${text}' is no number`);
    return { text, expected, expr };
  }
  if (!expr)
    throw new TrainError(
      'bad-input',
      `'${text}' is no expression without variables; a text of another kind needs a tab and its expected value`,
    );
  return { text, expected: evaluateExpr(expr), expr };
}

function readExpression(text: string): Expr | null {
  try {
    const expr = fromText(text);
    // One with variables has no value of its own.
    evaluateExpr(expr);
    return expr;
  } catch {
    return null;
  }
}

/** Asks the model every question; each text is read as a whole. */
export function* answer(model: PredictorModel, questions: readonly Question[]): Generator<Answer> {
  for (let from = 0; from < questions.length; from += BATCH) {
    const some = questions.slice(from, from + BATCH);
    // A text that is too long for the model is read as nothing, which is wrong.
    const plans = model.predictPlans(some.map(({ text }) => (model.reads(text) ? text : UNREADABLE)));
    const values = execute(plans);
    for (const [i, { text, expected, expr }] of some.entries()) {
      const read = model.reads(text);
      const value = read ? values[i]! : Number.NaN;
      yield {
        text,
        expected,
        value,
        expression: read ? written(plans, i) : '',
        ok: isClose(value, expected),
        exact: Object.is(value, expected),
        planRight: expr && read && samePlan(plans, i, expr),
        operations: expr && countOperations(expr),
      };
    }
  }
}

/**
 * Graph `index` as an expression; empty where none can say it: a bad model may repeat its nodes without end, or have
 * weights that are no longer finite. That is an answer too, and no reason to end an evaluation.
 */
function written(plans: DagTensors, index: number): string {
  try {
    return format(detensorize(plans, index));
  } catch (error) {
    if (error instanceof TensorizeError) return '';
    throw error;
  }
}

function isClose(value: number, expected: number): boolean {
  if (Object.is(value, expected)) return true;
  // Of an infinity every number would be within a share.
  return Number.isFinite(expected) && Math.abs(value - expected) <= TOLERANCE * Math.abs(expected);
}

/** Whether graph `index` is the very plan of `expr`. */
function samePlan(plans: DagTensors, index: number, expr: Expr): boolean {
  let right: DagTensors;
  try {
    right = tensorize(expr, { depth: plans.depth });
  } catch {
    // It does not fit into the depth at all.
    return false;
  }
  const same = (a: Float64Array, b: Float64Array): boolean =>
    b.every((x, i) => a[index * b.length + i] === x);
  return (
    same(plans.V_mag, right.V_mag) &&
    same(plans.V_sign, right.V_sign) &&
    same(plans.O, right.O) &&
    same(plans.G, right.G)
  );
}

function countOperations(expr: Expr): number {
  switch (expr.type) {
    case 'Num':
    case 'Sym':
      return 0;
    case 'Neg':
      return 1 + countOperations(expr.arg);
    case 'Pow':
      return 1 + countOperations(expr.base);
    default:
      return expr.args.reduce((n, arg) => n + countOperations(arg), expr.args.length - 1);
  }
}

/** Shares of right answers, in all and by the number of operations. */
export function summarize(answers: readonly Answer[]): Summary {
  const byOperations: Record<string, Score> = {};
  for (const n of [...new Set(answers.map((a) => a.operations))].sort((a, b) => (a ?? -1) - (b ?? -1)))
    byOperations[n ?? 'unknown'] = score(answers.filter((a) => a.operations === n));
  return { ...score(answers), byOperations };
}

function score(answers: readonly Answer[]): Score {
  const share = (of: readonly Answer[], test: (a: Answer) => boolean): number =>
    of.length ? of.filter(test).length / of.length : 0;
  return {
    count: answers.length,
    value: share(answers, (a) => a.ok),
    exact: share(answers, (a) => a.exact),
    plan: share(
      answers.filter((a) => a.planRight !== null),
      (a) => a.planRight === true,
    ),
  };
}
