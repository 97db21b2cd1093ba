import { Command } from 'commander';
import { join } from 'node:path';
import { newestRun, refuseStored } from '../checkpoints/checkpoint.js';
import { isShipped } from '../checkpoints/pretrained.js';
import { TrainError } from '../error.js';
import { writeWhole } from '../files/whole-file.js';
import { runReport } from '../reports/run-report.js';
import { say, warn } from './streams.js';
import { atLeast } from './whole-number.js';

export function reportCommand(): Command {
  return new Command('report')
    .description('Write an HTML page about a run: charts, accuracy and example plans.')
    .argument('<run>', 'the folder of a run, or latest: the newest run in ./runs')
    .option('--out <file>', 'the file to write (default: report.html in the folder)')
    .option('--examples <n>', 'number of plans to draw, wrong ones first', atLeast(0), 8)
    .action(async (run: string, { out, examples }: { out?: string; examples: number }) => {
      if (isShipped(run))
        throw new TrainError(
          'bad-input',
          `${run} is a shipped model, which has no metrics to report; the folder of that name is ./${run}`,
        );
      const folder = run === 'latest' ? await newestRun(undefined, warn) : run;
      const file = out ?? join(folder, 'report.html');
      await refuseStored(file, folder);
      const page = await runReport(folder, { examples, warn });
      await writeWhole(file, page).catch((error: unknown) => {
        if (!(error instanceof TrainError)) throw error;
        throw new TrainError('io', `${error.message}; --out names another file`, { cause: error });
      });
      say(`${file}: ${(page.length / 1e3).toFixed(0)} kB`);
    });
}
