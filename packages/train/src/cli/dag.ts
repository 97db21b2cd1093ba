import { Command, CommanderError } from 'commander';
import { evalCommand } from './eval.js';
import { exportCommand } from './export.js';
import { generateCommand } from './generate.js';
import { predictCommand } from './predict.js';
import { prepareCommand } from './prepare.js';
import { messageOf } from './report-error.js';
import { reportCommand } from './report.js';
import { trainCommand } from './train.js';

const program = new Command('dag')
  .description('Models that read an arithmetic expression and write the program that computes it.')
  .addCommand(trainCommand())
  .addCommand(evalCommand())
  .addCommand(predictCommand())
  .addCommand(reportCommand())
  .addCommand(exportCommand())
  .addCommand(generateCommand())
  .addCommand(prepareCommand())
  .showHelpAfterError('(see --help)');

// A reader that has seen enough (`dag eval | head`) ends the command, not with an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  await program.parseAsync();
} catch (error) {
  const message = messageOf(error);
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else if (message !== null) {
    console.error(`dag: ${message}`);
    process.exitCode = 1;
  } else throw error;
}
