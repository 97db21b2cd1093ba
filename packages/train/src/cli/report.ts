import { Command } from 'commander';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newestRun } from '../checkpoint.js';
import { TrainError } from '../error.js';
import { runReport } from '../report-page/run-report.js';
import { atLeast } from './whole-number.js';

interface ReportCommandOptions {
  readonly out?: string;
  readonly examples: number;
}

export function reportCommand(): Command {
  return new Command('report')
    .description('Write a run as a page of HTML: charts, accuracy and example plans.')
    .argument('<run>', 'the folder of a run, or latest: the newest run in ./runs')
    .option('--out <file>', 'the file to write; left out, report.html in the folder')
    .option('--examples <n>', 'plans to draw, wrong ones first', atLeast(0), 8)
    .action(async (run: string, { out, examples }: ReportCommandOptions) => {
      const folder = run === 'latest' ? await newestRun() : run;
      const page = await runReport(folder, { examples, warn: (message) => console.error(`dag: ${message}`) });
      const file = out ?? join(folder, 'report.html');
      await writeFile(file, page).catch((error: unknown) => {
        throw new TrainError(
          'io',
          `${file} cannot be written: ${(error as Error).message}; --out names another file`,
        );
      });
      console.log(`${file}: ${(page.length / 1e3).toFixed(0)} kB`);
    });
}
