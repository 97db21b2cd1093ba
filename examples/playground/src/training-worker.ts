/** Trains predictor-small in a worker, and answers a text with what it has learned so far. */
import { loadWasm } from '@dag/executor/wasm';
import { parseConfig, predictorSmall, PredictorTraining } from '@dag/train/browser';
import { problemOf } from './problem.js';
import type { FromTraining, ToTraining } from './training-messages.js';

const config = parseConfig({
  ...predictorSmall,
  logEvery: 5,
  evaluation: { every: 50, examples: 200 },
});

const post = (message: FromTraining, transfer: Transferable[] = []): void =>
  postMessage(message, { transfer });
let training: PredictorTraining | null = null;
let running: AbortController | null = null;
let text = '';

addEventListener('message', ({ data }: MessageEvent<ToTraining>) => {
  switch (data.kind) {
    case 'go':
      void run();
      break;
    case 'stop':
      running?.abort();
      break;
    case 'text':
      text = data.text;
      answer();
      break;
    case 'weights':
      if (training) {
        const bytes = new Uint8Array(training.model.save());
        post({ kind: 'weights', bytes }, [bytes.buffer]);
      }
      break;
    default:
      data satisfies never;
  }
});

async function run(): Promise<void> {
  if (running) return;
  running = new AbortController();
  try {
    // Without WebAssembly with SIMD the reference in TypeScript trains, slowly.
    await loadWasm().catch((error: unknown) => console.info(String(error)));
    training ??= new PredictorTraining(config);
    await training.run({
      signal: running.signal,
      onStep({ step, loss }) {
        post({ kind: 'step', step, of: config.maxSteps, loss });
        answer();
      },
      onEvaluation: ({ step, summary }) =>
        post({ kind: 'held-out', step, right: summary.value, of: summary.count }),
    });
  } catch (error) {
    post({ kind: 'problem', problem: problemOf(error) });
  }
  running = null;
  post({ kind: 'stopped', isDone: training?.step === config.maxSteps });
}

function answer(): void {
  if (!training) return;
  try {
    const { value, expression, doubt } = training.model.predict(text);
    post({ kind: 'answer', value, expression, doubt });
  } catch (error) {
    post({ kind: 'no-answer', problem: problemOf(error) });
  }
}
