import { execute } from '@dag/executor';
import type { PredictedPlans } from '@dag/model';
import { tensorizeAll } from '@dag/tensorize';
import { answerAll, summarize, type Answer } from '../src/evaluation/evaluate.js';
import type { MetricsRecord } from '../src/run/metrics.js';
import { question } from '../src/evaluation/questions.js';
import { chartsOf } from '../src/reports/charts.js';
import { chooseExamples } from '../src/reports/examples.js';
import type { Report } from '../src/reports/page.js';
import { tilesOf } from '../src/reports/tiles.js';

/** The name of a run that would like to be more than text. */
export const NAME = `<img src=x onerror="globalThis.hacked=1"> & '</script>'`;

/** 120 logged steps of a loss of 1/step, and an evaluation every 40. */
export const RECORDS: MetricsRecord[] = Array.from({ length: 120 }, (_, i) => i + 1).flatMap((step) => {
  const logged = { step, loss: 1 / step, digits: 0.5 / step, count: 0.25 / step };
  const line = { ...logged, lr: 1e-3 * (1 - step / 240), gradNorm: 3 / Math.sqrt(step), stepMs: 20 };
  if (step % 40 !== 0) return [line];
  const value = step / 160;
  const byOperations = { 1: { count: 60, value: 1 }, 2: { count: 40, value: step / 200 } };
  return [line, { step, heldOut: { value, exact: value, plan: value / 2, byOperations } }];
});

/** What a model answers that reads the texts on the right where it is asked those on the left. */
export function answersOf(read: Readonly<Record<string, string>>, depth = 4): Promise<Answer[]> {
  const predictTexts = (texts: readonly string[]): PredictedPlans => {
    const plans = tensorizeAll(
      texts.map((text) => read[text]!),
      { depth },
    );
    const nothing = texts.map(() => null);
    const unsure = texts.map(() => false);
    return { plans, values: execute(plans), confidences: nothing, refusals: nothing, unsure };
  };
  return answerAll({ reads: () => true, predictTexts }, Object.keys(read).map(question));
}

/** A report with a wrong and a right example. */
export async function exampleReport(): Promise<Report> {
  const answers = await answersOf({ '2 * 3 + 1': '2 * 3 - 1', '8 / (5 - 6)': '8 / (5 - 6)' });
  return {
    name: NAME,
    tiles: tilesOf(RECORDS, {
      maxSteps: 200,
      savedStep: 0,
      perStep: { count: 32, unit: 'texts' },
      parameters: 1234,
    }),
    charts: chartsOf(RECORDS, { count: 32, unit: 'texts' }),
    checkpoint: { folder: 'runs/<b>/checkpoints/step-00000120', step: 120 },
    evaluation: {
      summary: summarize(answers),
      seen: {
        'skeleton seen': summarize(answers.slice(0, 1)),
        'skeleton not seen': summarize(answers.slice(1)),
      },
      prefixes: { count: 1234, right: 1201 },
      examples: chooseExamples(answers, 2),
    },
    config: { name: NAME, maxSteps: 200 },
    damaged: 0,
    written: new Date('2026-01-02T03:04:05Z'),
  };
}
