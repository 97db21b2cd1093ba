import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import { Command } from 'commander';
import { describeConfig } from '../config/help.js';
import { defaultConfig, loadConfig } from '../config/load.js';
import { TrainError } from '../error.js';
import { formatSummary } from '../report.js';
import { trainLanguageModel } from '../language/language-model.js';
import { train } from '../predictor.js';
import type { Communicator } from '../mpi/communicator.js';
import { shareValue } from '../mpi/shares.js';
import { toJson } from './json.js';
import { leaveLastWords, onAllRanks } from './ranks.js';
import { say, warn } from './streams.js';
import { visible } from './visible.js';

export function trainCommand(): Command {
  return new Command('train')
    .description('Train a plan predictor, or a language model that calculates.')
    .argument(
      '[config]',
      'a .ts, .js, .mjs or .json file, or a built-in one by its name; left out, predictor',
    )
    .option('--json', 'print the result as one line of JSON')
    .usage('[config] [--key=value …]')
    .addHelpText(
      'after',
      `\nKeys, in brackets their values where no configuration is named:\n${describeConfig(defaultConfig())}\n`,
    )
    .allowUnknownOption()
    .allowExcessArguments()
    .action((_config: string | undefined, { json }: { json?: boolean }, command: Command) =>
      onAllRanks((communicator) => trainOn(communicator, command.args, json === true)),
    );
}

/** The part of one rank: rank 0 alone reads the configuration, and prints. */
async function trainOn(communicator: Communicator, words: readonly string[], json: boolean): Promise<void> {
  const isFirst = communicator.rank === 0;
  const { path, overrides } = readArguments(words);
  const config = await shareValue(() => loadConfig(path, overrides), communicator);
  const resume = resumeCommand([...words, ...(json ? ['--json'] : [])], communicator.size);
  const told: NodeJS.Signals[] = [];
  const callOff =
    isFirst && communicator.size > 1
      ? leaveLastWords(`dag: the run was ended; from its last checkpoint it goes on with: ${resume}`)
      : () => undefined;
  try {
    const signal = stopOnSignals((name) => {
      told.push(name);
      if (!isFirst || communicator.size === 1) return;
      // Where a rank has died the step has no end, and the launcher that sent the signal ends this process soon.
      warn(`${name}: all ranks finish their step; if they are ended before, go on with: ${resume}`);
    });
    const { step, summary, checkpoint, elapsed, waited } = await (config.kind === 'language'
      ? trainLanguageModel(config, { signal, communicator })
      : train(config, { signal, communicator }));
    if (!isFirst) return;
    const stopped = `stopped at step ${step} of ${config.maxSteps}; go on with: ${resume}`;
    if (json) {
      if (!summary) console.error(visible(stopped));
      return console.log(toJson({ step, checkpoint, elapsed, waited, summary }));
    }
    if (summary) say(formatSummary(summary));
    say(`checkpoint: ${checkpoint}`);
    if (!summary) say(stopped);
  } catch (error) {
    const [name] = told;
    // While weights arrive, or the folder of another host's run is waited for, there is no step to finish and nothing to save.
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

/** The configuration's path and the `--key=value` options among the words of a command line. */
function readArguments(words: readonly string[]): {
  path: string | undefined;
  overrides: Record<string, string>;
} {
  const overrides = new Map<string, string>();
  const paths: string[] = [];
  for (const word of words) {
    const [, key, value] = /^--([^=]+)=(.*)$/s.exec(word) ?? [];
    if (key !== undefined && value !== undefined) overrides.set(key, value);
    else if (word.startsWith('-'))
      throw new TrainError('bad-config', `${word}: options of a configuration are written --key=value`);
    else paths.push(word);
  }
  if (paths.length > 1)
    throw new TrainError('bad-config', `one configuration expected, given ${paths.join(' and ')}`);
  // Not by assignment, which loses `--__proto__=1`.
  return { path: paths[0], overrides: Object.fromEntries(overrides) };
}

/** Aborted by the first SIGINT, SIGTERM or SIGHUP, with a message; a second one ends the process at once. */
function stopOnSignals(tell: (name: NodeJS.Signals) => void): AbortSignal {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = (name: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      tell(name);
      return controller.abort();
    }
    // Not left to the system, which delivered it to this process when both came in the midst of a step.
    for (const signal of signals) process.off(signal, stop);
    process.kill(process.pid, name);
  };
  for (const signal of signals) process.on(signal, stop);
  return controller.signal;
}

/** The same command, as a shell takes it from this folder, but for where the run begins. */
function resumeCommand(words: readonly string[], ranks: number): string {
  const kept = words.filter((word) => !/^--init[-_]?from=/i.test(word));
  const launcher = ranks > 1 ? ['mpirun', '-np', ranks] : [];
  return [...launcher, ...program(), 'train', ...kept.map(quoted), '--init_from=resume'].join(' ');
}

/** By which this command can be called again: its name where a shell finds that, else npx, which finds it in this folder. */
function program(): string[] {
  const [, script = ''] = process.argv;
  const isOnPath = basename(script) === 'dag' && basename(dirname(script)) !== '.bin';
  return isOnPath ? ['dag'] : ['npx', 'dag'];
}

function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  // Control characters as the numbers of their bytes, which bash and zsh take in any locale.
  const bytes = (c: string): string => Buffer.from(c).toString('hex').replaceAll(/../g, '\\x$&');
  const shown = (c: string): string => (visible(c) === c ? c.replace(/[\\']/, '\\$&') : bytes(c));
  if (visible(word) !== word) return `$'${[...word].map(shown).join('')}'`;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
