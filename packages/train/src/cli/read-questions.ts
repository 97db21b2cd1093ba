import { TrainError } from '../error.js';
import { question, type Question } from '../evaluation/questions.js';
import { readText } from '../files/utf8.js';

/** All answers are kept in memory; this many texts take about an hour. */
export const MOST_TEXTS = 1_000_000;

/** The questions in the lines of a file, as `question` reads them. @throws {TrainError} `bad-input` with the line, `io`. */
export async function readQuestions(file: string): Promise<Question[]> {
  const lines = (await readText(file)).split(/\r?\n/);
  if (lines.length > MOST_TEXTS)
    throw new TrainError('bad-input', `${file} has more than ${MOST_TEXTS} lines; split it`);
  const questions = lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [question(line)];
    } catch (error) {
      if (!(error instanceof TrainError)) throw error;
      throw new TrainError('bad-input', `${file}, line ${i + 1}: ${error.message}`, { cause: error });
    }
  });
  if (questions.length === 0) throw new TrainError('bad-input', `${file} contains no expression`);
  return questions;
}
