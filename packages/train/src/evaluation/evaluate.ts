import { execute, noGrad, scope, type DagTensorFields, type Tensor } from '@dag/executor';
import { isQuestion, symbolOf, type Expr } from '@dag/expr';
import {
  decidedPrefixes,
  expressionOf,
  smallestPlan,
  type PredictedPlans,
  type RegisterLayout,
} from '@dag/model';
import { tensorize, type DagTensors } from '@dag/tensorize';
import { STREAM, requireArguments } from '../arguments.js';
import { TrainError } from '../error.js';
import { nextTurn } from '../next-turn.js';
import { batchOf, type StreamConfig, type TextBatch } from '../predictor/stream.js';
import { decidedText, type HeldOutQuestion, type Question } from './questions.js';
import { reliability, type Reliability } from './reliability.js';

/** A model that reads texts: a PredictorModel, or an OnnxPredictor, which also executes the plans. */
export interface PlanReader {
  /** Whether the model can read a text: it is neither empty nor too long. */
  reads(text: string): boolean;
  /** The plans of many texts at once, in their order. */
  predictTexts(texts: readonly string[]): PredictedPlans | Promise<PredictedPlans>;
}

/** Which fields of a predicted plan are right: all digits (V_mag), signs (V_sign), operand coefficients (O), domains (G). */
export interface FieldsRight {
  readonly digits: boolean;
  readonly signs: boolean;
  readonly operands: boolean;
  readonly domains: boolean;
}

/** The answer of a model to a question. */
export interface Answer {
  readonly text: string;
  readonly expected: number;
  readonly value: number;
  /** Why the model refused the text; null where it did not. Then `value` is NaN. */
  readonly refused: string | null;
  /** See `PredictedValue`; null where the model does not say. */
  readonly confidence: number | null;
  /** The predicted plan as an expression; empty if it cannot be written as one, or the text is too long. */
  readonly expression: string;
  /** Whether the value is right to a relative error of 1e-6. */
  readonly ok: boolean;
  /**
   * Whether the value that the model read is right, also where it refused the text for its low confidence alone (`value` is then NaN);
   * null where it read none.
   */
  readonly readRight: boolean | null;
  /** Whether the value is the same double. */
  readonly exact: boolean;
  /** Whether the whole plan is right; null if the text is not an expression, so that the right plan is unknown. */
  readonly planRight: boolean | null;
  readonly fields: FieldsRight | null;
  /** The parsed text; null if it is not an expression. */
  readonly expr: Expr | null;
  /** The predicted plan, one graph; null if the text is too long. */
  readonly plan: DagTensors | null;
  /** Operations of the text; like `digits` and `nesting`, null if the text is not an expression. */
  readonly operations: number | null;
  /** Digits of the longest number in the text. */
  readonly digits: number | null;
  /** Depth of nested parentheses. */
  readonly nesting: number | null;
  readonly style: 'symbols' | 'words' | 'question';
}

/** A 95 % confidence interval of a share in [0, 1]. */
export type Interval = readonly [low: number, high: number];

/** Shares of right answers, in [0, 1]. `plan` and its fields are over the answers whose right plan is known. */
export interface Score {
  readonly count: number;
  readonly value: number;
  readonly exact: number;
  /** Share of refused texts. */
  readonly refused: number;
  readonly plan: number;
  readonly digits: number;
  readonly signs: number;
  readonly operands: number;
  readonly domains: number;
  /** 95 % confidence intervals (Wilson, JASA 22, 1927) of the shares. */
  readonly intervals: {
    readonly value: Interval;
    readonly exact: Interval;
    readonly plan: Interval;
  };
}

/** The score of each group of answers, by the name of the group. */
export type Scores = Readonly<Record<string, Score>>;

/** The score of all answers, and of groups of answers. */
export interface Summary extends Score {
  readonly byOperations: Scores;
  readonly byDigits: Scores;
  readonly byNesting: Scores;
  readonly byStyle: Scores;
  /** Of a model that gives confidences: whether these are the shares of right answers. */
  readonly reliability?: Reliability;
}

const TOLERANCE = 1e-6;
const BATCH = 64;
const UNREADABLE = '0';
/** No model reads longer texts, and encoding one may take minutes: BPE takes quadratic time for a run of punctuation. */
const MOST_CHARACTERS = 10_000;

/**
 * Yields the model's answer to each question, in order. Only the plan at the end of each text is used.
 *
 * @throws {TrainError} `bad-input` for what is no array of `Question`s, for example of strings.
 */
export async function* answer(model: PlanReader, questions: readonly Question[]): AsyncGenerator<Answer> {
  if (!Array.isArray(questions))
    throw new TrainError(
      'bad-input',
      "expected an array of questions; make each from a text with question('2 + 3')",
    );
  const wrong = questions.findIndex((asked) => typeof (Object(asked) as Partial<Question>).text !== 'string');
  if (wrong >= 0)
    throw new TrainError(
      'bad-input',
      `element ${wrong} is not a question; make one from a text with question('2 + 3')`,
    );
  for (let from = 0; from < questions.length; from += BATCH) {
    // Node handles signals and a closed stdout, and a worker of a page its messages, only between two turns of the event loop; so a
    // second signal can end an evaluation during training.
    await nextTurn();
    const some = questions.slice(from, from + BATCH);
    // A text that the model cannot read is replaced; its answer is NaN, which counts as wrong.
    const read = some.map(({ text }) => text.length <= MOST_CHARACTERS && model.reads(text));
    const predicted = await model.predictTexts(some.map(({ text }, i) => (read[i] ? text : UNREADABLE)));
    const { plans, values, refusals, confidences, unsure } = predicted;
    for (const [i, asked] of some.entries()) {
      const own = read[i] ? graphOf(plans, i) : null;
      // A model of any layout has room for the longest of these texts, up to a MB for each plan.
      const plan = own && !asked.expr ? smallestPlan(own) : own;
      const [refused, confidence] = read[i] ? [refusals[i]!, confidences[i]!] : [null, null];
      const value = read[i] && refused === null ? values[i]! : Number.NaN;
      const judged = answerOf(asked, plan, value);
      const readRight =
        read[i] && (refused === null || unsure[i]) ? isClose(values[i]!, asked.expected) : null;
      yield refused === null
        ? { ...judged, refused, confidence, readRight }
        : { ...judged, refused, confidence, readRight, ok: false, exact: false };
    }
  }
}

/** All answers of `answer`. */
export const answerAll = (model: PlanReader, questions: readonly Question[]): Promise<Answer[]> =>
  collect(answer(model, questions));

/** All answers. @param onAnswer Called with each answer as it arrives. */
export async function collect(
  arriving: AsyncIterable<Answer>,
  onAnswer: (a: Answer) => void = () => undefined,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for await (const a of arriving) {
    answers.push(a);
    onAnswer(a);
  }
  return answers;
}

/** Of `count` prefixes that can be completed to an expression, how many have the `right` value. */
export interface PrefixScore {
  readonly count: number;
  readonly right: number;
}

/** Predicts a hard plan at every token: a `PredictorModel`, or a `DagGpt` with its own hidden states. */
export interface PrefixReader {
  /**
   * @param tokens (B, T) ids, row-major.
   * @param options.layout A layout with room for the plans; given for the tokenizer `words` alone.
   * @returns B·T plans with the depth of the layout; without one, of the stream.
   */
  hardPlan(
    tokens: Int32Array,
    shape: readonly [B: number, T: number],
    options?: { readonly layout?: RegisterLayout },
  ): DagTensorFields;
}

/** Scores the value at every token whose prefix can be completed to an expression, in one pass over each text. */
export async function prefixScore(
  model: PrefixReader,
  stream: StreamConfig,
  texts: readonly string[],
): Promise<PrefixScore> {
  requireArguments('prefixScore', {
    model: [model, 'an object'],
    stream: [stream, STREAM],
    texts: [texts, ['a string']],
  });
  let [count, right] = [0, 0];
  for (let from = 0; from < texts.length; from += BATCH) {
    await nextTurn();
    const batch = batchOf(texts.slice(from, from + BATCH), stream);
    const values = execute(plansOf(model, batch, stream.depth));
    batch.valid.forEach((valid, i) => {
      if (!valid) return;
      count++;
      if (isClose(values[i]!, batch.values[i]!)) right++;
    });
  }
  return { count, right };
}

/**
 * `prefixScore` for texts of the tokenizer `words`: scores the value at every token up to which the text is a whole expression. That value is
 * the one of the plan which the decisions of the stream write so far.
 */
export async function decidedPrefixScore(
  model: PrefixReader,
  questions: readonly HeldOutQuestion[],
): Promise<PrefixScore> {
  let [count, right] = [0, 0];
  for (const { ids, targets } of questions) {
    if (!targets) continue;
    await nextTurn();
    const { decided, layout } = decidedText(ids, targets);
    const expected = execute(decidedPrefixes(decided, layout));
    const batch = { tokens: Int32Array.from(ids), shape: [1, ids.length] } as const;
    const values = execute(plansOf(model, batch, layout.depth, { layout }));
    targets.completes.forEach((complete, t) => {
      if (complete !== 1) return;
      count++;
      if (isClose(values[t]!, expected[t]!)) right++;
    });
  }
  return { count, right };
}

/** The hard plans at every token of a batch, B·T graphs. */
function plansOf(
  model: PrefixReader,
  { tokens, shape }: Pick<TextBatch, 'tokens' | 'shape'>,
  depth: number,
  options: { readonly layout?: RegisterLayout } = {},
): DagTensors {
  const read = (x: Tensor): Float64Array => Float64Array.from(x.dataSync());
  return scope(() =>
    noGrad(() => {
      const { V_mag, V_sign, O, G } = model.hardPlan(tokens, shape, options);
      const fields = { V_mag: read(V_mag), V_sign: read(V_sign), O: read(O), G: read(G) };
      return { depth, size: shape[0] * shape[1], ...fields };
    }),
  );
}

/** Makes the `Answer` to a question from a predicted plan (null if there is none) and a value. */
export function answerOf({ text, expected, expr }: Question, plan: DagTensors | null, value: number): Answer {
  const fields = expr && fieldsRight(plan, expr);
  return {
    text,
    expected,
    value,
    ...{ refused: null, confidence: null },
    expression: plan ? expressionOf(plan) : '',
    ok: isClose(value, expected),
    readRight: isClose(value, expected),
    exact: Object.is(value, expected),
    planRight: fields && Object.values(fields).every((right) => right),
    fields,
    expr,
    plan,
    operations: expr && countOperations(expr),
    digits: expr && mostDigits(text),
    nesting: expr && nestingOf(text),
    style: styleOf(text),
  };
}

function graphOf({ depth, V_mag, V_sign, O, G }: DagTensors, index: number): DagTensors {
  const part = (field: Float64Array, n: number): Float64Array => field.slice(index * n, (index + 1) * n);
  return {
    depth,
    size: 1,
    V_mag: part(V_mag, 2 * depth),
    V_sign: part(V_sign, 2 * depth),
    O: part(O, 2 * depth * depth),
    G: part(G, depth),
  };
}

function isClose(value: number, expected: number): boolean {
  if (Object.is(value, expected)) return true;
  // Any number would be within a relative tolerance of an infinite value.
  return Number.isFinite(expected) && Math.abs(value - expected) <= TOLERANCE * Math.abs(expected);
}

const NOTHING_RIGHT: FieldsRight = { digits: false, signs: false, operands: false, domains: false };

function fieldsRight(plan: DagTensors | null, expr: Expr): FieldsRight {
  if (!plan) return NOTHING_RIGHT;
  let right: DagTensors;
  try {
    right = tensorize(expr, { depth: plan.depth });
  } catch {
    // The expression does not fit into this depth.
    return NOTHING_RIGHT;
  }
  const same = (a: Float64Array, b: Float64Array): boolean => b.every((x, i) => a[i] === x);
  return {
    digits: same(plan.V_mag, right.V_mag),
    signs: same(plan.V_sign, right.V_sign),
    operands: same(plan.O, right.O),
    domains: same(plan.G, right.G),
  };
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

/** Replaces number and operator words by symbols: "two point five" is `2.5`. */
const inSymbols = (text: string): string =>
  text.replace(/[a-z]+/gi, (word) => symbolOf(word) ?? word).replace(/(?<=[\d.])\s+(?=[\d.])/g, '');

const mostDigits = (text: string): number =>
  Math.max(
    0,
    ...Array.from(inSymbols(text).matchAll(/[\d.]+/g), ([literal]) => literal.replace('.', '').length),
  );

function nestingOf(text: string): number {
  let most = 0;
  let open = 0;
  for (const [bracket] of inSymbols(text).matchAll(/[()]/g)) {
    open += bracket === '(' ? 1 : -1;
    most = Math.max(most, open);
  }
  return most;
}

function styleOf(text: string): Answer['style'] {
  if (isQuestion(text)) return 'question';
  return /[a-z]/i.test(text) ? 'words' : 'symbols';
}

/** Shares of right answers, in total and by properties of the texts. */
export function summarize(answers: readonly Answer[]): Summary {
  requireArguments('summarize', { answers: [answers, ['an object']] });
  const by = (key: (a: Answer) => number | string | null): Scores => {
    const keys = [...new Set(answers.map(key))].sort((a, b) =>
      typeof a === 'string' || typeof b === 'string'
        ? String(a).localeCompare(String(b))
        : (a ?? -1) - (b ?? -1),
    );
    return Object.fromEntries(keys.map((k) => [k ?? 'unknown', score(answers.filter((a) => key(a) === k))]));
  };
  const reliable = reliability(answers);
  return {
    ...score(answers),
    byOperations: by((a) => a.operations),
    byDigits: by((a) => a.digits),
    byNesting: by((a) => a.nesting),
    byStyle: by((a) => a.style),
    ...(reliable ? { reliability: reliable } : {}),
  };
}

function score(answers: readonly Answer[]): Score {
  const known = answers.filter((a) => a.planRight !== null);
  const share = (of: readonly Answer[], test: (a: Answer) => boolean | undefined): number =>
    of.length ? of.filter((a) => test(a) === true).length / of.length : 0;
  const value = share(answers, (a) => a.ok);
  const exact = share(answers, (a) => a.exact);
  const plan = share(known, (a) => a.planRight === true);
  return {
    count: answers.length,
    value,
    exact,
    refused: share(answers, (a) => a.refused !== null),
    plan,
    digits: share(known, (a) => a.fields?.digits),
    signs: share(known, (a) => a.fields?.signs),
    operands: share(known, (a) => a.fields?.operands),
    domains: share(known, (a) => a.fields?.domains),
    intervals: {
      value: interval(value, answers.length),
      exact: interval(exact, answers.length),
      plan: interval(plan, known.length),
    },
  };
}

/** Quantile of the normal distribution for a two-sided 95 % interval. */
const Z = 1.959964;

/** The Wilson score interval of a share `p` of `n` answers. */
export function interval(p: number, n: number): Interval {
  if (n === 0) return [0, 1];
  const center = (p + (Z * Z) / (2 * n)) / (1 + (Z * Z) / n);
  const reach = (Z / (1 + (Z * Z) / n)) * Math.sqrt((p * (1 - p)) / n + (Z * Z) / (4 * n * n));
  // Rounding must not exclude p = 0 or p = 1 from its own interval.
  return [p === 0 ? 0 : Math.max(0, center - reach), p === 1 ? 1 : Math.min(1, center + reach)];
}
