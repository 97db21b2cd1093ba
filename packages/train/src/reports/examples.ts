import { format } from '@dag/expr';
import { tensorize } from '@dag/tensorize';
import type { Answer } from '../evaluation/evaluate.js';
import type { Example } from './example-card.js';

/**
 * Up to `count` answers to show, those that went wrong first: up to half of them, more where there are too few right
 * ones. Of either, different numbers of operations. Only of texts that fit into the model and are expressions.
 */
export function chooseExamples(answers: readonly Answer[], count: number): Example[] {
  const comparable = answers.filter(({ plan, expr }) => plan !== null && expr !== null);
  const isRight = ({ ok, planRight }: Answer): boolean => ok && planRight === true;
  const wrong = comparable.filter((answer) => !isRight(answer));
  const right = comparable.filter(isRight);
  const wrongCount = Math.min(wrong.length, Math.max(Math.ceil(count / 2), count - right.length));
  return [...spread(wrong, wrongCount), ...spread(right, count - wrongCount)].map(exampleOf);
}

function exampleOf(answer: Answer): Example {
  const { text, value, expected, expression, ok, planRight } = answer;
  const [plan, expr] = [answer.plan!, answer.expr!];
  return {
    text,
    verdict: ok ? (planRight ? 'right' : 'value right, plan wrong') : 'wrong',
    predicted: plan,
    value,
    expression,
    true: tensorize(expr, { depth: plan.depth }),
    expected,
    trueExpression: format(expr),
  };
}

/** `count` of the answers, in turn one of each number of operations, from the most on. */
function spread(answers: readonly Answer[], count: number): Answer[] {
  const seen = new Map<number, number>();
  const turns = answers.map((answer) => {
    const operations = answer.operations ?? 0;
    const turn = seen.get(operations) ?? 0;
    seen.set(operations, turn + 1);
    return { answer, turn, operations };
  });
  return turns
    .sort((a, b) => a.turn - b.turn || b.operations - a.operations)
    .slice(0, count)
    .map(({ answer }) => answer);
}
