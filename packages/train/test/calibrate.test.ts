import { randomStream } from '@dag/expr';
import { describe, expect, it } from '@jest/globals';
import { DECISIONS, PredictorModel } from '@dag/model';
import { parseConfig } from '../src/config/config.js';
import { isotonicCalibration } from '../src/evaluation/isotonic.js';
import { foreignQuestions, heldOutQuestions } from '../src/evaluation/questions.js';
import { calibrate } from '../src/predictor/calibrate.js';
import { modelConfig, streamConfig } from '../src/predictor/objective.js';
import { predictorTask } from '../src/predictor/predictor-task.js';
import type { Checkpoint } from '../src/checkpoints/checkpoint.js';

type Judged = readonly { readonly confidence: number; readonly right: boolean }[];

/** Answers that are right less often than their confidences say. */
function overconfident(count: number, seed: number): Judged {
  const random = randomStream(seed, 0);
  return Array.from({ length: count }, () => {
    const confidence = random.below(2 ** 30) / 2 ** 30;
    return { confidence, right: random.chance(confidence ** 2) };
  });
}

/** The isotonic regression by its min–max formula (Barlow et al. 1972), and the two answers that are added. */
function minMax(answers: Judged): number[] {
  const added = [{ confidence: 0, right: true }, ...answers, { confidence: 1, right: false }];
  const right = added.sort((a, b) => a.confidence - b.confidence).map((a) => Number(a.right));
  const mean = (from: number, to: number): number =>
    right.slice(from, to + 1).reduce((sum, x) => sum + x, 0) / (to + 1 - from);
  return right.map((_, i) =>
    Math.max(
      ...right.slice(0, i + 1).map((_, a) => Math.min(...right.slice(i).map((_, b) => mean(a, i + b)))),
    ),
  );
}

describe('isotonicCalibration', () => {
  it('has the shares of the monotone map with the least squared error', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const answers = overconfident(60, seed);
      const shares = isotonicCalibration(answers, 100).map(([, right]) => right);
      const expected = [...new Set(minMax(answers).map((x) => x.toFixed(12)))];
      expect(shares.map((x) => x.toFixed(12))).toEqual(expected);
    }
  });

  it('learns by how much confidences are too high, with few knots', () => {
    const knots = isotonicCalibration(overconfident(20_000, 6));
    expect(knots.length).toBeLessThanOrEqual(16);
    expect(knots.length).toBeGreaterThan(8);
    for (const [raw, right] of knots) expect(Math.abs(right - raw ** 2)).toBeLessThan(0.05);
  });

  it('is a calibration that models accept, whatever the answers', () => {
    const config = modelConfig(parseConfig({}));
    const cases: Judged[] = [
      [],
      [{ confidence: 0.5, right: true }],
      [{ confidence: 1, right: true }, { confidence: 1, right: false }, { confidence: 0, right: true }], // prettier-ignore
      overconfident(300, 7).map((a) => ({ ...a, confidence: Math.round(4 * a.confidence) / 4 })),
      // Confidences a rounding apart.
      overconfident(300, 8).map((a) => ({ ...a, confidence: 1 - a.confidence * 2 ** -50 })),
    ];
    for (const answers of cases) {
      const calibration = isotonicCalibration(answers);
      expect(() => new PredictorModel({ ...config, calibration })).not.toThrow();
      for (const [, right] of calibration) expect(right * (1 - right)).toBeGreaterThan(0);
    }
  });
});

describe('calibrate', () => {
  const config = parseConfig({
    tokenizer: 'words',
    model: { readout: 'decisions', depth: 2, digits: 20, nLayer: 1, nEmbd: 8, blockSize: 64 },
    data: { numbers: 1, maxDigits: 3, maxDecimals: 0, foreign: 0.2 },
  });

  /** Reads every text as one number, and is less sure of longer texts. */
  function reader(): PredictorModel {
    const model = new PredictorModel(modelConfig(config), { seed: 1 });
    const bias = model.parameters.get('plan.decide.bias')!;
    const logits = new Float32Array(bias.size);
    logits[0] = logits[DECISIONS.length] = 4;
    logits[bias.size - 1] = 4;
    bias.set(logits);
    const weight = model.parameters.get('plan.decide.weight')!;
    weight.set(new Float32Array(weight.size));
    return model;
  }

  it('makes the confidence the share of right answers, of texts to be refused too', async () => {
    const model = reader();
    const made = await calibrate(model, config, { texts: 600 });
    expect(made.config).toMatchObject(model.config);
    expect(made.config.calibration!.length).toBeGreaterThan(1);
    expect(model.config.calibration).toBeUndefined();
    for (const [name, p] of made.parameters)
      expect(p.dataSync()).toEqual(model.parameters.get(name)!.dataSync());
    const stream = streamConfig(config);
    const questions = [...heldOutQuestions(stream, 400, 9), ...foreignQuestions(stream, 100, 9)];
    const { confidences, unsure, refusals, values } = made.predictTexts(questions.map(({ text }) => text));
    const read = questions.flatMap((_, i) => (refusals[i] === null || unsure[i] ? [i] : []));
    const right = read.filter((i) => values[i] === questions[i]!.expected).length;
    expect(right).toBeGreaterThan(10);
    expect(read.length - right).toBeGreaterThan(10);
    const errorOf = (of: readonly (number | null)[]): number =>
      Math.abs(read.reduce((n, i) => n + of[i]!, 0) - right) / read.length;
    expect(errorOf(confidences)).toBeLessThan(0.1);
    expect(errorOf(model.predictTexts(questions.map(({ text }) => text)).confidences)).toBeGreaterThan(0.3);
  });

  it('is an error of a model that gives no confidence', async () => {
    const other = parseConfig({ model: { readout: 'linear', nLayer: 1, nEmbd: 8 } });
    const made = calibrate(new PredictorModel(modelConfig(other)), other, { texts: 20 });
    await expect(made).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/by the readout 'linear'/),
    });
  });

  it('does not hold for the weights that training makes', async () => {
    const made = await calibrate(reader(), config, { texts: 40 });
    const checkpoint: Checkpoint = {
      ...{ folder: 'runs/x', step: 1, best: null, files: new Map([['model.safetensors', made.save()]]) },
      state: { step: 1, batches: 1, best: null, config: { ...config } },
    };
    const loaded = predictorTask(config).model(checkpoint);
    expect(loaded.config).toEqual(modelConfig(config));
    expect(loaded.parameters.get('h.0.mlp.c_fc.weight')!.dataSync()).toEqual(
      made.parameters.get('h.0.mlp.c_fc.weight')!.dataSync(),
    );
  });
});
