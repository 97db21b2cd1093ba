import { Command, InvalidArgumentError } from 'commander';
import { readFile } from 'node:fs/promises';
import { TrainError } from '../error.js';
import { answer, heldOutQuestions, question, summarize, type Answer, type Question } from '../evaluate.js';
import { formatSummary } from '../report.js';
import { checkpointConfig, loadModel, streamConfig } from '../trainer.js';
import { CHECKPOINT_OPTION, openCheckpoint } from './checkpoint-option.js';
import { toJson } from './json.js';

interface EvalOptions {
  readonly checkpoint?: string;
  readonly expressions?: string;
  readonly examples?: number;
  readonly json?: boolean;
}

export function evalCommand(): Command {
  return new Command('eval')
    .description('Measure a checkpoint on held-out expressions, or on those of a file.')
    .option(...CHECKPOINT_OPTION)
    .option('--expressions <file>', 'an expression a line, or a text, a tab and its expected value')
    .option(
      '--examples <n>',
      "held-out expressions; left out, as many as the run's configuration says",
      wholeNumber,
    )
    .option('--json', 'print { text, expected, value, expression, ok } a line for each, and last the summary')
    .action(async ({ checkpoint: path, expressions, examples, json }: EvalOptions) => {
      const checkpoint = await openCheckpoint(path);
      const config = checkpointConfig(checkpoint);
      const { evaluation } = config;
      const questions = expressions
        ? await readQuestions(expressions)
        : heldOutQuestions(streamConfig(config), examples ?? evaluation.examples, evaluation.seed);
      const answers: Answer[] = [];
      for (const a of answer(loadModel(checkpoint), questions)) {
        answers.push(a);
        const { text, expected, value, expression, ok } = a;
        if (json) console.log(toJson({ text, expected, value, expression, ok }));
      }
      const summary = summarize(answers);
      if (json) return console.log(toJson(summary));
      console.log(`${checkpoint.folder}\n\n${formatSummary(summary)}`);
      const wrong = answers.filter((a) => !a.ok);
      if (wrong.length) console.log(`\nwrong (${Math.min(wrong.length, SHOWN)} of ${wrong.length}):`);
      for (const { text, expected, expression, value } of wrong.slice(0, SHOWN))
        console.log(
          `  ${text} = ${expected}\n    read as ${expression || 'nothing that can be written'} = ${value}`,
        );
    });
}

const SHOWN = 10;

function wholeNumber(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError('a whole number from 1 is expected.');
  return n;
}

async function readQuestions(file: string): Promise<Question[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new TrainError('io', `${file} cannot be read: ${(error as Error).message}`);
  });
  const questions = text.split(/\r?\n/).flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [question(line)];
    } catch (error) {
      throw new TrainError('bad-input', `${file}, line ${i + 1}: ${(error as Error).message}`);
    }
  });
  if (questions.length === 0) throw new TrainError('bad-input', `${file} holds no expression`);
  return questions;
}
