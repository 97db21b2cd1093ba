import { Command } from 'commander';
import { describe } from '@dag/tensorize';
import {
  CHECKPOINT_OPTION,
  openCheckpoint,
  openModel,
  runtimeOption,
  type ModelOptions,
} from './checkpoint-option.js';
import { toJson } from './json.js';
import { say, warn } from './streams.js';

interface PredictOptions extends ModelOptions {
  readonly json?: boolean;
}

export function predictCommand(): Command {
  return new Command('predict')
    .description('Read one expression, predict its plan and execute it.')
    .argument('<text>', 'the expression, e.g. "2.5 * 3.0 + 1.0"')
    .option(...CHECKPOINT_OPTION)
    .addOption(runtimeOption())
    .option('--json', 'print { text, value, expression, doubt, tensors, checkpoint } as one line of JSON')
    .action(async (text: string, options: PredictOptions) => {
      const checkpoint = await openCheckpoint(options.checkpoint);
      // A single text is too little work for several threads.
      const model = await openModel(checkpoint, options.runtime, { threads: 1 });
      const { value, expression, tensors, doubt } = await model.predict(text);
      if (doubt !== null) warn(`this may be wrong: ${doubt}`);
      if (options.json) {
        const { depth, V_mag, V_sign, O, G } = tensors;
        const fields = { depth, V_mag: [...V_mag], V_sign: [...V_sign], O: [...O], G: [...G] };
        return console.log(
          toJson({ text, value, expression, doubt, tensors: fields, checkpoint: checkpoint.folder }),
        );
      }
      say(`${expression} = ${value}\n\n${describe(tensors)}`);
    });
}
