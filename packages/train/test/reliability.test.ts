import { describe, expect, it } from '@jest/globals';
import { execute, tensor, type DagTensorFields } from '@dag/executor';
import { decidedTensors, PredictorModel } from '@dag/model';
import { parseConfig } from '../src/config/config.js';
import {
  answer,
  collect,
  decidedPrefixScore,
  summarize,
  type PrefixReader,
} from '../src/evaluation/evaluate.js';
import { decidedText, heldOutQuestions, type HeldOutQuestion } from '../src/evaluation/questions.js';
import { reliability } from '../src/evaluation/reliability.js';
import { scoreOfPrefixes } from '../src/evaluation/subject.js';
import { formatSummary } from '../src/evaluation/table.js';
import { modelConfig, predictorSubject, streamConfig } from '../src/predictor/objective.js';
import { confidenceCharts } from '../src/reports/charts.js';
import { answersOf } from './report.js';

const of = (confidence: number | null, readRight: boolean | null) => ({ confidence, readRight });
const answers = [
  ...[of(0.95, true), of(0.95, true), of(0.95, true), of(0.95, false)],
  ...[of(0.5, true), of(0.5, false)],
  ...[of(0.02, false), of(0, false)],
  // Refused for another reason.
  ...[of(0.3, null), of(0.9, null)],
];

describe('the reliability of confidences', () => {
  const { count, ece, bins, riskCoverage } = reliability(answers)!;

  it('has the share of right answers in bins of confidence', () => {
    expect(count).toBe(8);
    expect(bins).toEqual([
      { count: 2, confidence: 0.01, right: 0 },
      { count: 2, confidence: 0.5, right: 0.5 },
      { count: 4, confidence: expect.closeTo(0.95, 12), right: 0.75 },
    ]);
  });

  it('has the expected calibration error: by how much the bins are wrong, by their answers', () => {
    expect(ece).toBeCloseTo((2 * 0.01 + 2 * 0 + 4 * 0.2) / 8, 12);
    expect(reliability([of(1, true), of(1, true)])!.ece).toBe(0);
  });

  it('has the share of wrong answers among the surest, of equals the mean, of all texts', () => {
    expect(riskCoverage.map(({ coverage }) => coverage)).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    const wrong = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4];
    riskCoverage.forEach(({ risk }, i) => expect(risk).toBeCloseTo(wrong[i]! / (i + 1), 12));
  });

  it('is none where no answer has a confidence', () => {
    expect(reliability([of(null, true)])).toBeNull();
    expect(reliability([])).toBeNull();
  });

  it('is drawn as a reliability diagram and a risk–coverage curve', () => {
    const [diagram, curve] = confidenceCharts({ count, ece, bins, riskCoverage });
    expect(diagram!.note).toContain('expected calibration error 10 %');
    expect(diagram).toMatchObject({
      x: 'confidence',
      scale: 'share',
      steps: [0, 0.01, 0.5, expect.closeTo(0.95, 12), 1],
    });
    const series = Object.fromEntries(diagram!.series.map(({ name, values }) => [name, values]));
    expect(series['right']).toEqual([null, 0, 0.5, 0.75, null]);
    expect(series['diagonal']).toEqual(diagram!.steps);
    expect(series['low']![3]).toBeLessThan(0.75);
    expect(series['high']![3]).toBeGreaterThan(0.75);
    expect(curve).toMatchObject({ x: 'coverage', scale: 'small-share' });
    expect(curve!.steps.at(-1)).toBe(0.8);
    expect(curve!.series[0]!.values.at(-1)).toBe(0.5);
  });
});

const config = parseConfig({
  tokenizer: 'words',
  model: { readout: 'decisions', depth: 3, digits: 20, nLayer: 1, nEmbd: 8, blockSize: 128 },
  data: { maxDigits: 3, maxDecimals: 1 },
});
const stream = streamConfig(config);

describe('a summary', () => {
  it('has the reliability of a model that gives confidences, where it refuses for a low one too', async () => {
    const model = new PredictorModel(modelConfig(config), { seed: 1 });
    const bias = model.parameters.get('plan.decide.bias')!;
    bias.set(new Float32Array(bias.size).map((_, i) => (i === bias.size - 1 ? 3 : i === 0 ? 2 : 0)));
    const given = await collect(answer(model, heldOutQuestions(stream, 30, 4)));
    const summary = summarize(given);
    const read = given.filter(({ readRight }) => readRight !== null);
    expect(read.length).toBeGreaterThan(0);
    expect(read.some(({ refused }) => refused !== null)).toBe(true);
    expect(summary.reliability!.count).toBe(read.length);
    expect(formatSummary(summary)).toMatch(
      /\nexpected calibration error: [\d.]+ % \(15 bins of equal width, \d+ texts\)$/,
    );
  });

  it('has none of a model that gives no confidence', async () => {
    const summary = summarize(await answersOf({ '2 * 3': '2 * 3' }));
    expect(Object.keys(summary)).not.toContain('reliability');
    expect(formatSummary(summary)).not.toContain('calibration');
  });
});

describe('the score of prefixes of words', () => {
  const questions = heldOutQuestions(stream, 12, 5);
  const partsOf = ({ ids, targets }: HeldOutQuestion) =>
    ids.map((_, t) => ({
      t,
      isWhole: targets!.completes[t] === 1,
      ...decidedText(ids.slice(0, t + 1), {
        classes: targets!.classes.slice(0, t + 1),
        nestings: targets!.nestings.slice(0, t + 1),
        completes: targets!.completes.slice(0, t + 1),
      }),
    }));
  const whole = questions.flatMap((asked) => partsOf(asked).filter(({ isWhole }) => isWhole));

  /** Reads at token t of the next text what `valueAt` says. */
  const reading = (valueAt: (value: number, t: number) => number): PrefixReader => {
    let next = 0;
    return {
      hardPlan(_, [, T], { layout } = {}): DagTensorFields {
        const values = new Float64Array(T).fill(-1);
        for (const { t, isWhole, decided, layout: own } of partsOf(questions[next++]!))
          if (isWhole) values[t] = valueAt(execute(decidedTensors(decided, own))[0]!, t);
        const D = layout!.depth;
        const rows = (width: number, of: (t: number, i: number) => number) =>
          tensor(
            Float64Array.from({ length: T * width }, (_, i) => of(Math.floor(i / width), i % width)),
            [T, width],
          );
        return {
          V_mag: rows(2 * D, (t, i) => (i === 0 ? Math.abs(values[t]!) : 0)),
          V_sign: rows(2 * D, (t, i) => (i === 0 && (values[t]! < 0 || Object.is(values[t], -0)) ? -1 : 1)),
          O: rows(2 * D * D, (_, i) =>
            Number(i % (2 * D) === (i < 2 * D ? 0 : D + Math.floor(i / (2 * D)) - 1)),
          ),
          G: rows(D, () => 1),
        };
      },
    };
  };

  it('is by the plans that the decisions write up to each token that ends a whole expression', async () => {
    expect(whole.length).toBeGreaterThan(questions.length);
    const score = await decidedPrefixScore(
      reading((value) => value),
      questions,
    );
    expect(score).toEqual({ count: whole.length, right: whole.length });
  });

  it('counts a wrong value at any of these tokens', async () => {
    const even = whole.filter(({ t }) => t % 2 === 0).length;
    const score = await decidedPrefixScore(
      reading((value, t) => (t % 2 ? value : Number.isFinite(value) ? 2 * Math.abs(value) + 1 : 0)),
      questions,
    );
    expect(score).toEqual({ count: whole.length, right: whole.length - even });
  });

  it('is there for a model of words', async () => {
    const subject = predictorSubject(new PredictorModel(modelConfig(config), { seed: 1 }), config);
    const { count, right } = (await scoreOfPrefixes(subject, questions))!;
    expect(count).toBe(whole.length);
    expect(right).toBeLessThan(count);
  });
});
