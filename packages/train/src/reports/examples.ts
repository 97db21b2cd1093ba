import { format } from '@dag/expr';
import { tensorize } from '@dag/tensorize';
import type { Answer } from '../evaluation/evaluate.js';
import type { Example } from './example-card.js';

/**
 * Chooses up to `count` answers to show, wrong ones first: up to half are wrong, more if there are too few right ones. Both
 * groups are spread over numbers of operations. Only texts that are expressions and fit into the model are chosen.
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
  const { text, value, refused, expected, expression, ok, planRight } = answer;
  const [plan, expr] = [answer.plan!, answer.expr!];
  return {
    text,
    verdict: refused !== null ? 'refused' : ok ? (planRight ? 'right' : 'value right, plan wrong') : 'wrong',
    predicted: plan,
    ...{ value, refused },
    expression,
    true: tensorize(expr, { depth: plan.depth }),
    expected,
    trueExpression: format(expr),
  };
}

/** `count` of the answers: in each round one per number of operations, largest first. */
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
