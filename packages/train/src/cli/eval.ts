import { describe, tensorize, TensorizeError } from '@dag/tensorize';
import { Command } from 'commander';
import type { Checkpoint } from '../checkpoints/checkpoint.js';
import { checkpointConfig, checkpointState, KIND_NAMES } from '../checkpoints/state.js';
import { reportedSeed } from '../config/run.js';
import { TrainError } from '../error.js';
import { collect, summarize, type Answer, type PrefixScore, type Summary } from '../evaluation/evaluate.js';
import { beyondWords, longerNumbers, moreOperations, type Question } from '../evaluation/questions.js';
import { scoreOfPrefixes, scoresBySeen, type SeenScores } from '../evaluation/subject.js';
import { subjectOf } from '../evaluation/subject-of.js';
import { formatScores, formatSummary } from '../evaluation/table.js';
import type { StreamConfig } from '../predictor/stream.js';
import { readAnnotated } from '../language/annotated-text.js';
import { formatCalculations, type CalculationScores } from '../language/calculation-scores.js';
import { readDocuments } from '../language/calculations-file.js';
import {
  checkpointOption,
  openCheckpoint,
  openModel,
  requireRuntime,
  runtimeOption,
  type ModelOptions,
} from './checkpoint-option.js';
import { countBar, type CountBar } from './count-bar.js';
import { evaluateProblems } from './solve-problems.js';
import { toJson } from './json.js';
import { MOST_TEXTS, readQuestions } from './read-questions.js';
import { say } from './streams.js';
import { atLeast } from './whole-number.js';

interface EvalOptions extends ModelOptions {
  readonly expressions?: string;
  readonly examples?: number;
  readonly seed?: number;
  readonly failures: number;
  readonly json?: boolean;
}

export function evalCommand(): Command {
  return new Command('eval')
    .description('Measure a checkpoint on held-out expressions, or on the texts of a file.')
    .addOption(checkpointOption('reading'))
    .option(
      '--expressions <file>',
      'one per line: an expression, or a text, a tab and its expected value; of word problems also a .csv with equations, of language models ' +
        'texts with marked results as .jsonl (dag prepare)',
    )
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
    .option('--failures <n>', 'show this many wrong or refused answers, with both plans', atLeast(0), 10)
    .addOption(runtimeOption())
    .option(
      '--json',
      'print { text, expected, value, expression, ok, doubt }, one line per text, then the summary; ' +
        'of models that refuse texts also confidence, and refused with value null; ' +
        'of word problems { text, numbers, expected, value, raw, ok, confidence }',
    )
    .action(async (options: EvalOptions) => {
      const { json } = options;
      for (const chooses of ['examples', 'seed'] as const)
        if (options.expressions !== undefined && options[chooses] !== undefined)
          throw new TrainError(
            'bad-input',
            `--${chooses} chooses held-out expressions, and --expressions names others; leave one out`,
          );
      const checkpoint = await openCheckpoint(options.checkpoint);
      const config = checkpointConfig(checkpoint);
      requireRuntime(config.kind, options.runtime);
      if (options.expressions?.endsWith('.jsonl') && config.kind !== 'language')
        throw new TrainError(
          'bad-input',
          `${options.expressions} has texts with marked results, for language models, such as --checkpoint writing; this is a ${KIND_NAMES[config.kind]}`,
        );
      if (config.kind === 'problems') {
        const { expressions: file, failures } = options;
        const { examples = config.evaluation.examples, seed = reportedSeed(config.evaluation) } = options;
        return evaluateProblems(checkpoint, { file, examples, seed, failures, json: json === true });
      }
      const bar = countBar((texts) => String(texts), { quiet: json === true });
      const { answers, beyond, seen, prefixes, textLoss, calculations } = await measureCheckpoint(
        checkpoint,
        options,
        bar,
      ).finally(bar.stop);
      const summary = summarize(answers);
      const [wrong, refused] = [answers.filter(isWrong), answers.filter((a) => a.refused !== null)];
      const failures = [...wrong, ...refused];
      if (json) {
        const rest = { beyond, textLoss, calculations, seen, prefixes, failures: failures.map(bothPlans) };
        return console.log(toJson({ ...summary, ...rest }));
      }
      say(`${checkpoint.folder}${answers.length > 0 ? `\n\n${formatSummary(summary)}` : ''}`);
      if (calculations) {
        say(`\nin ${calculations.texts} texts:\n${formatCalculations(calculations)}`);
        const some = calculations.failures.slice(0, options.failures);
        if (some.length > 0) say(`\nnot as in the text (${some.length} of ${calculations.failures.length}):`);
        for (const { text, expected, written, expression } of some)
          say(
            `\n  …${text.replaceAll('\n', '\n  ')}\n  expected${expected}, ${written === null ? 'not computed' : `written${written}, of ${expression}`}`,
          );
      }
      if (prefixes)
        say(`\nprefixes that are expressions: ${prefixes.right} of ${prefixes.count} values right`);
      if (seen)
        say(
          `\nby overlap with ${seen.texts} of the ${seen.of} training texts:\n${formatScores(seen.groups)}`,
        );
      if (typeof textLoss === 'number') say(`\nloss on held-out text: ${textLoss.toFixed(4)}`);
      if (beyond && Object.keys(beyond).length) say(`\nbeyond the training stream:\n${formatScores(beyond)}`);
      const kinds = [wrong.length && 'wrong', refused.length && 'refused'].filter(Boolean).join(' or ');
      const shown = failures.slice(0, options.failures);
      if (failures.length) say(`\n${kinds} (${shown.length} of ${failures.length}):`);
      for (const a of shown) say(`\n${failure(a)}`);
    });
}

/** What is measured of a checkpoint; `beyond` of plan predictors alone, `textLoss` of language models. */
interface Results {
  readonly answers: readonly Answer[];
  /** Scores on texts beyond the training stream, by how they exceed it. */
  readonly beyond?: Readonly<Record<string, Summary>>;
  readonly textLoss?: number | null;
  readonly calculations?: CalculationScores | null;
  readonly seen: SeenScores | null;
  readonly prefixes: PrefixScore | null;
}

/** Measures held-out expressions, or those of a file; with --json prints each answer as it arrives. */
async function measureCheckpoint(
  checkpoint: Checkpoint,
  { expressions, runtime, json, ...options }: EvalOptions,
  bar: CountBar,
): Promise<Results> {
  const config = checkpointConfig(checkpoint);
  const { examples = config.evaluation.examples, seed = reportedSeed(config.evaluation) } = options;
  const subject = await subjectOf(checkpoint, () => openModel(checkpoint, runtime));
  const ask = (questions: readonly Question[], tell: (a: Answer) => void): Promise<Answer[]> => {
    let done = 0;
    bar.update(done, questions.length);
    return collect(subject.answers(questions), (a) => {
      tell(a);
      bar.update(++done, questions.length);
    });
  };
  const print = (a: Answer): void => {
    if (!json) return;
    const { text, expected, expression, ok, confidence } = a;
    const { value, ...refused } = valueOrRefusal(a);
    const judged = { ...(confidence === null ? {} : { confidence }), ...refused };
    const doubt = subject.doubt && { doubt: subject.doubt(a) };
    console.log(toJson({ text, expected, value, expression, ok, ...judged, ...doubt }));
  };
  const isPredictor = config.kind === 'predictor';
  if (expressions?.endsWith('.jsonl') && config.kind === 'language') {
    const texts = (await readDocuments(expressions)).map((text) => readAnnotated(text, config.tokenizer));
    const calculations = (await subject.calculations?.(texts)) ?? null;
    return { answers: [], textLoss: null, calculations, seen: null, prefixes: null };
  }
  if (expressions !== undefined) {
    const answers = await ask(await readQuestions(expressions), print);
    const more = isPredictor ? { beyond: {} } : { textLoss: null };
    return { answers, ...more, seen: null, prefixes: null };
  }
  const questions = subject.questions(examples, seed);
  const answers = await ask(questions, print);
  const beyond: Record<string, Summary> = {};
  for (const [name, drawn] of isPredictor ? beyondTraining(subject.stream, examples, seed) : [])
    if (drawn.length) beyond[name] = summarize(await ask(drawn, () => undefined));
  const more = subject.textLoss
    ? { textLoss: await subject.textLoss(seed), calculations: (await subject.calculations?.()) ?? null }
    : { beyond };
  const { batches } = checkpointState(checkpoint);
  const seen = scoresBySeen(subject, questions, answers, batches);
  return { answers, ...more, seen, prefixes: await scoreOfPrefixes(subject, questions) };
}

/** Questions beyond the training stream, by how they exceed it. */
function beyondTraining(stream: StreamConfig, examples: number, seed: number): [string, Question[]][] {
  if (stream.tokenizer === 'words') return Object.entries(beyondWords(stream, examples, seed));
  return [
    ['an operation more', moreOperations(stream, examples, seed)],
    ['a digit more', longerNumbers(stream, examples, seed)],
  ];
}

const isWrong = ({ ok, refused }: Answer): boolean => !ok && refused === null;

/** The value of an answer, or why there is none. */
const valueOrRefusal = ({ value, refused }: Answer): { value: number | null; refused?: string } =>
  refused === null ? { value } : { value: null, refused };

/** A wrong or refused answer with its plan and the right plan; each is null if there is none or it does not fit into the model. */
function bothPlans(answer: Answer) {
  const { text, expected, expression, plan, expr } = answer;
  return {
    ...{ text, expected, ...valueOrRefusal(answer), expression },
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
  const { text, expected, value, refused, predicted, right } = bothPlans(a);
  const indented = (plan: string | null): string =>
    (plan ?? 'none')
      .split('\n')
      .map((line) => `    ${line}`)
      .join('\n');
  const said = refused === undefined ? `predicted: ${value}` : `refused: ${refused}`;
  return `  ${text} = ${expected}\n  ${said}\n${indented(predicted)}\n  right:\n${indented(right)}`;
}
