/** @jest-environment ./packages/model/test/host-arrays-environment.js */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { execute } from '@dag/executor';
import { exportOnnx, OnnxPredictor, type PredictorModel } from '@dag/model';
import { onnxIt } from '../../model/test/onnxruntime.js';
import { readCheckpoint } from '../src/checkpoints/checkpoint.js';
import { parseConfig } from '../src/config/config.js';
import { answerAll, summarize } from '../src/evaluation/evaluate.js';
import { pretrainedCheckpoint } from '../src/checkpoints/pretrained.js';
import { heldOutQuestions, question, type Question } from '../src/evaluation/questions.js';
import { loadPretrained, streamConfig, train } from '../src/predictor/predictor-task.js';
import { configOfKind } from '../src/checkpoints/state.js';

let model: PredictorModel;
let questions: Question[];
beforeAll(async () => {
  model = await loadPretrained();
  const config = configOfKind(await pretrainedCheckpoint(), 'predictor');
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

  it.each([
    ['2^3', /the text has `\^`, which this model has never seen/],
    ['hello', /the text has `hello`, which/],
    ['5 — 3', /the text has `—`, which/],
    ['What is √16 plus 15%?', /the text has `√`, `%`, which/],
    ['12 + 5 plus', /is not understood as an expression: A number, variable or '\(' is expected/],
    ['12 34', /is not understood as an expression: An operator is missing between two numbers/],
    ['1234567890123456 + 1', /a number of 16 digits, this model reads up to 14/],
    ['1+2+3+4+5+6+7+8+9+10', /needs 10 numbers and 1 step, depth 9/],
  ])('doubts what it says of %j', (text, doubt) => {
    expect(model.predict(text).doubt).toMatch(doubt);
  });

  it.each([
    ['Evaluate 2 + 3', 5],
    ['2+3 = ?', 5],
    ['What is 2+3??', 5],
    ['one million minus 1', 999_999],
    ['1,000,000 + 1', 1_000_001],
  ])('has no doubt where it reads %j right in spite of a token that it never met', (text, value) => {
    expect(model.predict(text)).toMatchObject({ value, doubt: null });
  });

  it('doubts nothing of what it answers right, and all that it answers wrong', () => {
    for (const { text, expected } of questions.slice(0, 100)) {
      const { value, doubt } = model.predict(text);
      const isRight = Object.is(value, expected) || Math.abs(value - expected) <= 1e-6 * Math.abs(expected);
      expect([text, doubt === null]).toEqual([text, isRight]);
    }
    expect(model.doubt('2 + 3', 6)).toMatch(/the text means 5, this model reads 6/);
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
        const { V_mag, V_sign, O, G } = model.hardPlan(Int32Array.from(tokens), [1, tokens.length]);
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
        ...configOfKind(shipped, 'predictor'),
        ...{ weights: 'pretrained', outDir, maxSteps: 1, batchSize: 4, accumulate: 1 },
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
    for (const text of ['What is 2 plus 3?', '2^3', '12 34'])
      expect((await predictor.predict(text)).doubt).toBe(model.predict(text).doubt);
  });
});
