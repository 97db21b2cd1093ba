import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ModelError } from '@dag/model';
import {
  problemWords,
  readEquation,
  stepsOf,
  valueOf,
  type Term,
  type WordProblem,
} from '@dag/model/problems';
import { parse } from 'csv-parse/sync';
import { requireArguments } from '../arguments.js';
import { TrainError } from '../error.js';
import { readText } from '../files/utf8.js';

/** A word problem with its answer. */
export interface KnownProblem extends WordProblem {
  /** The text, with `number0`, `number1` … in the places of its numbers. */
  readonly text: string;
  readonly term: Term;
  readonly answer: number;
}

/** A problem of a text with `number0` …, its numbers, and its equation in prefix form. @throws {ModelError} `bad-input` for another equation. */
export function knownProblem(
  text: string,
  numbers: readonly number[],
  equation: readonly string[],
  answer?: number,
): KnownProblem {
  const term = readEquation(withoutRepeats(equation, numbers));
  return {
    ...{ text, numbers, term, words: problemWords(text) },
    answer: answer ?? valueOf(stepsOf(term), numbers),
  };
}

/** Where an equation has a number twice and the text has that number at another place, too, which the equation does not name, that one is meant. */
function withoutRepeats(equation: readonly string[], numbers: readonly number[]): string[] {
  const named = new Set(equation);
  const seen = new Set<string>();
  return equation.map((token) => {
    const index = /^number(\d+)$/.exec(token)?.[1];
    if (index === undefined) return token;
    const other = numbers.findIndex(
      (value, i) => value === numbers[Number(index)] && !named.has(`number${i}`) && !seen.has(`number${i}`),
    );
    const meant = seen.has(token) && other >= 0 ? `number${other}` : token;
    seen.add(meant);
    return meant;
  });
}

const COLUMNS = ['Question', 'Numbers', 'Equation', 'Answer'] as const;

/**
 * Reads problems in the format of the sets of MAWPS, ASDiv-A and SVAMP that their authors publish together: CSV with the columns `Question`, with
 * `number0` … in it, `Numbers`, `Equation` in prefix form, and `Answer`.
 *
 * @throws {TrainError} `bad-input` with file and line for anything else, `io` where the file cannot be read.
 */
export async function readProblems(file: string): Promise<KnownProblem[]> {
  requireArguments('readProblems', { file: [file, 'a string'] });
  const text = await readText(file);
  let rows: Record<string, string>[];
  try {
    rows = parse(text, { columns: true, skip_empty_lines: true, bom: true });
  } catch (error) {
    throw new TrainError('bad-input', `${file} is no CSV: ${(error as Error).message}`, { cause: error });
  }
  const missing = COLUMNS.filter((column) => rows.length > 0 && !Object.hasOwn(rows[0]!, column));
  if (rows.length === 0 || missing.length > 0)
    throw new TrainError(
      'bad-input',
      rows.length === 0 ? `${file} has no problems` : `${file} has no column ${missing.join(', ')}`,
    );
  return rows.map((row, i) => {
    const [question, ofNumbers, equation, answer] = COLUMNS.map((column) => row[column]!.trim()) as [
      string,
      string,
      string,
      string,
    ];
    const numbers = ofNumbers === '' ? [] : ofNumbers.split(/\s+/).map(Number);
    const value = Number(answer);
    try {
      if (![...numbers, value].every(Number.isFinite))
        throw new ModelError('bad-input', `'${ofNumbers}' or '${answer}' is no number`);
      return knownProblem(question, numbers, equation.split(/\s+/), value);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      throw new TrainError('bad-input', `${file}, problem ${i + 1}: ${error.message}`, { cause: error });
    }
  });
}

/** The problems of a folder: `train.csv`, and `dev.csv`, of which nothing is trained, where it is there. @throws {TrainError} as `readProblems`. */
export async function readFolder(folder: string): Promise<{ train: KnownProblem[]; dev: KnownProblem[] }> {
  const [train, dev] = [join(folder, 'train.csv'), join(folder, 'dev.csv')];
  if (!existsSync(train))
    throw new TrainError(
      'bad-input',
      `${folder} has no train.csv; a folder with train.csv and dev.csv is expected`,
    );
  return { train: await readProblems(train), dev: existsSync(dev) ? await readProblems(dev) : [] };
}
