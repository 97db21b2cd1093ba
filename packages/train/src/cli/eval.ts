import { describe, tensorize, TensorizeError } from '@dag/tensorize';
import { PredictorModel } from '@dag/model';
import { Command } from 'commander';
import { setImmediate } from 'node:timers/promises';
import type { Checkpoint } from '../checkpoints/checkpoint.js';
import { checkpointConfig, checkpointState } from '../checkpoints/state.js';
import type { LanguageTrainConfig } from '../config/language.js';
import type { PredictorTrainConfig } from '../config/predictor.js';
import { reportedSeed } from '../config/run.js';
import { TrainError } from '../error.js';
import {
  answerAll,
  prefixScore,
  summarize,
  type Answer,
  type PrefixScore,
  type Summary,
} from '../evaluation/evaluate.js';
import {
  heldOutQuestions,
  longerNumbers,
  moreOperations,
  question,
  type Question,
} from '../evaluation/questions.js';
import { bySeen, seenInTraining } from '../evaluation/seen-in-training.js';
import { formatScores, formatSummary } from '../evaluation/table.js';
import { readText } from '../files/utf8.js';
import { answerPrompts } from '../language/answer-prompts.js';
import { heldOutTextLoss, languageStreamConfig, loadLanguageModel } from '../language/language-task.js';
import { promptOf, workedPrompts } from '../language/worked-line.js';
import { streamConfig } from '../predictor/predictor-task.js';
import {
  CHECKPOINT_OPTION,
  openCheckpoint,
  openModel,
  runtimeOption,
  type ModelOptions,
} from './checkpoint-option.js';
import { countBar, type CountBar } from './count-bar.js';
import { toJson } from './json.js';
import { say } from './streams.js';
import { atLeast } from './whole-number.js';

interface EvalOptions extends ModelOptions {
  readonly expressions?: string;
  readonly examples?: number;
  readonly seed?: number;
  readonly failures: number;
  readonly json?: boolean;
}

/** All answers are kept in memory; this many texts take about an hour. */
const MOST_TEXTS = 1_000_000;

export function evalCommand(): Command {
  return new Command('eval')
    .description('Measure a checkpoint on held-out expressions, or on the texts of a file.')
    .option(...CHECKPOINT_OPTION)
    .option('--expressions <file>', 'one per line: an expression, or a text, a tab and its expected value')
    .option(
      '--examples <n>',
      "number of held-out expressions (default: evaluation.examples of the run's configuration)",
      atLeast(1, MOST_TEXTS),
    )
    .option(
      '--seed <n>',
      'seed of the held-out expressions (default: one on which no checkpoint was selected)',
      atLeast(0, 2 ** 32 - 1),
    )
    .option('--failures <n>', 'show this many wrong answers, with both plans', atLeast(0), 10)
    .addOption(runtimeOption())
    .option(
      '--json',
      'print { text, expected, value, expression, ok, doubt }, one line per text, then the summary',
    )
    .action(async (options: EvalOptions) => {
      const { json } = options;
      const checkpoint = await openCheckpoint(options.checkpoint);
      const config = checkpointConfig(checkpoint);
      const print = (a: Answer, more: { readonly doubt?: string | null } = {}): void => {
        const { text, expected, value, expression, ok } = a;
        if (json) console.log(toJson({ text, expected, value, expression, ok, ...more }));
      };
      const bar = countBar((texts) => String(texts), { quiet: json === true });
      const { answers, beyond, seen, prefixes, textLoss } = await (
        config.kind === 'language'
          ? measureLanguageModel(checkpoint, config, options, { print, bar })
          : measurePredictor(checkpoint, config, options, { print, bar })
      ).finally(bar.stop);
      const summary = summarize(answers);
      const wrong = answers.filter((a) => !a.ok);
      const rest = {
        ...(config.kind === 'language' ? { textLoss } : { beyond, seen, prefixes }),
        failures: wrong.map(bothPlans),
      };
      if (json) return console.log(toJson({ ...summary, ...rest }));
      say(`${checkpoint.folder}\n\n${formatSummary(summary)}`);
      if (prefixes)
        say(`\nprefixes that are expressions: ${prefixes.right} of ${prefixes.count} values right`);
      if (seen)
        say(
          `\nby overlap with ${seen.texts} of the ${seen.of} training texts:\n${formatScores(seen.groups)}`,
        );
      if (textLoss !== null) say(`\nloss on held-out text: ${textLoss.toFixed(4)}`);
      if (Object.keys(beyond).length) say(`\nbeyond the training stream:\n${formatScores(beyond)}`);
      if (wrong.length) say(`\nwrong (${Math.min(wrong.length, options.failures)} of ${wrong.length}):`);
      for (const a of wrong.slice(0, options.failures)) say(`\n${failure(a)}`);
    });
}

interface Measured {
  readonly answers: readonly Answer[];
  /** Scores on texts beyond the training stream, by how they exceed it. */
  readonly beyond: Readonly<Record<string, Summary>>;
  /** Held-out texts grouped by their overlap with the first `texts` of `of` training texts. */
  readonly seen: {
    readonly texts: number;
    readonly of: number;
    readonly groups: Readonly<Record<string, Summary>>;
  } | null;
  readonly prefixes: PrefixScore | null;
  readonly textLoss: number | null;
}

const NOTHING_MORE = { beyond: {}, seen: null, prefixes: null, textLoss: null } as const;

/** Shows each answer as it arrives, and how many have arrived. */
interface Telling {
  readonly print: (a: Answer, more?: { readonly doubt: string | null }) => void;
  readonly bar: CountBar;
}

async function measurePredictor(
  checkpoint: Checkpoint,
  config: PredictorTrainConfig,
  { expressions, runtime, examples = config.evaluation.examples, ...options }: EvalOptions,
  { print, bar }: Telling,
): Promise<Measured> {
  const stream = streamConfig(config);
  const { seed = reportedSeed(config.evaluation) } = options;
  const model = await openModel(checkpoint, runtime);
  const heldOut = expressions === undefined ? heldOutQuestions(stream, examples, seed) : [];
  const questions = expressions === undefined ? heldOut : await readQuestions(expressions);
  const ask = (asked: readonly Question[], tell: (a: Answer) => void): Promise<Answer[]> => {
    let done = 0;
    bar.update(done, asked.length);
    return answerAll(model, asked, (a) => {
      tell(a);
      bar.update(++done, asked.length);
    });
  };
  const answers = await ask(questions, (a) => print(a, { doubt: doubtOf(a, model) }));
  if (expressions !== undefined) return { ...NOTHING_MORE, answers };
  const beyond: Record<string, Summary> = {};
  for (const [name, draw] of Object.entries(BEYOND)) {
    const drawn = draw(stream, examples, seed);
    if (drawn.length) beyond[name] = summarize(await ask(drawn, () => undefined));
  }
  const taken = checkpointState(checkpoint).batches * config.batchSize;
  const seen = seenInTraining(stream, taken, heldOut);
  const texts = heldOut.map(({ text }) => text);
  return {
    ...{ answers, beyond, textLoss: null },
    seen: { texts: seen.texts, of: seen.of, groups: bySeen(answers, seen) },
    prefixes: model instanceof PredictorModel ? await prefixScore(model, stream, texts) : null,
  };
}

/** Why an answer may be wrong; see `PredictorModel.doubt`. */
function doubtOf({ text, value, plan }: Answer, model: Pick<PredictorModel, 'doubt'>): string | null {
  return plan === null ? 'the text is empty or too long for this model' : model.doubt(text, value);
}

async function measureLanguageModel(
  checkpoint: Checkpoint,
  config: LanguageTrainConfig,
  { expressions, runtime, examples = config.evaluation.examples, ...options }: EvalOptions,
  { print, bar }: Telling,
): Promise<Measured> {
  if (runtime !== 'native')
    throw new TrainError('bad-input', `--runtime ${runtime} runs plan predictors; this is a language model`);
  const model = loadLanguageModel(checkpoint);
  const { seed = reportedSeed(config.evaluation) } = options;
  const prompts =
    expressions === undefined
      ? workedPrompts(languageStreamConfig(config), examples, seed)
      : (await readQuestions(expressions)).map(promptOf);
  const answers: Answer[] = [];
  bar.update(0, prompts.length);
  for (const a of answerPrompts(model, prompts)) {
    answers.push(a);
    print(a);
    bar.update(answers.length, prompts.length);
    // Node reports a closed stdout only between two turns of the event loop.
    await setImmediate();
  }
  const textLoss = expressions === undefined ? heldOutTextLoss(model, config, seed) : null;
  return { ...NOTHING_MORE, answers, textLoss };
}

const BEYOND = { 'an operation more': moreOperations, 'a digit more': longerNumbers };

/** A wrong answer with its plan and the right plan; each is null if there is none or it does not fit into the model. */
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
