import { exportOnnx } from '@dag/model';
import { Command } from 'commander';
import { refuseStored } from '../checkpoints/checkpoint.js';
import { writeWhole } from '../files/whole-file.js';
import { loadModel } from '../predictor/predictor-task.js';
import { checkpointOption, openCheckpoint } from './checkpoint-option.js';
import { say } from './streams.js';
import { atLeast } from './whole-number.js';

interface ExportOptions {
  readonly checkpoint: string;
  readonly depth?: number;
  readonly digits?: number;
}

export function exportCommand(): Command {
  return new Command('export')
    .description('Write a plan predictor as an ONNX model, from tokens to the executed value.')
    .argument('<file>', 'the file to write, e.g. model.onnx')
    .addOption(checkpointOption('reading'))
    .option(
      '--depth <n>',
      "numbers, and operations, that the file has room for; left out, the model's depth",
      atLeast(1, 256),
    )
    .option('--digits <n>', "digits of a number that it has room for; left out, the model's", atLeast(1, 30))
    .action(async (file: string, { checkpoint: path, ...layout }: ExportOptions) => {
      const checkpoint = await openCheckpoint(path);
      await refuseStored(file, checkpoint.folder);
      const bytes = exportOnnx(loadModel(checkpoint), layout);
      await writeWhole(file, bytes);
      say(`${file}: ${(bytes.length / 1e6).toFixed(1)} MB`);
    });
}
