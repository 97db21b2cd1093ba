import type { GenerateTextOptions } from '@dag/model';
import { Command, InvalidArgumentError } from 'commander';
import { loadLanguageModel } from '../language/language-task.js';
import { checkpointOption, openCheckpoint } from './checkpoint-option.js';
import { toJson } from './json.js';
import { say } from './streams.js';

interface GenerateOptions extends GenerateTextOptions {
  readonly checkpoint: string;
  readonly json?: boolean;
}

export function generateCommand(): Command {
  return new Command('generate')
    .description('Continue a text with a language model; values are computed by the executor.')
    .argument('<prompt>', 'the text, e.g. "12.5 * 4 = "')
    .addOption(checkpointOption('writing'))
    .option('--max-new-tokens <n>', 'largest number of tokens to write', number, 100)
    .option('--temperature <t>', 'sampling temperature; 0: always the likeliest token', number, 0)
    .option('--top-k <k>', 'sample from the k likeliest tokens (default: all)', number)
    .option('--seed <seed>', 'seed of the sampling', number, 0)
    .option('--json', 'print { prompt, text, calculations: [{ at, value, expression }], checkpoint }')
    .action(async (prompt: string, { checkpoint: path, json, ...options }: GenerateOptions) => {
      const checkpoint = await openCheckpoint(path);
      const { text, calculations } = loadLanguageModel(checkpoint).generate(prompt, options);
      // Escape control characters only for a terminal; files and pipes get the exact text.
      if (!json) return (process.stdout.isTTY ? say : console.log)(prompt + text);
      const computed = calculations.map(({ at, value, expression }) => ({ at, value, expression }));
      console.log(toJson({ prompt, text, calculations: computed, checkpoint: checkpoint.folder }));
    });
}

function number(text: string): number {
  const n = Number(text);
  if (text.trim() === '' || Number.isNaN(n)) throw new InvalidArgumentError('a number is expected.');
  return n;
}
