import { describe } from '@dag/tensorize';
import { ModelError } from '@dag/model';
import { problemWords, readProblem, type ProblemModel, type SolvedProblem } from '@dag/model/problems';
import type { Checkpoint } from '../checkpoints/checkpoint.js';
import { configOfKind } from '../checkpoints/state.js';
import { TrainError } from '../error.js';
import type { Question } from '../evaluation/questions.js';
import { readFolder, readProblems } from '../problems/problem-data.js';
import {
  formatProblems,
  isRight,
  solveAll,
  summarizeProblems,
  type AskedProblem,
} from '../problems/problem-scores.js';
import { askedProblems, loadProblemModel } from '../problems/problems-task.js';
import { toJson } from './json.js';
import { readQuestions } from './read-questions.js';
import { say, warn } from './streams.js';

/** Options of `dag eval` for a model of word problems. */
export interface ProblemsAsked {
  /** Texts with their values or CSV, instead of the `dev.csv` beside the training problems. */
  readonly file?: string | undefined;
  readonly examples: number;
  readonly seed: number;
  readonly failures: number;
  readonly json: boolean;
}

/** Measures a model on problems that it was not trained on, and prints how many it solves. */
export async function evaluateProblems(checkpoint: Checkpoint, asked: ProblemsAsked): Promise<void> {
  const model = loadProblemModel(checkpoint);
  const answers = (await solveAll(model, await problemsFor(checkpoint, asked))).map((answer) => ({
    ...answer,
    ok: answer.solved !== null && isRight(answer.solved.value, answer.problem.answer),
    refused: model.refusalOf(answer.problem),
  }));
  if (asked.json)
    for (const { problem, solved, ok, refused } of answers) {
      const { text, numbers, answer: expected } = problem;
      const { value = null, raw = null, confidence = null } = solved ?? {};
      const why = refused === null ? {} : { refused };
      console.log(toJson({ text, numbers, expected, value, raw, ok, confidence, ...why }));
    }
  const summary = summarizeProblems(answers);
  if (asked.json) return console.log(toJson(summary));
  say(`${checkpoint.folder}\n\n${formatProblems(summary)}`);
  const wrong = answers.filter(({ ok }) => !ok);
  if (wrong.length > 0 && asked.failures > 0)
    say(`\nwrong or refused (${Math.min(wrong.length, asked.failures)} of ${wrong.length}):`);
  for (const { problem, solved, refused } of wrong.slice(0, asked.failures)) {
    const said = solved === null ? `refused: ${refused}` : `answered ${solved.value}`;
    say(`\n  ${withNumbers(problem)}\n  ${said}, right is ${problem.answer}`);
  }
}

async function problemsFor(
  checkpoint: Checkpoint,
  { file, examples, seed }: ProblemsAsked,
): Promise<AskedProblem[]> {
  if (file !== undefined)
    return /\.csv$/i.test(file) ? readProblems(file) : (await readQuestions(file)).map(inWords);
  const { problems } = configOfKind(checkpoint, 'problems').data;
  if (problems === '') return askedProblems([], examples, seed);
  const { dev } = await readFolder(problems);
  if (dev.length > 0) return dev;
  throw new TrainError(
    'bad-input',
    `${problems} has no dev.csv; name problems to ask with --expressions FILE`,
  );
}

/** A line of a file: a problem in words, with its value. */
function inWords({ text, expected }: Question): AskedProblem {
  const { text: marked, numbers } = readProblem(text);
  return { text, numbers, words: problemWords(marked), term: null, answer: expected };
}

const withNumbers = ({ text, numbers }: AskedProblem): string =>
  text.replace(/number(\d+)/g, (placeholder, index: string) => String(numbers[Number(index)] ?? placeholder));

function solve(model: ProblemModel, text: string): SolvedProblem | { readonly refused: string } {
  try {
    return model.predict(text);
  } catch (error) {
    if (error instanceof ModelError && error.code === 'unreadable') return { refused: error.message };
    throw error;
  }
}

/** How `dag predict` shows the answer to a problem. */
export interface Shown {
  readonly json: boolean;
  /** The folder of the checkpoint. */
  readonly checkpoint: string;
  /** With its plan, and the numbers that it reads and leaves out; else in one line. */
  readonly plan: boolean;
}

/** Prints the answer to a problem, or why it is refused. Returns whether there is an answer. */
export function showSolved(model: ProblemModel, text: string, { json, checkpoint, plan }: Shown): boolean {
  const solved = solve(model, text);
  if ('refused' in solved) {
    const { refused } = solved;
    if (json) console.log(toJson({ text, value: null, refused, confidence: null }));
    else warn(refused);
    return false;
  }
  const { expression, value, raw, confidence, numbers } = solved;
  if (json) {
    const { depth, V_mag, V_sign, O, G } = solved.tensors;
    const tensors = { depth, V_mag: [...V_mag], V_sign: [...V_sign], O: [...O], G: [...G] };
    console.log(toJson({ text, value, raw, expression, confidence, numbers, tensors, checkpoint }));
    return true;
  }
  say(`${expression} = ${value}   (${sure(confidence)})`);
  if (!plan) return true;
  const named = (isUsed: boolean): string =>
    numbers
      .filter((number) => number.isUsed === isUsed)
      .map(({ begin, end }) => text.slice(begin, end))
      .join(', ');
  const unused = named(false);
  say(`reads ${named(true) || 'none of the numbers'}${unused ? `; leaves out ${unused}` : ''}`);
  say(`\n${describe(solved.tensors)}`);
  return true;
}

/** "99.9 % sure". Never 100: no model is. */
export const sure = (confidence: number): string =>
  `${Math.min(99.9, Math.floor(1000 * confidence) / 10).toFixed(1)} % sure`;
