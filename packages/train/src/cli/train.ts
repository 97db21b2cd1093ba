import { statSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import { Command } from 'commander';
import { findCheckpoint, isCheckpointFolder, newestRun } from '../checkpoints/checkpoint.js';
import { checkpointConfig } from '../checkpoints/state.js';
import type { TrainConfig } from '../config/config.js';
import { foldKey } from '../config/fields.js';
import { describeConfig } from '../config/help.js';
import { CONFIG_NAMES, defaultConfig, isConfigName, loadConfig, withOptions } from '../config/load.js';
import { TrainError } from '../error.js';
import { formatSummary } from '../evaluation/table.js';
import { trainLanguageModel } from '../language/language-task.js';
import type { Communicator } from '../mpi/communicator.js';
import { shareValue } from '../mpi/shares.js';
import { train } from '../predictor/predictor-task.js';
import { formatProblems } from '../problems/problem-scores.js';
import { trainProblems } from '../problems/problems-task.js';
import type { TrainOptions } from '../run/loop.js';
import { toJson } from './json.js';
import { leaveLastWords, onAllRanks } from './ranks.js';
import { say, warn } from './streams.js';
import { visible } from './visible.js';

export function trainCommand(): Command {
  return new Command('train')
    .description('Train a plan predictor, a language model that calculates, or a model of word problems.')
    .argument(
      '[config]',
      `a .ts, .js, .mjs or .json file, or the name of a built-in one: ${CONFIG_NAMES.join(', ')} (default: predictor)`,
    )
    .option('--json', 'print the result as one line of JSON')
    .usage('[config] [--key=value …]\n       dag train --resume <run> [--key=value …]')
    .addHelpText(
      'after',
      `\nKeys, with the values of the default configuration in brackets:\n${describeConfig(defaultConfig())}\n`,
    )
    .allowUnknownOption()
    .allowExcessArguments()
    .action((_config: string | undefined, { json }: { json?: boolean }, command: Command) =>
      onAllRanks((communicator) => trainOn(communicator, command.args, json === true)),
    );
}

/** What each rank runs; only rank 0 reads the configuration and prints. */
async function trainOn(communicator: Communicator, words: readonly string[], json: boolean): Promise<void> {
  const isFirst = communicator.rank === 0;
  const config = await shareValue(() => configOf(readArguments(words)), communicator);
  const resume = resumeCommand(config.outDir, json, communicator.size);
  const received: NodeJS.Signals[] = [];
  const callOff =
    isFirst && communicator.size > 1
      ? leaveLastWords(`dag: the run was ended; resume it from its last checkpoint with: ${resume}`)
      : () => undefined;
  try {
    const signal = stopOnSignals((name) => {
      received.push(name);
      if (!isFirst || communicator.size === 1) return;
      // If a rank has died, the step never ends, and the launcher that sent the signal soon kills this process.
      warn(`${name}: all ranks finish their step; if they are killed before, resume with: ${resume}`);
    });
    const { step, summary, checkpoint, elapsed, waited } = await trainKind(config, { signal, communicator });
    if (!isFirst) return;
    const stopped = `stopped at step ${step} of ${config.maxSteps}; resume with: ${resume}`;
    if (json) {
      if (!summary) console.error(visible(stopped));
      return console.log(toJson({ step, checkpoint, elapsed, waited, summary }));
    }
    if (summary) say('raw' in summary ? formatProblems(summary) : formatSummary(summary));
    say(`checkpoint: ${checkpoint}`);
    if (!summary) say(stopped);
  } catch (error) {
    const [name] = received;
    // While weights are downloaded, or this run waits for another host's lock, there is no step to finish and nothing to save.
    if (
      name === undefined ||
      communicator.size > 1 ||
      !(error instanceof Error && error.name === 'AbortError')
    )
      throw error;
    warn(`stopped by ${name} before the first step; nothing was changed`);
    process.exitCode = 128 + constants.signals[name];
  } finally {
    callOff();
  }
}

/** Trains a model of the kind that the configuration says. */
function trainKind(config: TrainConfig, options: TrainOptions) {
  if (config.kind === 'problems') return trainProblems(config, options);
  return config.kind === 'language' ? trainLanguageModel(config, options) : train(config, options);
}

interface TrainArguments {
  readonly path: string | undefined;
  /** The folder of a run to resume with its saved configuration. */
  readonly run: string | undefined;
  readonly overrides: Readonly<Record<string, string>>;
}

async function configOf({ path, run, overrides }: TrainArguments): Promise<TrainConfig> {
  if (run === undefined) return loadConfig(path, overrides);
  const weights = Object.keys(overrides).find((key) => ['weights', 'initfrom'].includes(foldKey(key)));
  if (weights !== undefined)
    throw new TrainError(
      'bad-config',
      `--resume continues with the weights of ${run}; to begin a new run with --${weights}=${overrides[weights]}, leave out --resume`,
    );
  if (isCheckpointFolder(run)) {
    const of = dirname(dirname(run));
    throw new TrainError(
      'bad-config',
      `${run} is a checkpoint, --resume takes a run: --resume ${of} continues from its last checkpoint, --resume=best ${of} from its best; ` +
        `--weights=${run} begins a new run with the weights of this checkpoint`,
    );
  }
  const folder = run === 'latest' ? await newestRun(undefined, warn) : run;
  const which = overrides['resume'] === 'best' ? 'best' : 'latest';
  // Damaged checkpoints are reported when the run starts, so not here.
  const checkpoint = await findCheckpoint(folder, which, () => undefined);
  const input = { ...checkpointConfig(checkpoint), outDir: folder, resume: true };
  return withOptions(input, overrides, checkpoint.folder);
}

/** The configuration's path and the options, `--key=value` or `--key value`, among the words of a command line. */
function readArguments(words: readonly string[]): TrainArguments {
  const overrides = new Map<string, string>();
  const paths: string[] = [];
  let run: string | undefined;
  const resume = (value: string): void => {
    if (['true', 'false', 'best'].includes(value)) overrides.set('resume', value);
    else run = value;
  };
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const [, key, given] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (key === undefined) {
      if (word.startsWith('-'))
        throw new TrainError('bad-config', `${word}: options are written --key=value`);
      paths.push(word);
      continue;
    }
    const next = words[i + 1];
    const follows = next !== undefined && !next.startsWith('--');
    if (key === 'resume') {
      // `--resume` without a value resumes the run of the configuration, which may be the next word.
      const value = given ?? (follows && !isConfigName(next) ? words[++i]! : 'true');
      resume(value);
    } else if (given !== undefined) overrides.set(key, given);
    else if (follows) overrides.set(key, words[++i]!);
    else throw new TrainError('bad-config', `${word} has no value; options are written --key=value`);
  }
  // `--resume=best runs/predictor`: the word after it is the run.
  const [path = ''] = paths;
  if (['true', 'best'].includes(overrides.get('resume') ?? '') && !isConfigName(path) && isFolder(path))
    run ??= paths.shift();
  const configurations = [...paths, ...(run === undefined ? [] : [`the run ${run}`])];
  if (configurations.length > 1)
    throw new TrainError('bad-config', `one configuration expected, given ${configurations.join(' and ')}`);
  // Not `object[key] = value`, which would drop the key of `--__proto__=1`.
  return { path: paths[0], run, overrides: Object.fromEntries(overrides) };
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** A signal that the first SIGINT, SIGTERM or SIGHUP aborts, after calling `tell`; a second one ends the process at once. */
function stopOnSignals(tell: (name: NodeJS.Signals) => void): AbortSignal {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = (name: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      tell(name);
      return controller.abort();
    }
    // If both signals arrived during one step, the system has already delivered the second: end the process here.
    for (const signal of signals) process.off(signal, stop);
    process.kill(process.pid, name);
  };
  for (const signal of signals) process.on(signal, stop);
  return controller.signal;
}

/** The shell command that resumes a run from the current folder. */
function resumeCommand(outDir: string, json: boolean, ranks: number): string {
  const launcher = ranks > 1 ? ['mpirun', '-np', ranks] : [];
  const words = [...launcher, ...program(), 'train', '--resume', quoted(outDir), ...(json ? ['--json'] : [])];
  return words.join(' ');
}

/** How to call this program again: `dag` if it is on the path, else `npx @dag/train`: `dag` on npm is another package. */
function program(): string[] {
  const [, script = ''] = process.argv;
  const isOnPath = basename(script) === 'dag' && basename(dirname(script)) !== '.bin';
  return isOnPath ? ['dag'] : ['npx', '@dag/train'];
}

function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  // Control characters as byte escapes in $'…', which bash and zsh read in any locale.
  const bytes = (c: string): string => Buffer.from(c).toString('hex').replaceAll(/../g, '\\x$&');
  const shown = (c: string): string => (visible(c) === c ? c.replace(/[\\']/, '\\$&') : bytes(c));
  if (visible(word) !== word) return `$'${[...word].map(shown).join('')}'`;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
