import { Command } from 'commander';
import { evalCommand } from './eval.js';
import { exportCommand } from './export.js';
import { generateCommand } from './generate.js';
import { predictCommand } from './predict.js';
import { prepareCommand } from './prepare.js';
import { reportError } from './report-error.js';
import { reportCommand } from './report.js';
import { guardStreams } from './streams.js';
import { trainCommand } from './train.js';
import { visible } from './visible.js';
import { refuseMisspelt, sortWords } from './words.js';

const train = trainCommand();
const program = new Command('dag')
  .description('Models that read an arithmetic expression and write the program that computes it.')
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
    .configureOutput({ writeErr: (text) => process.stderr.write(visible(text)) });

guardStreams();
process.on('uncaughtException', (error) => {
  reportError(error);
  process.exit();
});

const [name, ...words] = process.argv.slice(2);
const command = program.commands.find((one) => one.name() === name);
if (command === train) refuseMisspelt(train, words);
const sorted = !command || command === train ? words : sortWords(command, words);
try {
  // Commander's own `help` says nothing of a command that it does not know.
  const [topic = 'help'] = words;
  const isKnown = ['help', ...program.commands.map((one) => one.name())].includes(topic);
  const asked = name === 'help' && !isKnown ? [topic] : [name, ...sorted];
  await program.parseAsync(name === undefined ? [] : asked, { from: 'user' });
} catch (error) {
  reportError(error);
}
