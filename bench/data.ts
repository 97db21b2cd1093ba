/**
 * The data side on one core: `npx jiti bench/data.ts`, after a build, prints one JSON object. Rates are medians of
 * REPEATS runs.
 */
import { execute, setNumThreads } from '@dag/executor';
import { generateText } from '@dag/expr';
import { tensorize } from '@dag/tensorize';
import { trainingBatch, type Batch, type StreamConfig } from '@dag/train';

const REPEATS = 9;
const BATCHES = 64;
const TEXTS = 5000;

const config: StreamConfig = {
  seed: 1,
  tokenizer: 'gpt2',
  blockSize: 64,
  batchSize: 128,
  depth: 4,
  digits: 8,
  data: { numbers: 4, maxDigits: 4, maxDecimals: 4, style: 'spaced', negatedGroups: 0.1, wholeNumbers: 0 },
};

function seconds(run: () => unknown): number {
  const begin = performance.now();
  run();
  return (performance.now() - begin) / 1000;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

/** What `measure` gives in each of REPEATS runs; two more go before them to warm up. */
const repeat = <T>(measure: (run: number) => T): T[] =>
  Array.from({ length: REPEATS + 2 }, (_, run) => measure(run)).slice(2);

/** Examples a second: a text with the targets of all its prefixes, without and with the values that plans execute to. */
function stream() {
  const runs = repeat((run) => {
    let made = 0;
    let executed = 0;
    let prefixes = 0;
    // One batch after another, as a worker makes them: to hold many would measure the memory that they take.
    for (let i = 0; i < BATCHES; i++) {
      let batch!: Batch;
      made += seconds(() => (batch = trainingBatch(config, run * BATCHES + i)));
      executed += seconds(() => execute(batch.plan));
      prefixes += batch.valid.filter(Boolean).length;
    }
    return { made, executed, prefixes };
  });
  const examples = BATCHES * config.batchSize;
  return {
    examplesPerSecond: Math.round(examples / median(runs.map(({ made }) => made))),
    examplesPerSecondWithoutExecution: Math.round(
      examples / median(runs.map(({ made, executed }) => made - executed)),
    ),
    prefixesPerExample: median(runs.map(({ prefixes }) => prefixes)) / examples,
  };
}

/** Texts of four numbers a second. */
function tensors() {
  const { depth, data } = config;
  const texts: string[] = [];
  for (let index = 0; texts.length < TEXTS; index++) {
    const text = generateText({ seed: 2, index, depth, ...data });
    if (text.match(/[\d.]+/g)!.length === 4) texts.push(text);
  }
  const runs = repeat(() =>
    seconds(() => {
      for (const text of texts) tensorize(text, { depth });
    }),
  );
  return { perSecond: Math.round(TEXTS / median(runs)) };
}

setNumThreads(1);
console.log(JSON.stringify({ stream: stream(), tensorize: tensors() }, null, 2));
