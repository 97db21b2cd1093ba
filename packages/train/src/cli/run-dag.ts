import { Command, CommanderError } from 'commander';
import { createRequire } from 'node:module';
import { evalCommand } from './eval.js';
import { exportCommand } from './export.js';
import { generateCommand } from './generate.js';
import { predictCommand } from './predict.js';
import { prepareCommand } from './prepare.js';
import { reportError } from './report-error.js';
import { reportCommand } from './report.js';
import { trainCommand } from './train.js';
import { visible } from './visible.js';
import { refuseMisspelt, sortWords } from './words.js';

const { version } = createRequire(import.meta.url)('@dag/train/package.json') as { version: string };

/** Runs a command line, `['predict', '2 + 3']`. Writes errors to stderr and sets `process.exitCode`. */
export async function runDag([name, ...words]: readonly string[]): Promise<void> {
  const train = trainCommand();
  const program = new Command('dag')
    .version(version, '-V, --version', 'print the version')
    .description(
      'Train and use models that read an arithmetic expression and write the program that computes it.',
    )
    .addCommand(train)
    .addCommand(evalCommand())
    .addCommand(predictCommand())
    .addCommand(reportCommand())
    .addCommand(exportCommand())
    .addCommand(generateCommand())
    .addCommand(prepareCommand());
  for (const command of [program, ...program.commands])
    command
      .showHelpAfterError('(see --help)')
      .configureOutput({ writeErr: (text) => process.stderr.write(visible(text)) })
      .exitOverride();
  const command = program.commands.find((one) => one.name() === name);
  try {
    if (command === train) refuseMisspelt(train, words);
    const sorted = !command || command === train ? words : sortWords(command, words);
    // Commander's own `help` prints nothing for an unknown command.
    const [topic = 'help'] = words;
    const isKnown = ['help', ...program.commands.map((one) => one.name())].includes(topic);
    const asked = name === 'help' && !isKnown ? [topic] : [name, ...sorted];
    await program.parseAsync(name === undefined ? [] : asked, { from: 'user' });
  } catch (error) {
    // Commander has already printed its own errors and help.
    if (error instanceof CommanderError) process.exitCode = error.exitCode;
    else reportError(error);
  }
}
