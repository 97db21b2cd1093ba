/** @jest-environment ./packages/model/test/host-arrays-environment.js */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { execute } from '@dag/executor';
import { exportOnnx, OnnxPredictor, type PredictorModel } from '@dag/model';
import { onnxIt } from '../../model/test/onnxruntime.js';
import { readCheckpoint } from '../src/checkpoint.js';
import { parseConfig } from '../src/config.js';
import { answerAll, summarize } from '../src/evaluate.js';
import { pretrainedCheckpoint } from '../src/pretrained.js';
import { heldOutQuestions, question, type Question } from '../src/questions.js';
import { loadPretrained, streamConfig, train } from '../src/predictor.js';
import { checkpointConfig } from '../src/run.js';

let model: PredictorModel;
let questions: Question[];
beforeAll(async () => {
  model = await loadPretrained();
  const config = checkpointConfig(await pretrainedCheckpoint());
  // Another seed than the one that chose the checkpoint.
  questions = heldOutQuestions(streamConfig(config), 300, 77);
});

describe('the shipped model', () => {
  it.each([
    ['2.5 * 3.0 + 1.0', 8.5],
    ['-(12 - 4.5) / 2 * (3 + 1)', -15],
    ['two point five times three', 7.5],
    ['minus one two plus open three times four close', 0],
    ['What is 123 plus 456?', 579],
    ['What is 98765 times 43210?', 98765 * 43210],
    ['what is 12 divided by 5', 2.4],
    ['12×3÷4 =', 9],
  ])('reads %j', (text, value) => {
    expect(model.predict(text).value).toBe(value);
  });

  it('answers held-out expressions right', async () => {
    const { value, plan } = summarize(await answerAll(model, questions));
    expect(value).toBeGreaterThan(0.97);
    expect(plan).toBeGreaterThan(0.97);
  });

  it('is causal: what follows a text changes nothing of its plan', () => {
    const asked = questions.slice(0, 20).map(({ text }) => model.tokenizer.encode(text));
    for (const ids of asked) {
      const half = ids.length >> 1;
      const plan = (tokens: number[], at: number): number[][] => {
        const { V_mag, V_sign, O, G } = model.plan(
          model.forward(Int32Array.from(tokens), [1, tokens.length]),
          {
            hard: true,
          },
        );
        return [V_mag, V_sign, O, G].map((field) => {
          const width = field.size / tokens.length;
          return [...field.dataSync().slice(at * width, (at + 1) * width)];
        });
      };
      const others = ids.map((id, t) => (t <= half ? id : asked[0]![t % asked[0]!.length]!));
      expect(plan(others, half)).toEqual(plan(ids, half));
    }
  });

  it('can be what a new run begins with, at step 0', async () => {
    const outDir = await mkdtemp(join(tmpdir(), 'dag-pretrained-'));
    const stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      const shipped = await pretrainedCheckpoint();
      const config = parseConfig({
        ...checkpointConfig(shipped),
        ...{ init_from: 'pretrained', outDir, maxSteps: 1, batchSize: 4, accumulate: 1 },
        evaluation: { examples: 20 },
      });
      const result = await train(config);
      expect(result).toMatchObject({ step: 1, summary: { count: 20 } });
      expect(result.summary!.value).toBeGreaterThan(0.8);
      const moved = [...result.model.parameters].filter(
        ([name, p]) => !isDeepStrictEqual(p.dataSync(), model.parameters.get(name)!.dataSync()),
      );
      expect(moved.length).toBe(model.parameters.size);
      const { files } = await readCheckpoint(result.checkpoint);
      expect([...files.keys()]).toContain('optimizer.safetensors');
    } finally {
      stderr.mockRestore();
      await rm(outDir, { recursive: true });
    }
  });

  onnxIt('is the same in onnxruntime', async () => {
    const predictor = await OnnxPredictor.load(exportOnnx(model));
    for (let from = 0; from < questions.length; from += 50) {
      const texts = questions.slice(from, from + 50).map(({ text }) => text);
      const { plans, values } = await predictor.predictPlans(texts);
      expect(plans).toEqual(model.predictPlans(texts));
      execute(plans).forEach((value, i) =>
        expect(Math.abs(values[i]! - value)).toBeLessThanOrEqual(1e-12 * Math.abs(value)),
      );
    }
    const [a] = await answerAll(predictor, [question('What is 2 plus 3?')]);
    expect(a).toMatchObject({ value: 5, exact: true, planRight: true });
  });
});
