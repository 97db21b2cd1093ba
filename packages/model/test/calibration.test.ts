/** @jest-environment ./packages/model/test/host-arrays-environment.js */
import { describe, expect, it } from '@jest/globals';
import { scope } from '@dag/executor';
import {
  DECISIONS,
  exportOnnx,
  NESTING,
  OnnxPredictor,
  PredictorModel,
  type Calibration,
  type PredictorConfig,
} from '../src/index.js';
import { calibrated } from '../src/calibration.js';
import { onnxIt } from './onnxruntime.js';

const CONFIG: PredictorConfig = {
  ...{ blockSize: 64, nLayer: 1, nHead: 2, nEmbd: 16, dropout: 0, bias: true, convolution: 3 },
  ...{ tokenizer: 'words', readout: 'decisions', depth: 2, digits: 20 },
};
/** Logits of the classes that are chosen; those of all others are 0. */
const LOGITS = { decision: 7, nesting: 6, complete: 5 };
const shareOf = (logit: number, classes: number): number => 1 / (1 + (classes - 1) * Math.exp(-logit));
const [DECIDES, NESTS, COMPLETE] = [
  shareOf(LOGITS.decision, DECISIONS.length),
  shareOf(LOGITS.nesting, NESTING.length),
  shareOf(LOGITS.complete, 2),
];

/** Reads every text as one number, with the same probabilities at every token. */
function reader(calibration?: Calibration): PredictorModel {
  const model = new PredictorModel(calibration ? { ...CONFIG, calibration } : CONFIG, { seed: 1 });
  const bias = model.parameters.get('plan.decide.bias')!;
  const logits = new Float32Array(bias.size);
  logits[0] = LOGITS.decision;
  logits[DECISIONS.length] = LOGITS.nesting;
  logits[bias.size - 1] = LOGITS.complete;
  bias.set(logits);
  const weight = model.parameters.get('plan.decide.weight')!;
  weight.set(new Float32Array(weight.size));
  return model;
}

const [DIGITS, TOKENS] = ['123456789', 4];
const productOf = (tokens: number): number => (DECIDES * NESTS) ** tokens * COMPLETE;

/** The confidence at every token of a text, before calibration. */
function confidencesOf(model: PredictorModel, text: string): number[] {
  const ids = model.tokenizer.encode(model.tokenizer.read(text));
  return scope(() => [...model.hardPlan(Int32Array.from(ids), [1, ids.length]).confidence!.dataSync()]);
}

describe('the confidence of decisions', () => {
  it('is the product of the probabilities of the chosen classes up to each token, and of a whole text', () => {
    const found = confidencesOf(reader(), DIGITS);
    expect(found).toHaveLength(TOKENS);
    found.forEach((confidence, t) => expect(confidence).toBeCloseTo(productOf(t + 1), 12));
    expect(reader().predictTexts([DIGITS]).confidences[0]).toBeCloseTo(productOf(TOKENS), 12);
  });

  it('is 0 within parentheses, where no text is whole', () => {
    const text = '( ( 7 ) ) )';
    const expected = [0, 0, 0, 0, productOf(5), productOf(6)];
    confidencesOf(reader(), text).forEach((c, t) => expect(c).toBeCloseTo(expected[t]!, 12));
    const { confidences } = reader().predictPrefixes(text);
    confidences!.forEach((c, t) => expect(c).toBeCloseTo(expected[t]!, 12));
    expect(reader().predictTexts(['( 7', '( 7 )']).refusals).toEqual([
      'the text is not whole: a parenthesis is not closed',
      null,
    ]);
  });

  it.each([['|3|'], ['||3||'], ['(|3|)'], ['|(|3|)|']])('lets bars that pair pass: %j', (text) => {
    expect(reader().predictTexts([text]).refusals).toEqual([null]);
  });

  it.each([['|3'], ['3|'], ['||3|'], ['(|3)|'], ['|(3|)']])('refuses bars that do not pair: %j', (text) => {
    expect(reader().predictTexts([text]).refusals).toEqual([
      'the text is not whole: a bar of |x| has no partner',
    ]);
  });

  it('stays above 0 in long texts', () => {
    const found = confidencesOf(reader(), '7 '.repeat(60).trim());
    expect(found).toHaveLength(60);
    expect(found.at(-1)! / productOf(60)).toBeCloseTo(1, 9);
  });

  onnxIt('is the same in onnxruntime, with the same calibration', async () => {
    const model = new PredictorModel(
      { ...CONFIG, calibration: [[0, 0.2], [0.5, 0.7], [1, 0.9]] }, // prettier-ignore
      { seed: 2 },
    );
    const predictor = await OnnxPredictor.load(exportOnnx(model), { threads: 1 });
    expect(predictor.config).toEqual(model.config);
    const texts = ['2 + 3', 'the sum of 4 and 5.25', '7', 'what is 12 times ( 3 - 8 ) ?', '( 7'];
    for (const [one, other] of [
      [model, predictor],
      [reader([[0, 0.1], [0.99, 0.98]]), await OnnxPredictor.load(exportOnnx(reader([[0, 0.1], [0.99, 0.98]])))], // prettier-ignore
    ] as const) {
      const [native, onnx] = [one.predictTexts(texts), await other.predictTexts(texts)];
      expect(onnx.unsure).toEqual(native.unsure);
      expect(onnx.refusals).toEqual(native.refusals);
      native.confidences.forEach((c, i) => {
        if (c === 0) expect(onnx.confidences[i]).toBe(0);
        else expect(onnx.confidences[i]! / c!).toBeCloseTo(1, 4);
      });
    }
  });
});

describe('a calibration', () => {
  const knots: Calibration = [
    [0.2, 0.1],
    [0.6, 0.5],
    [0.8, 0.9],
  ];

  it.each([
    [0, 0.1],
    [0.2, 0.1],
    [0.4, 0.3],
    [0.6, 0.5],
    [0.75, 0.8],
    [0.8, 0.9],
    [1, 0.9],
    [Number.NaN, 0.1],
  ])('is linear between its knots and constant outside of them: %d is %d', (raw, right) => {
    expect(calibrated(raw, knots)).toBeCloseTo(right, 12);
  });

  it('is what texts are refused by', () => {
    const raw = productOf(TOKENS);
    expect(raw).toBeGreaterThan(0.5);
    const { confidences, refusals, unsure } = reader([
      [raw - 0.01, 0.3],
      [raw + 0.01, 0.5],
    ]).predictTexts([DIGITS, '1', 'hello']);
    expect(confidences[0]).toBeCloseTo(0.4, 6);
    expect(refusals[0]).toMatch(/not clear how to read the text \(confidence 0\.40\)/);
    expect(confidences[1]).toBe(0.5);
    expect(refusals[1]).toBeNull();
    expect(refusals[2]).toMatch(/no number/);
    expect(unsure).toEqual([true, false, false]);
  });

  it('is saved with the weights', () => {
    const model = reader(knots);
    const loaded = PredictorModel.load(model.save());
    expect(loaded.config).toEqual({ ...CONFIG, calibration: knots });
    expect(loaded.predictTexts([DIGITS])).toEqual(model.predictTexts([DIGITS]));
    expect(PredictorModel.load(reader().save()).config).toEqual(CONFIG);
  });

  it.each([
    ['none', /knots such as .* given 'none'/],
    [null, /given null/],
    [[], /knots such as/],
    [[0.1, 0.2], /knot 0 of calibration is two numbers from 0 to 1, given 0.1/],
    [[[0, 0.1], [0.5, 1.5]], /knot 1 .* given \[0.5, 1.5\]/], // prettier-ignore
    [[[0, 0.1, 0.2]], /knot 0 .* given \[0, 0.1, 0.2\]/],
    [[[0, Number.NaN]], /knot 0/],
    [[[0, '1']], /knot 0/],
    [Array(2), /knot 0 .* given undefined/],
    [[[0.5, 0.1], [0.5, 0.2]], /increase: \[0.5, 0.2\] comes after \[0.5, 0.1\]/], // prettier-ignore
    [[[0.5, 0.2], [0.6, 0.1]], /increase/], // prettier-ignore
  ])('that is no monotone map is an error: %j', (calibration, message) => {
    const config = { ...CONFIG, calibration } as unknown as PredictorConfig;
    expect(() => new PredictorModel(config)).toThrow(
      expect.objectContaining({ code: 'bad-config', message: expect.stringMatching(message) }),
    );
  });
});
