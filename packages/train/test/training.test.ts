/** Training in memory, as in a page's worker, against training with files. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PredictorModel } from '@dag/model';
import {
  parseConfig,
  predictorSmall,
  PredictorTraining,
  type StepRecord,
  type Summary,
} from '../src/browser.js';
import { train } from '../src/predictor/predictor-task.js';
import { readMetrics } from '../src/run/metrics.js';

const config = (outDir = '') =>
  parseConfig({
    ...predictorSmall,
    ...(outDir === '' ? {} : { outDir }),
    ...{ maxSteps: 6, batchSize: 4, accumulate: 2, logEvery: 1 },
    model: { ...predictorSmall.model, dropout: 0.1 },
    evaluation: { every: 3, examples: 20 },
  });

let outDir: string;
beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'dag-training-'));
});
afterAll(() => rm(outDir, { recursive: true }));

/** Runs a training, stopped after each of the steps `stops`. */
async function runWithStops(training: PredictorTraining, stops: readonly number[]) {
  const steps: StepRecord[] = [];
  const evaluations: { step: number; summary: Summary }[] = [];
  let summary: Summary | null = null;
  for (const stop of [...stops, Infinity]) {
    const stopping = new AbortController();
    summary = await training.run({
      signal: stopping.signal,
      onStep(record) {
        steps.push(record);
        if (record.step === stop) stopping.abort();
      },
      onEvaluation: (evaluation) => evaluations.push(evaluation),
    });
  }
  return { steps, evaluations, summary };
}

describe('a training without files', () => {
  it('has the bits of one with files, however often it is stopped', async () => {
    const stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    const withFiles = await train(config(outDir)).finally(() => stderr.mockRestore());
    const { records } = await readMetrics(join(outDir, 'metrics.jsonl'));
    const [logged, scored] = [records.filter((r) => 'loss' in r), records.filter((r) => 'heldOut' in r)];
    expect(logged.length).toBe(6);
    const timeless = (record: object) => ({ ...record, stepMs: 0 });
    for (const stops of [[], [2, 5]]) {
      const training = new PredictorTraining(config());
      const { steps, evaluations, summary } = await runWithStops(training, stops);
      expect(steps.map(timeless)).toEqual(logged.map(timeless));
      expect(evaluations.map(({ step, summary: { value } }) => [step, value])).toEqual(
        scored.map(({ step, heldOut }) => [step, (heldOut as { value: number }).value]),
      );
      expect(training.step).toBe(6);
      expect(summary).toEqual(withFiles.summary);
      expect(training.model.save()).toEqual(withFiles.model.save());
    }
  });

  it('answers while it learns, and gives weights that PredictorModel.load reads', async () => {
    const training = new PredictorTraining(config());
    const before = training.model.save();
    const during: number[] = [];
    await training.run({ onStep: () => during.push(training.model.predictTexts(['1 + 2']).values[0]!) });
    expect(during.length).toBe(6);
    const bytes = training.model.save();
    expect(bytes).not.toEqual(before);
    expect(PredictorModel.load(bytes).predictTexts(['1 + 2'])).toEqual(
      training.model.predictTexts(['1 + 2']),
    );
  });

  it('takes a turn of the event loop before each step', async () => {
    const training = new PredictorTraining(config());
    const stopping = new AbortController();
    setImmediate(() => setImmediate(() => stopping.abort()));
    expect(await training.run({ signal: stopping.signal })).toBeNull();
    expect(training.step).toBeLessThan(3);
  });

  it('refuses a second run at the same time, and configurations that it cannot follow', async () => {
    const training = new PredictorTraining(config());
    const stopping = new AbortController();
    const first = training.run({ signal: stopping.signal });
    await expect(training.run()).rejects.toMatchObject({ code: 'bad-input' });
    stopping.abort();
    expect(await first).toBeNull();
    for (const other of [{ weights: 'pretrained' }, { resume: true }] as const)
      expect(() => new PredictorTraining(parseConfig({ ...predictorSmall, ...other }))).toThrow(
        expect.objectContaining({ code: 'bad-config', message: expect.stringMatching(/random weights/) }),
      );
    expect(() => new PredictorTraining(predictorSmall as never)).toThrow(
      expect.objectContaining({ code: 'bad-config' }),
    );
  });
});
