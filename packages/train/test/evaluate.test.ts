import { describe, expect, it } from '@jest/globals';
import { fromText } from '@dag/expr';
import { PredictorModel } from '@dag/model';
import { tensorizeAll, type DagTensors } from '@dag/tensorize';
import { parseConfig } from '../src/config/config.js';
import { batchOf, streamText } from '../src/predictor/stream.js';
import {
  answer,
  answerAll,
  interval,
  prefixScore,
  summarize,
  type Answer,
} from '../src/evaluation/evaluate.js';
import { heldOutQuestions, longerNumbers, moreOperations, question } from '../src/evaluation/questions.js';
import { formatSummary, percent } from '../src/evaluation/table.js';
import { modelConfig, streamConfig } from '../src/predictor/objective.js';

// A readout that refuses nothing.
const config = parseConfig({ model: { readout: 'linear', depth: 4, nLayer: 1, nEmbd: 8, blockSize: 24 } });

/** A model that reads every text as the expression it is told, or as the text itself. */
class Scripted extends PredictorModel {
  private readonly script: Readonly<Record<string, string>>;
  readonly batches: number[] = [];
  constructor(script: Readonly<Record<string, string>> = {}) {
    super(modelConfig(config));
    this.script = script;
  }
  override predictPlans(texts: readonly string[]): DagTensors {
    this.batches.push(texts.length);
    return tensorizeAll(
      texts.map((text) => fromText(this.script[text] ?? text)),
      { depth: 4 },
    );
  }
}

const ask = (lines: readonly string[], script: Readonly<Record<string, string>> = {}): Promise<Answer[]> =>
  answerAll(new Scripted(script), lines.map(question));

it('a text that no model can be long enough for is not even encoded: it is wrong', async () => {
  const model = new Scripted({});
  model.reads = () => {
    throw new Error('encoded');
  };
  const questions = [{ text: '('.repeat(20_000), expected: 1, expr: null }];
  expect(await answerAll(model, questions)).toMatchObject([{ ok: false, value: Number.NaN, expression: '' }]);
});

it('a text in place of a question is an error that says how to make one', async () => {
  const texts = ['2 + 3'] as unknown as Parameters<typeof answerAll>[1];
  await expect(answerAll(new Scripted(), texts)).rejects.toMatchObject({
    code: 'bad-input',
    message: "element 0 is not a question; make one from a text with question('2 + 3')",
  });
  const text = '2 + 3' as unknown as Parameters<typeof answerAll>[1];
  await expect(answerAll(new Scripted(), text)).rejects.toMatchObject({
    code: 'bad-input',
    message: "expected an array of questions; make each from a text with question('2 + 3')",
  });
});

describe('a question', () => {
  it.each<[line: string, text: string, expected: number]>([
    ['2.5 * 3 + 1', '2.5 * 3 + 1', 8.5],
    ['2+3', '2+3', 5],
    ['two point five times three', 'two point five times three', 7.5],
    ['minus two plus three', 'minus two plus three', 1],
    ['1 / 0', '1 / 0', Infinity],
    ['2 + 3\t5', '2 + 3', 5],
    // What is given counts, not what the text says.
    ['2 + 3\t6', '2 + 3', 6],
    ['2 + 3\t-1e-3', '2 + 3', -1e-3],
    ['1 / 0\tInfinity', '1 / 0', Infinity],
    ['0 / 0\tNaN', '0 / 0', Number.NaN],
    ['the sum of two and three\t5', 'the sum of two and three', 5],
  ])('is read from the line %j', (line, text, expected) => {
    expect(question(line)).toMatchObject({ text, expected });
  });

  it('knows what its text says where that is an expression with a value', () => {
    expect(question('2 + 3').expr).not.toBeNull();
    expect(question('two plus three\t5').expr).toEqual(question('2 + 3').expr);
    for (const line of ['the digits of two and three\t5', 'x + 1\t5', 'hello\t1'])
      expect(question(line).expr).toBeNull();
  });

  it.each([
    ['2 +', /'2 \+' is not an expression/],
    ['', /'' is not an expression/],
    ['hello', /'hello' is not an expression/],
    ['x + 1', /'x \+ 1' is not an expression without variables.* needs a tab and its expected value/],
    ['2 + 3\tfive', /the expected value 'five' of '2 \+ 3' is not a number/],
    ['2 + 3\t', /the expected value '' of '2 \+ 3' is not a number/],
    ['\t5', /the text before the tab is empty/],
    ['2 + 3\t5\t6', /'2 \+ 3\t5\t6' has more than one tab/],
    [`2${'+'.repeat(100_000)}`, /^'2\+{59}…' is not an expression/],
  ])('is refused on the line %j', (line, message) => {
    expect(() => question(line)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(message) }),
    );
  });

  it('is held out: the seed of the evaluation, not that of the training, makes it', () => {
    const stream = streamConfig(config);
    const questions = heldOutQuestions(stream, 5, 7);
    expect(questions.map(({ text }) => text)).toEqual(
      [0, 1, 2, 3, 4].map((i) => streamText({ ...stream, seed: 7 }, 'held-out', i)),
    );
    expect(heldOutQuestions({ ...stream, seed: 99 }, 5, 7)).toEqual(questions);
    expect(heldOutQuestions(stream, 5, 8)).not.toEqual(questions);
  });
});

describe('an answer', () => {
  it('is right in all where the plan is that of the text', async () => {
    expect(await ask(['2.5 * (3 - 1)'])).toMatchObject([
      {
        text: '2.5 * (3 - 1)',
        expected: 5,
        value: 5,
        expression: '2.5 * (3 - 1)',
        ok: true,
        exact: true,
        planRight: true,
        fields: { digits: true, signs: true, operands: true, domains: true },
        operations: 2,
        digits: 2,
        nesting: 1,
        style: 'symbols',
      },
    ]);
  });

  it('is right in its value alone where another plan gives it', async () => {
    const [other] = await ask(['2 + 3'], { '2 + 3': '1 + 4' });
    expect(other).toMatchObject({ expression: '1 + 4', ok: true, exact: true, planRight: false });
  });

  it('is right to a relative error of 1e-6, and exact only where it is the same double', async () => {
    const lines = ['2000000\t2000001', '2000000\t2000003', '0.1 + 0.2\t0.3', '-2000000\t2000000', '2\t0'];
    expect((await ask(lines)).map(({ ok, exact }) => [ok, exact])).toEqual([
      [true, false],
      [false, false],
      [true, false],
      [false, false],
      [false, false],
    ]);
    expect((await ask(['3 - 3', '0 * -1\t0'])).map(({ ok, exact }) => [ok, exact])).toEqual([
      [true, true],
      // −0 is near enough, yet another double.
      [true, false],
    ]);
  });

  it('to a value that is not finite is right only where it is the same', async () => {
    const lines = [
      '1 / 0',
      '7\tInfinity',
      '-1 / 0\tInfinity',
      '1 / 0\t7',
      '0 / 0\tNaN',
      '7\tNaN',
      '0 / 0\t7',
    ];
    expect((await ask(lines)).map(({ ok }) => ok)).toEqual([true, false, false, false, true, false, false]);
  });

  it('to a text of another kind has no plan to be compared with, nor operations', async () => {
    const [only] = await ask(['the number 5\t5'], { 'the number 5': '5' });
    expect(only).toMatchObject({ value: 5, ok: true, planRight: null, operations: null });
  });

  it('to an expression deeper than the model is wrong in its plan', async () => {
    const [deep] = await ask(['1 + 2 + 3 + 4 + 5'], { '1 + 2 + 3 + 4 + 5': '15' });
    expect(deep).toMatchObject({ ok: true, planRight: false, operations: 4 });
  });

  it('to a text that is longer than the model reads is wrong, and does not disturb the others', async () => {
    const long = '1 + 2 + 3 + 4 + 5 + 6 + 7';
    expect(long.length).toBeGreaterThan(config.model.blockSize);
    const answers = await ask(['1 + 1', long, '2 + 2', `${long}\t0`, `${long}\tNaN`]);
    expect(answers.map(({ value }) => value)).toEqual([2, Number.NaN, 4, Number.NaN, Number.NaN]);
    expect(answers.map(({ ok }) => ok).slice(0, 4)).toEqual([true, false, true, false]);
    expect(answers[1]).toMatchObject({ expression: '', exact: false, planRight: false });
  });

  it('has no expression where its plan cannot be written as one, but a value', async () => {
    class Undecided extends Scripted {
      override predictPlans(texts: readonly string[]): DagTensors {
        const plans = super.predictPlans(texts);
        // A step that passes on its operand in either domain: half of each has its value, and no expression.
        plans.G[3] = 0.5;
        return plans;
      }
    }
    const [only] = await answerAll(new Undecided(), [question('1 * 1')]);
    expect(only).toMatchObject({ expression: '', value: 1, ok: true, planRight: false });
  });

  it('comes in batches, in the order of the questions', async () => {
    const lines = Array.from({ length: 150 }, (_, i) => `${i} + 1`);
    const model = new Scripted();
    const answers = await answerAll(model, lines.map(question));
    expect(answers.map(({ text }) => text)).toEqual(lines);
    expect(answers.every(({ ok }, i) => ok && answers[i]!.value === i + 1)).toBe(true);
    expect(model.batches.reduce((a, b) => a + b)).toBe(150);
    expect(model.batches.length).toBeLessThan(10);
  });

  it('of an untrained model is what predict says of each text alone', async () => {
    const model = new PredictorModel(modelConfig(config), { seed: 4 });
    const questions = heldOutQuestions(streamConfig(config), 20, 3);
    for await (const { text, value, expression } of answer(model, questions)) {
      const alone = model.predict(text);
      expect({ text, value, expression }).toEqual({
        text,
        value: alone.value,
        expression: alone.expression,
      });
    }
  });
});

it('the score at prefixes is that of each prefix, asked by itself', async () => {
  const model = new PredictorModel(modelConfig(config), { seed: 4 });
  // Without blanks and points: one at the end of a prefix is left out where that is asked by itself.
  const stream = streamConfig({ ...config, data: { ...config.data, style: 'compact', maxDecimals: 0 } });
  const texts = heldOutQuestions(stream, 30, 3).map(({ text }) => text);
  const { valid, values, shape } = batchOf(texts, stream);
  let [count, right] = [0, 0];
  // Every character is a token.
  texts.forEach((text, b) => {
    for (let t = 0; t < text.length; t++) {
      if (!valid[b * shape[1] + t]) continue;
      const expected = values[b * shape[1] + t]!;
      const { value } = model.predict(text.slice(0, t + 1));
      count++;
      if (Object.is(value, expected) || Math.abs(value - expected) <= 1e-6 * Math.abs(expected)) right++;
    }
  });
  expect(await prefixScore(model, stream, texts)).toEqual({ count, right });
  expect(count).toBeGreaterThan(200);
});

describe('questions beyond what a model was trained on', () => {
  const stream = { ...streamConfig(config), blockSize: 256, data: { ...config.data, numbers: 3 } };

  it('have an operation more', () => {
    const questions = moreOperations(stream, 20, 3);
    expect(questions).toHaveLength(20);
    for (const { text } of questions) expect(text.match(/\d+(\.\d+)?/g)).toHaveLength(4);
  });

  it('have a number of a digit more', () => {
    const { maxDigits, maxDecimals } = stream.data;
    const questions = longerNumbers(stream, 20, 3);
    expect(questions).toHaveLength(20);
    for (const { text } of questions) {
      const sides = text.match(/\d+(\.\d+)?/g)!.map((literal) => literal.split('.'));
      expect(sides.some(([a, b = '']) => a!.length > maxDigits || b.length > maxDecimals)).toBe(true);
      expect(sides.every(([a, b = '']) => a!.length <= maxDigits + 1 && b.length <= maxDecimals + 1)).toBe(
        true,
      );
    }
  });
});

describe('a summary', () => {
  const made = (
    operations: number | null,
    ok: boolean,
    exact: boolean,
    planRight: boolean | null,
  ): Answer => ({
    text: '',
    expected: 0,
    value: 0,
    ...{ refused: null, confidence: null },
    expression: '',
    ok,
    readRight: ok,
    exact,
    planRight,
    fields:
      planRight === null ? null : { digits: planRight, signs: true, operands: true, domains: planRight },
    expr: null,
    plan: null,
    operations,
    digits: 3,
    nesting: 0,
    style: 'symbols',
  });
  const answers = [
    made(2, true, true, true),
    made(10, true, false, false),
    made(10, false, false, false),
    made(2, true, true, true),
    made(2, false, false, false),
    made(null, true, false, null),
  ];

  it('has shares in all and by the number of operations, the least first', () => {
    const summary = summarize(answers);
    expect(summary).toMatchObject({
      count: 6,
      value: 4 / 6,
      exact: 2 / 6,
      plan: 2 / 5,
      digits: 2 / 5,
      signs: 1,
      operands: 1,
      domains: 2 / 5,
      intervals: { value: interval(4 / 6, 6), exact: interval(2 / 6, 6), plan: interval(2 / 5, 5) },
      byOperations: {
        unknown: { count: 1, value: 1, exact: 0, plan: 0 },
        2: { count: 3, value: 2 / 3, exact: 2 / 3, plan: 2 / 3 },
        10: { count: 2, value: 1 / 2, exact: 0, plan: 0 },
      },
      byDigits: { 3: { count: 6 } },
      byNesting: { 0: { count: 6 } },
      byStyle: { symbols: { count: 6 } },
    });
    expect(Object.keys(summary.byOperations)).toEqual(['2', '10', 'unknown']);
  });

  it('has the intervals of Wilson: the shares from which the one seen is 1.96 standard deviations off', () => {
    for (const n of [1, 50, 2000])
      for (const seen of [0, 0.1, 0.5, 0.98, 1]) {
        const [low, high] = interval(seen, n);
        const deviations = (p: number): number => Math.abs(seen - p) / Math.sqrt((p * (1 - p)) / n);
        if (seen > 0) expect(deviations(low)).toBeCloseTo(1.96, 4);
        else expect(low).toBe(0);
        if (seen < 1) expect(deviations(high)).toBeCloseTo(1.96, 4);
        else expect(high).toBe(1);
      }
    expect(interval(0, 0)).toEqual([0, 1]);
  });

  it('tells texts by their longest number, their nesting and their style', async () => {
    const like = async (text: string) => {
      const [{ digits, nesting, style }] = (await ask([text])) as [Answer];
      return [digits, nesting, style];
    };
    expect(await like('12.50 + 3')).toEqual([4, 0, 'symbols']);
    expect(await like('2 * (3 + (4 - 5)) =')).toEqual([1, 2, 'symbols']);
    expect(await like('minus one two point five times open three plus four close')).toEqual([3, 1, 'words']);
    expect(await like('What is 123 times (45 plus 6)?')).toEqual([3, 1, 'question']);
    expect(await like('what is one plus two')).toEqual([1, 0, 'question']);
  });

  it('counts operations of the text, a minus before a group among them, signs not', async () => {
    const answers = await ask(['7', '-7', '1 - 2', '1 - -2 * 3', '-(1 + 2)', '1 + 2 + 3']);
    expect(answers.map(({ operations }) => operations)).toEqual([0, 0, 1, 2, 2, 2]);
  });

  it('of nothing is nothing', () => {
    expect(summarize([])).toMatchObject({ count: 0, value: 0, exact: 0, plan: 0, byOperations: {} });
  });

  it('is a table of a row for each group and one for all', () => {
    const lines = formatSummary(summarize(answers)).split('\n');
    expect(lines.map((line) => line.slice(0, 18).trim())).toEqual([
      '',
      'operations 2',
      'operations 10',
      'operations unknown',
      'all',
    ]);
    expect(lines.at(-1)!).toMatch(/^all +6 +66\.7 +30\.0–90\.3 +33\.3 +40\.0 +40\.0 +100\.0 100\.0 40\.0$/);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    // Of texts that are no expression nobody knows the plan: 0.0 would say that all are wrong.
    expect(lines.at(-2)!).toMatch(/^operations unknown +1 .*( +–){5}$/);
  });

  it('says below how many texts were refused', async () => {
    const [right, other] = await ask(['1 + 2', '3 + 4']);
    const refused = { ...other!, ok: false, exact: false, value: NaN, refused: 'it is not clear' };
    expect(formatSummary(summarize([right!, refused]))).toMatch(
      /\n\nrefused: 50\.0 % of the texts, whose values count as wrong$/,
    );
  });

  it('has at most 80 columns', async () => {
    const model = new PredictorModel(modelConfig(config), { seed: 4 });
    const many = await answerAll(model, heldOutQuestions(streamConfig(config), 300, 3));
    for (const line of formatSummary(summarize(many)).split('\n'))
      expect(line.length).toBeLessThanOrEqual(80);
  });

  it('says 100 % only of what is all right', () => {
    expect([1, 0.9996, 0.5, 0].map(percent)).toEqual(['100.0 %', '99.96 %', '50.0 %', '0.0 %']);
  });
});
