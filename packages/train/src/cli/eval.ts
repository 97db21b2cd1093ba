import { describe, tensorize, TensorizeError } from '@dag/tensorize';
import { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { TrainError } from '../error.js';
import { answerAll, summarize, type Answer, type Summary } from '../evaluate.js';
import { heldOutQuestions, longerNumbers, moreOperations, question, type Question } from '../questions.js';
import { formatScores, formatSummary } from '../report.js';
import { streamConfig } from '../predictor.js';
import { checkpointConfig } from '../trainer.js';
import {
  CHECKPOINT_OPTION,
  openCheckpoint,
  openModel,
  runtimeOption,
  type ModelOptions,
} from './checkpoint-option.js';
import { toJson } from './json.js';
import { atLeast } from './whole-number.js';

interface EvalOptions extends ModelOptions {
  readonly expressions?: string;
  readonly examples?: number;
  readonly failures: number;
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
      atLeast(1),
    )
    .option('--failures <n>', 'show this many wrong answers, with both plans', atLeast(0), 10)
    .addOption(runtimeOption())
    .option('--json', 'print { text, expected, value, expression, ok } a line for each, and last the summary')
    .action(async (options: EvalOptions) => {
      const { expressions, json } = options;
      const checkpoint = await openCheckpoint(options.checkpoint);
      const config = checkpointConfig(checkpoint);
      const stream = streamConfig(config);
      const { examples, seed } = config.evaluation;
      const count = options.examples ?? examples;
      const model = await openModel(checkpoint, options.runtime);
      const questions = expressions
        ? await readQuestions(expressions)
        : heldOutQuestions(stream, count, seed);
      const answers = await answerAll(model, questions, (a) => {
        const { text, expected, value, expression, ok } = a;
        if (json) console.log(toJson({ text, expected, value, expression, ok }));
      });
      const beyond: Record<string, Summary> = {};
      if (!expressions)
        for (const [name, draw] of Object.entries(BEYOND)) {
          const drawn = draw(stream, count, seed);
          if (drawn.length) beyond[name] = summarize(await answerAll(model, drawn));
        }
      const summary = summarize(answers);
      const wrong = answers.filter((a) => !a.ok);
      if (json) return console.log(toJson({ ...summary, beyond, failures: wrong.map(bothPlans) }));
      console.log(`${checkpoint.folder}\n\n${formatSummary(summary)}`);
      if (Object.keys(beyond).length)
        console.log(`\nbeyond what it was trained on:\n${formatScores(beyond)}`);
      if (wrong.length)
        console.log(`\nwrong (${Math.min(wrong.length, options.failures)} of ${wrong.length}):`);
      for (const a of wrong.slice(0, options.failures)) console.log(`\n${failure(a)}`);
    });
}

const BEYOND = { 'an operation more': moreOperations, 'a digit more': longerNumbers };

/** A wrong answer with its plan and the right one; null where there is none, or none that fits into the model. */
function bothPlans({ text, expected, value, expression, plan, expr }: Answer) {
  return {
    ...{ text, expected, value, expression },
    predicted: plan && describe(plan),
    right: plan && expr && rightPlan(expr, plan.depth),
  };
}

function rightPlan(expr: Parameters<typeof tensorize>[0], depth: number): string | null {
  try {
    return describe(tensorize(expr, { depth }));
  } catch (error) {
    if (error instanceof TensorizeError) return null;
    throw error;
  }
}

function failure(a: Answer): string {
  const { text, expected, value, predicted, right } = bothPlans(a);
  const indented = (plan: string | null): string =>
    (plan ?? 'none')
      .split('\n')
      .map((line) => `    ${line}`)
      .join('\n');
  return `  ${text} = ${expected}\n  predicted: ${value}\n${indented(predicted)}\n  right:\n${indented(right)}`;
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
