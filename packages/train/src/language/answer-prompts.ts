import { fromText } from '@dag/expr';
import type { DagGpt } from '@dag/model';
import { answerOf, type Answer } from '../evaluation/evaluate.js';
import type { WorkedPrompt } from './worked-line.js';

/** Values and what may stand around them are shorter, in tokens. */
const MOST_TOKENS = 32;

/**
 * Goes on with each prompt by the likeliest tokens, up to the end of the line. What is written there is the value of the
 * answer, and NaN where that is no number; the plan is that of the first value which the executor wrote, if it did.
 */
export function* answerPrompts(model: DagGpt, prompts: readonly WorkedPrompt[]): Generator<Answer> {
  for (const { prompt, text, value: expected } of prompts) {
    const options = { maxNewTokens: MOST_TOKENS, temperature: 0, stop: '\n' };
    const { text: written, calculations } = model.generate(prompt, options);
    const value = written.trim() === '' ? Number.NaN : Number(written);
    yield answerOf({ text, expected, expr: fromText(text) }, calculations[0]?.tensors ?? null, value);
  }
}
