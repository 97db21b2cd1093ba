import type { TokenizerName } from '@dag/model';
import { SingleBar } from 'cli-progress';
import { Command, InvalidArgumentError, Option } from 'commander';
import { prepareText } from '../language/prepare.js';
import { toJson } from './json.js';

interface Options {
  readonly out: string;
  readonly tokenizer: TokenizerName;
  readonly val: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function prepareCommand(): Command {
  return new Command('prepare')
    .description('Turn text files into token files for the training of language models.')
    .argument('<paths...>', 'text files in UTF-8, and folders of .txt and .md files')
    .requiredOption('--out <dir>', 'the folder for train.bin, val.bin and meta.json')
    .addOption(
      new Option('--tokenizer <name>', 'what ids stand for').choices(['gpt2', 'char']).default('gpt2'),
    )
    .option('--val <share>', 'share of the text, its end, that is held out in val.bin', shareOf, 0.1)
    .option('--force', 'replace token files that the folder has')
    .option('--json', 'print { out, tokenizer, vocabSize, tokens, unknown, files } as one line of JSON')
    .action(async (inputs: string[], { out, tokenizer, val, force = false, json }: Options) => {
      const bar = progressBar();
      const prepared = await prepareText({
        ...{ inputs, out, tokenizer, val, force },
        onProgress: (done, total) => bar.update(done, total),
      }).finally(() => bar.stop());
      if (json) return console.log(toJson({ out, ...prepared }));
      const { tokens, unknown, files } = prepared;
      console.log(
        `${out}: ${grouped(tokens.train)} tokens in train.bin, ${grouped(tokens.val)} in val.bin, of ` +
          (files.length === 1 ? '1 file' : `${grouped(files.length)} files`),
      );
      if (unknown > 0) console.log(`${grouped(unknown)} characters are not among the tokenizer's`);
    });
}

const shareOf = (text: string): number => {
  const share = Number(text);
  if (share > 0 && share < 1) return share;
  throw new InvalidArgumentError('a number above 0 and below 1 is expected.');
};

const grouped = (count: number): string => count.toLocaleString('en-US');

/** The megabytes that are read, on a terminal; elsewhere nothing, as the result says it all. */
function progressBar(): { update(done: number, total: number): void; stop(): void } {
  const bar = new SingleBar({
    stream: process.stderr,
    barsize: 24,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    format: '{bar} {percentage}%  {megabytes} MB  eta {eta_formatted}',
  });
  let started = false;
  return {
    update(done, total) {
      if (!process.stderr.isTTY) return;
      const megabytes = `${(done / 1e6).toFixed(1)}/${(total / 1e6).toFixed(1)}`;
      if (started) bar.update(done, { megabytes });
      else bar.start(total, done, { megabytes });
      started = true;
    },
    stop: () => bar.stop(),
  };
}
