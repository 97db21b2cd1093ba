import type { DagGpt } from '@dag/model';
import { LANGUAGE_MODEL, requireArguments } from '../arguments.js';
import { answerOf, type Answer } from '../evaluation/evaluate.js';
import type { Question } from '../evaluation/questions.js';
import { nextTurn } from '../next-turn.js';
import { promptOf, type WorkedPrompt } from './worked-line.js';

/** Longest completion in tokens; longer than any value. */
const MOST_TOKENS = 32;

/** The number with which a text begins, and what it stands before: a currency sign. */
const NUMBER = /^\s*[$€£¥]?\s*([-−]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?)/;

/**
 * Completes the prompt of each question greedily up to the end of the line. The number that is written first is the value of the answer, NaN
 * if the text does not begin with one. The plan of the answer is that of the first value that the executor wrote, null if it wrote none.
 */
export async function* answerPrompts(
  model: DagGpt,
  questions: readonly (Question | WorkedPrompt)[],
): AsyncGenerator<Answer> {
  requireArguments('answerPrompts', {
    model: [model, LANGUAGE_MODEL],
    questions: [questions, ['an object']],
  });
  for (const question of questions) {
    // A closed output and signals are noticed only between two turns of the event loop.
    await nextTurn();
    const prompt = 'prompt' in question ? question.prompt : promptOf(question);
    const options = { maxNewTokens: MOST_TOKENS, temperature: 0, stop: '\n' };
    const { text: written, calculations } = model.generate(prompt, options);
    const [, digits] = NUMBER.exec(written) ?? [];
    const value = digits === undefined ? Number.NaN : Number(digits.replaceAll(',', '').replace('−', '-'));
    yield answerOf(question, calculations[0]?.tensors ?? null, value);
  }
}
