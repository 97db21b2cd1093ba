import { Command, InvalidArgumentError, Option } from 'commander';
import { prepareText, type PrepareOptions } from '../language/prepare.js';
import { countBar } from './count-bar.js';
import { toJson } from './json.js';
import { say } from './streams.js';

type Options = Omit<PrepareOptions, 'inputs' | 'onProgress'> & { readonly json?: boolean };

export function prepareCommand(): Command {
  return new Command('prepare')
    .description('Turn text files into token files for training language models.')
    .argument('[paths...]', 'text files in UTF-8, and folders of .txt and .md files')
    .option(
      '--calculations <file>',
      'JSON lines { question, answer } or { text } in which results are marked: 48 / 2 = <<48/2=24>>24',
    )
    .requiredOption('--out <dir>', 'the folder for train.bin, val.bin and meta.json')
    .addOption(
      new Option('--tokenizer <name>', "GPT-2's tokens, or characters")
        .choices(['gpt2', 'char'])
        .default('gpt2'),
    )
    .option('--val <share>', 'share of the text, from its end, that is held out in val.bin', shareOf, 0.1)
    .option('--force', 'replace existing token files in the folder')
    .option(
      '--json',
      'print { out, tokenizer, vocabSize, tokens, sha256, unknown, files, calculations } as JSON',
    )
    .action(async (inputs: string[], { json, ...options }: Options) => {
      const { out } = options;
      const bar = countBar((bytes) => `${(bytes / 1e6).toFixed(1)} MB`);
      const prepared = await prepareText({ ...options, inputs, onProgress: bar.update }).finally(bar.stop);
      if (json) return console.log(toJson({ out, ...prepared }));
      const { tokens, unknown, files } = prepared;
      say(
        `${out}: ${grouped(tokens.train)} tokens in train.bin, ${grouped(tokens.val)} in val.bin, of ` +
          (files.length === 1 ? '1 file' : `${grouped(files.length)} files`),
      );
      if (prepared.calculations) {
        const { train, val } = prepared.calculations;
        const others = train.others + val.others;
        say(
          `${grouped(train.read + val.read)} results whose calculation stands before them, and ${grouped(others)} others`,
        );
      }
      if (unknown > 0) say(`${grouped(unknown)} characters are not in the tokenizer's vocabulary`);
    });
}

const shareOf = (text: string): number => {
  const share = Number(text);
  if (share > 0 && share < 1) return share;
  throw new InvalidArgumentError('a number above 0 and below 1 is expected.');
};

const grouped = (count: number): string => count.toLocaleString('en-US');
