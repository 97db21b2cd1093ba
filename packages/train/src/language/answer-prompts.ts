import { fromText } from '@dag/expr';
import type { DagGpt } from '@dag/model';
import { answerOf, type Answer } from '../evaluation/evaluate.js';
import type { WorkedPrompt } from './worked-line.js';

/** Longest completion in tokens; longer than any value. */
const MOST_TOKENS = 32;

/**
 * Completes each prompt greedily up to the end of the line. The written text is the value of the answer, NaN if it is not a
 * number. The plan of the answer is that of the first value that the executor wrote, null if it wrote none.
 */
export function* answerPrompts(model: DagGpt, prompts: readonly WorkedPrompt[]): Generator<Answer> {
  for (const { prompt, text, value: expected } of prompts) {
    const options = { maxNewTokens: MOST_TOKENS, temperature: 0, stop: '\n' };
    const { text: written, calculations } = model.generate(prompt, options);
    const value = written.trim() === '' ? Number.NaN : Number(written);
    yield answerOf({ text, expected, expr: fromText(text) }, calculations[0]?.tensors ?? null, value);
  }
}
