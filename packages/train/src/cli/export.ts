import { exportOnnx } from '@dag/model';
import { Command } from 'commander';
import { writeWhole } from '../files/whole-file.js';
import { loadModel } from '../predictor/predictor-task.js';
import { CHECKPOINT_OPTION, openCheckpoint } from './checkpoint-option.js';
import { say } from './streams.js';

export function exportCommand(): Command {
  return new Command('export')
    .description('Write a plan predictor as an ONNX model, from tokens to the executed value.')
    .argument('<file>', 'the file to write, e.g. model.onnx')
    .option(...CHECKPOINT_OPTION)
    .action(async (file: string, { checkpoint: path }: { checkpoint?: string }) => {
      const bytes = exportOnnx(loadModel(await openCheckpoint(path)));
      await writeWhole(file, bytes);
      say(`${file}: ${(bytes.length / 1e6).toFixed(1)} MB`);
    });
}
