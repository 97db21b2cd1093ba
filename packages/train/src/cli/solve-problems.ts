import { describe } from '@dag/tensorize';
import type { ProblemModel, SolvedProblem } from '@dag/model/problems';
import type { Checkpoint } from '../checkpoints/checkpoint.js';
import { configOfKind } from '../checkpoints/state.js';
import { TrainError } from '../error.js';
import { readFolder, readProblems, type KnownProblem } from '../problems/problem-data.js';
import { formatProblems, isRight, solveAll, summarizeProblems } from '../problems/problem-scores.js';
import { askedProblems, loadProblemModel } from '../problems/problems-task.js';
import { toJson } from './json.js';
import { say } from './streams.js';

/** Options of `dag eval` for a model of word problems. */
export interface ProblemsAsked {
  /** CSV, instead of the `dev.csv` beside the training problems. */
  readonly file?: string | undefined;
  readonly examples: number;
  readonly seed: number;
  readonly failures: number;
  readonly json: boolean;
}

/** Measures a model on problems that it was not trained on, and prints how many it solves. */
export async function evaluateProblems(checkpoint: Checkpoint, asked: ProblemsAsked): Promise<void> {
  const model = loadProblemModel(checkpoint);
  const problems = await problemsFor(checkpoint, asked);
  const answers = await solveAll(model, problems);
  if (asked.json)
    for (const { problem, solved } of answers) {
      const { text, numbers, answer } = problem;
      const { value = null, raw = null, confidence = null } = solved ?? {};
      console.log(toJson({ text, numbers, expected: answer, value, raw, confidence }));
    }
  const summary = summarizeProblems(answers);
  if (asked.json) return console.log(toJson(summary));
  say(`${checkpoint.folder}\n\n${formatProblems(summary)}`);
  const wrong = answers.filter(
    ({ problem, solved }) => solved === null || !isRight(solved.value, problem.answer),
  );
  if (wrong.length > 0 && asked.failures > 0)
    say(`\nwrong (${Math.min(wrong.length, asked.failures)} of ${wrong.length}):`);
  for (const { problem, solved } of wrong.slice(0, asked.failures))
    say(`\n  ${withNumbers(problem)}\n  answered ${solved?.value ?? 'nothing'}, right is ${problem.answer}`);
}

async function problemsFor(
  checkpoint: Checkpoint,
  { file, examples, seed }: ProblemsAsked,
): Promise<KnownProblem[]> {
  if (file !== undefined) return readProblems(file);
  const { problems } = configOfKind(checkpoint, 'problems').data;
  if (problems === '') return askedProblems([], examples, seed);
  const { dev } = await readFolder(problems);
  if (dev.length > 0) return dev;
  throw new TrainError(
    'bad-input',
    `${problems} has no dev.csv; name problems to ask with --expressions FILE.csv`,
  );
}

const withNumbers = ({ text, numbers }: KnownProblem): string =>
  text.replace(/number(\d+)/g, (placeholder, index: string) => String(numbers[Number(index)] ?? placeholder));

/** Prints the answer to a problem: its plan, and the numbers that the plan reads and leaves out. */
export function showSolved(model: ProblemModel, text: string, json: boolean, checkpoint: string): void {
  const solved = model.predict(text);
  if (json) return console.log(inJson(solved, checkpoint));
  const named = (isUsed: boolean): string =>
    solved.numbers
      .filter((number) => number.isUsed === isUsed)
      .map(({ begin, end }) => text.slice(begin, end))
      .join(', ');
  const unused = named(false);
  say(`${solved.expression} = ${solved.value}   (${sure(solved.confidence)})`);
  say(`reads ${named(true) || 'none of the numbers'}${unused ? `; leaves out ${unused}` : ''}`);
  say(`\n${describe(solved.tensors)}`);
}

function inJson(solved: SolvedProblem, checkpoint: string): string {
  const { depth, V_mag, V_sign, O, G } = solved.tensors;
  const tensors = { depth, V_mag: [...V_mag], V_sign: [...V_sign], O: [...O], G: [...G] };
  return toJson({ ...solved, tensors, checkpoint });
}

/** "99.9 % sure". Never 100: no model is. */
export const sure = (confidence: number): string =>
  `${Math.min(99.9, Math.floor(1000 * confidence) / 10).toFixed(1)} % sure`;
