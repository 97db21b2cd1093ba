import { describe } from '@dag/tensorize';
import { ModelError, type PredictedValue } from '@dag/model';
import { Command } from 'commander';
import { statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  checkpointOption,
  openCheckpoint,
  openModel,
  requireRuntime,
  runtimeOption,
  type ModelOptions,
} from './checkpoint-option.js';
import { toJson } from './json.js';
import { showSolved, sure } from './solve-problems.js';
import { checkpointConfig } from '../checkpoints/state.js';
import { TrainError } from '../error.js';
import { loadProblemModel } from '../problems/problems-task.js';
import { say, warn } from './streams.js';

interface PredictOptions extends ModelOptions {
  readonly json?: boolean;
}

export function predictCommand(): Command {
  return new Command('predict')
    .description('Read an expression or a word problem, predict its plan and execute it.')
    .argument('[text]', 'the text, e.g. "2.5 * 3.0 + 1.0"; left out, each line of the standard input')
    .addOption(checkpointOption('reading'))
    .addOption(runtimeOption())
    .option(
      '--json',
      'print { text, value, expression, confidence, doubt, tensors, checkpoint } as a line of JSON; ' +
        'of a word problem raw and numbers instead of doubt; ' +
        'of a text that is refused, { text, value: null, refused, confidence }',
    )
    .action(async (text: string | undefined, options: PredictOptions) => {
      const checkpoint = await openCheckpoint(options.checkpoint);
      const { kind } = checkpointConfig(checkpoint);
      requireRuntime(kind, options.runtime);
      if (kind === 'problems') {
        const model = loadProblemModel(checkpoint);
        const shown = { json: options.json === true, checkpoint: checkpoint.folder };
        if (text !== undefined) {
          if (!showSolved(model, text, { ...shown, plan: true })) process.exitCode = 1;
          return;
        }
        for await (const line of lines())
          if (line.trim() !== '') showSolved(model, line, { ...shown, plan: false });
        return;
      }
      // A single text is too little work for several threads.
      const model = await openModel(checkpoint, options.runtime, { threads: 1 });
      const answer = async (asked: string): Promise<PredictedValue | null> => {
        try {
          return await model.predict(asked);
        } catch (error) {
          if (!(error instanceof ModelError) || error.code !== 'unreadable') throw error;
          const confidence = error.reading?.confidence ?? null;
          if (options.json)
            console.log(toJson({ text: asked, value: null, refused: error.message, confidence }));
          else warn(error.message);
          return null;
        }
      };
      const inJson = (predicted: PredictedValue): void => {
        const { value, expression, doubt, confidence } = predicted;
        const { depth, V_mag, V_sign, O, G } = predicted.tensors;
        const tensors = { depth, V_mag: [...V_mag], V_sign: [...V_sign], O: [...O], G: [...G] };
        const { folder } = checkpoint;
        console.log(
          toJson({ text: predicted.text, value, expression, confidence, doubt, tensors, checkpoint: folder }),
        );
      };
      if (text !== undefined) {
        const predicted = await answer(text);
        if (predicted === null) {
          process.exitCode = 1;
          return;
        }
        if (predicted.doubt !== null) warn(`this may be wrong: ${predicted.doubt}`);
        if (options.json) return inJson(predicted);
        return say(`${predicted.expression} = ${predicted.value}\n\n${describe(predicted.tensors)}`);
      }
      for await (const line of lines()) {
        if (line.trim() === '') continue;
        const predicted = await answer(line);
        if (predicted === null) continue;
        const { expression, value, confidence } = predicted;
        if (options.json) inJson(predicted);
        else say(`${expression} = ${value}${confidence === null ? '' : `   (${sure(confidence)})`}`);
      }
    });
}

/** Lines of the standard input; on a terminal with a prompt, and with a history by the arrow keys. */
function lines(): AsyncIterable<string> {
  const { stdin, stdout } = process;
  // Node reads a folder as an empty input.
  if (statSync('/dev/stdin', { throwIfNoEntry: false })?.isDirectory())
    throw new TrainError('io', 'the standard input cannot be read: it is a folder');
  if (!stdin.isTTY) return createInterface({ input: stdin, crlfDelay: Infinity });
  const terminal = createInterface({ input: stdin, output: stdout, prompt: '> ' });
  terminal.prompt();
  return (async function* () {
    for await (const line of terminal) {
      yield line;
      terminal.prompt();
    }
  })();
}
