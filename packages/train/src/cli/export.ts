import { writeFile } from 'node:fs/promises';
import { exportOnnx } from '@dag/model';
import { Command } from 'commander';
import { TrainError } from '../error.js';
import { loadModel } from '../predictor.js';
import { CHECKPOINT_OPTION, openCheckpoint } from './checkpoint-option.js';

export function exportCommand(): Command {
  return new Command('export')
    .description('Write a checkpoint as an ONNX model, from tokens to the executed value.')
    .argument('<file>', 'the file to write, e.g. model.onnx')
    .option(...CHECKPOINT_OPTION)
    .action(async (file: string, { checkpoint: path }: { checkpoint?: string }) => {
      const bytes = exportOnnx(loadModel(await openCheckpoint(path)));
      await writeFile(file, bytes).catch((error: unknown) => {
        throw new TrainError('io', `${file} cannot be written: ${(error as Error).message}`);
      });
      console.log(`${file}: ${(bytes.length / 1e6).toFixed(1)} MB`);
    });
}
