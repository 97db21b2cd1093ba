/** @jest-environment ./packages/model/test/host-arrays-environment.js */
import { describe, expect, it } from '@jest/globals';
import { execute } from '@dag/executor';
import { generateText } from '@dag/expr';
import {
  exportOnnx,
  ModelError,
  OnnxPredictor,
  PredictorModel,
  type PredictorConfig,
  type TokenizerName,
} from '../src/index.js';
import { onnxDescribe } from './onnxruntime.js';

const CASES: readonly [string, TokenizerName, Partial<PredictorConfig>][] = [
  ['decisions', 'char', {}],
  ['decisions', 'gpt2', { bias: false, nLayer: 1 }],
  ['decisions', 'char', { depth: 1, digits: 1 }],
  ['decisions', 'char', { depth: 3, digits: 30, nHead: 1 }],
  ['linear', 'char', {}],
  ['linear', 'char', { activation: 'geluTanh' }],
];

/** Weights as large as trained ones: plans that differ from text to text. */
function lively(readout: string, tokenizer: TokenizerName, other: Partial<PredictorConfig>): PredictorModel {
  const config: PredictorConfig = {
    ...{ tokenizer, readout, blockSize: 64, nLayer: 2, nHead: 2, nEmbd: 16 },
    ...{ dropout: 0.1, bias: true, depth: 5, digits: 4, ...other },
  };
  const model = new PredictorModel(config, { seed: 3 });
  for (const p of model.parameters.values()) if (p.shape.length === 2) p.set(p.dataSync().map((w) => 12 * w));
  return model;
}

const texts = Array.from({ length: 200 }, (_, index) =>
  generateText({
    seed: 2,
    index,
    depth: 4,
    maxDigits: 2,
    maxDecimals: 2,
    style: 'loose',
    negatedGroups: 0.3,
  }),
);

onnxDescribe('an exported model', () => {
  it.each(CASES)('predicts what the model does: %s, %s, %p', async (readout, tokenizer, other) => {
    const model = lively(readout, tokenizer, other);
    const readable = texts.filter((text) => model.reads(text));
    const predictor = await OnnxPredictor.load(exportOnnx(model), { threads: 1 });
    expect(predictor.config).toEqual(model.config);
    expect(readable.length).toBeGreaterThan(100);
    const seen = new Set<number>();
    for (let from = 0; from < readable.length; from += 40) {
      const some = readable.slice(from, from + 40);
      const expected = model.predictPlans(some);
      // The model has the layout that its texts need, a file that with which it was written.
      const layout = readout === 'decisions' ? { depth: expected.depth, digits: 10 } : {};
      const asked = readout === 'decisions' ? await OnnxPredictor.load(exportOnnx(model, layout)) : predictor;
      const { plans, values } = await asked.predictPlans(some);
      if (asked !== predictor) await asked.release();
      if (readout === 'linear') {
        // Regressed magnitudes differ in the last bits.
        plans.V_mag.forEach((m, i) => expect(m).toBeCloseTo(expected.V_mag[i]!, 3));
        expect({ ...plans, V_mag: [] }).toEqual({ ...expected, V_mag: [] });
      } else {
        expect(plans).toEqual(expected);
      }
      const executed = execute(plans);
      values.forEach((value, i) => {
        seen.add(value);
        const error = Math.abs(value - executed[i]!);
        if (!Object.is(value, executed[i])) expect(error).toBeLessThanOrEqual(1e-12 * Math.abs(value));
      });
    }
    expect(seen.size).toBeGreaterThan(10);
    await predictor.release();
  });

  it('predicts one text as it does among others', async () => {
    const predictor = await OnnxPredictor.load(exportOnnx(lively('decisions', 'char', {})));
    const some = ['12', '-(1 + 2) / 7 * 2.25', '2.5 * 3'];
    const { plans, values } = await predictor.predictPlans(some);
    /** What is read, also of a text that is refused. */
    const reading = (error: unknown): unknown => (error as ModelError).reading;
    for (const [i, text] of some.entries()) {
      const alone = await predictor.predictPlans([text]);
      expect(alone.values[0]).toBe(values[i]);
      expect(alone.plans.O).toEqual(plans.O.slice(i * 50, (i + 1) * 50));
      expect(await predictor.predict(text).catch(reading)).toMatchObject({ text, value: values[i] });
    }
  });

  it('refuses what the model refuses', async () => {
    const predictor = await OnnxPredictor.load(exportOnnx(lively('linear', 'char', {})));
    expect([predictor.reads(''), predictor.reads('1'), predictor.reads('1'.repeat(65))]).toEqual([
      false,
      true,
      false,
    ]);
    await expect(predictor.predict(' ')).rejects.toThrow(/the text is empty/);
    await expect(predictor.predict('1'.repeat(65))).rejects.toThrow(/65 tokens, this model reads up to 64/);
    await expect(predictor.predictPlans(new Array<string>(2))).rejects.toThrow(/texts\[0\] is not a string/);
    expect(() => predictor.wereTrained(null as never)).toThrow(ModelError);
    expect(() => predictor.wereTrained([-1])).toThrow(ModelError);
  });

  it.each<[string, Uint8Array | string, RegExp]>([
    ['a file that is not there', '/nowhere/model.onnx', /\/nowhere\/model\.onnx cannot be read: ENOENT/],
    ['no protobuf', new Uint8Array([255, 255, 255]), /not an ONNX model/],
    ['a folder', '/', /\/ cannot be read: it is a folder, no file/],
    ['another model', new Uint8Array(), /holds no model configuration; it was not written by exportOnnx/],
  ])('is not %s', async (_, file, message) => {
    const error: unknown = await OnnxPredictor.load(file).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ code: 'bad-file', message: expect.stringMatching(message) });
  });
});

describe('exportOnnx', () => {
  it('gives the same bytes for the same weights', () => {
    const model = lively('linear', 'char', {});
    expect(exportOnnx(model)).toEqual(exportOnnx(model));
  });
});
