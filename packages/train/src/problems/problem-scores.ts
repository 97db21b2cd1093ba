import { stepsOf, type ProblemModel, type Solved } from '@dag/model/problems';
import { requireArguments } from '../arguments.js';
import { interval } from '../evaluation/evaluate.js';
import { percent } from '../evaluation/table.js';
import { nextTurn } from '../next-turn.js';
import type { KnownProblem } from './problem-data.js';

/** A problem that is asked: its equation may be unknown. */
export type AskedProblem = Omit<KnownProblem, 'term'> & { readonly term: KnownProblem['term'] | null };

/** A problem with what a model makes of it; null where the model refuses it. */
export interface SolvedKnown {
  readonly problem: AskedProblem;
  readonly solved: Solved | null;
}

/** Share of right answers, with its 95 % interval. */
export interface Share {
  readonly count: number;
  readonly right: number;
  readonly share: number;
  readonly interval: readonly [number, number];
}

/** How many problems a model solves. */
export interface ProblemSummary {
  readonly count: number;
  /** Of the plan that is the most probable one by the text alone. */
  readonly raw: Share;
  /** Of the answer with number evidence. */
  readonly value: Share;
  /** Of the half of the answers with number evidence of which the model is surest. */
  readonly half: Share;
  /** `raw` by number of operations, of problems whose equation is known. */
  readonly byOperations: Readonly<Record<string, Share>>;
  /** `raw` of problems of one operation, by that operation. */
  readonly byOperator: Readonly<Record<string, Share>>;
  /** Right answers with number evidence among those of which the model is surest, at each tenth of all. */
  readonly coverage: readonly { readonly coverage: number; readonly right: number }[];
}

/** Problems that are solved at once. */
const BATCH = 64;
/** Answers are given to four decimals, or so many digits. */
const TOLERANCE = 1e-4;
/** Whether an answer is that of a problem. */
export const isRight = (value: number, answer: number): boolean =>
  // Any number would be within a relative tolerance of an infinite answer.
  Object.is(value, answer) ||
  (Number.isFinite(answer) && Math.abs(value - answer) <= TOLERANCE * Math.max(1, Math.abs(answer)));

/** Calls `read` with groups of problems of as many numbers each, of those that a model reads. */
export async function inGroups<P extends AskedProblem>(
  model: ProblemModel,
  problems: readonly P[],
  read: (group: readonly P[]) => void,
): Promise<void> {
  const byNumbers = new Map<number, P[]>();
  for (const problem of problems) {
    const n = problem.numbers.length;
    if (model.refusalOf(problem) === null) byNumbers.set(n, [...(byNumbers.get(n) ?? []), problem]);
  }
  for (const group of byNumbers.values()) {
    // Little padding.
    const sorted = [...group].sort((a, b) => a.words.length - b.words.length);
    for (let from = 0; from < sorted.length; from += BATCH) {
      await nextTurn();
      read(sorted.slice(from, from + BATCH));
    }
  }
}

/** Solves problems, in their order. */
export async function solveAll(
  model: ProblemModel,
  problems: readonly AskedProblem[],
): Promise<SolvedKnown[]> {
  requireArguments('solveAll', {
    model: [model, { solve: 'a function' }],
    problems: [problems, ['an object']],
  });
  const solved = new Map<AskedProblem, Solved>();
  await inGroups(model, problems, (group) =>
    model.solve(group).forEach((one, i) => solved.set(group[i]!, one)),
  );
  return problems.map((problem) => ({ problem, solved: solved.get(problem) ?? null }));
}

const shareOf = (rights: readonly boolean[]): Share => {
  const right = rights.filter(Boolean).length;
  const share = rights.length === 0 ? 0 : right / rights.length;
  return { count: rights.length, right, share, interval: interval(share, rights.length) };
};

/** Summarises answers. */
export function summarizeProblems(answers: readonly SolvedKnown[]): ProblemSummary {
  requireArguments('summarizeProblems', { answers: [answers, [{ problem: 'an object' }]] });
  const judged = answers.map(({ problem, solved }) => ({
    operators: operatorsOf(problem),
    raw: solved !== null && isRight(solved.raw, problem.answer),
    value: solved !== null && isRight(solved.value, problem.answer),
    confidence: solved?.confidence ?? 0,
  }));
  const sure = [...judged].sort((a, b) => b.confidence - a.confidence).map(({ value }) => value);
  const groups = (of: (one: (typeof judged)[number]) => string | null): Record<string, Share> => {
    const names = [...new Set(judged.map(of))].filter((name) => name !== null).sort();
    return Object.fromEntries(
      names.map((name) => [name, shareOf(judged.filter((one) => of(one) === name).map(({ raw }) => raw))]),
    );
  };
  return {
    count: answers.length,
    raw: shareOf(judged.map(({ raw }) => raw)),
    value: shareOf(judged.map(({ value }) => value)),
    half: shareOf(sure.slice(0, Math.floor(sure.length / 2))),
    byOperations: groups(({ operators }) => operators && String(operators.length)),
    byOperator: groups(({ operators }) => (operators?.length === 1 ? operators[0]! : null)),
    coverage: Array.from({ length: 10 }, (_, i) => {
      const coverage = (i + 1) / 10;
      return { coverage, right: shareOf(sure.slice(0, Math.ceil(coverage * sure.length))).share };
    }),
  };
}

/** The operations of a problem's plan, if it is known: a step of k operands has k − 1, each named by how its later operand takes part. */
function operatorsOf({ term }: AskedProblem): string[] | null {
  if (term === null) return null;
  return stepsOf(term).flatMap(({ kind, terms }) => {
    const signs = terms.map(([, coefficient]) => coefficient).sort((a, b) => b - a);
    const [up, down] = kind === 'sum' ? ['+', '−'] : ['×', '÷'];
    return signs.slice(1).map((sign) => (sign > 0 ? up : down));
  });
}

/** The summary as a table. */
export function formatProblems(summary: ProblemSummary): string {
  const line = (name: string, { count, right, share, interval: [low, high] }: Share): string =>
    `${name.padEnd(26)}${percent(share).padStart(8)}  (${percent(low)} – ${percent(high)})  ${right} of ${count}`;
  const lines = [
    line('by the text alone', summary.raw),
    line('with number evidence', summary.value),
    line('the surer half of these', summary.half),
    '',
    ...Object.entries(summary.byOperations).map(([n, share]) =>
      line(`${n} operation${n === '1' ? '' : 's'}`, share),
    ),
    ...Object.entries(summary.byOperator).map(([operator, share]) => line(`one ${operator}`, share)),
  ];
  return lines.join('\n');
}
