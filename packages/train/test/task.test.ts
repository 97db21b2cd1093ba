import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mean, mul, ones, square, sum, tensor, type Tensor } from '@dag/executor';
import { safetensorsPieces } from '@dag/model';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { checkpointState } from '../src/checkpoints/state.js';
import { readCheckpoint } from '../src/checkpoints/checkpoint.js';
import type { TaskConfigInput } from '../src/config/task.js';
import { learnFrom, weigh } from '../src/predictor/losses.js';
import { runReport } from '../src/reports/run-report.js';
import { trainTask } from '../src/run/loop.js';
import { recordedLearning } from '../src/run/recorded-learning.js';
import type { Task, Trainable } from '../src/run/task.js';

let root: string;
let told: string[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dag-task-'));
  told = [];
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    told.push(String(text));
    return true;
  });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(root, { recursive: true });
});

class Weight implements Trainable {
  readonly parameters = new Map<string, Tensor>([['w', ones([1], { requiresGrad: true })]]);
  savePieces(): Iterable<Uint8Array> {
    const data = Float32Array.from(this.parameters.get('w')!.dataSync());
    return safetensorsPieces(new Map([['w', { dtype: 'F32', shape: [1], data }]]));
  }
}

type Scored = Task<Weight, Float64Array, { n: number }, null>;
let score = 1;
/** Learns to be 0 from batches that it does not read; its score is what a test says. */
const shrink: Scored = {
  kind: 'shrink',
  losses: { squared: 1 },
  stream: {
    worker: new URL('fixtures/item-worker.mjs', import.meta.url),
    data: { ms: 0, failing: -1, exiting: -1, factor: 1 },
  },
  model: () => new Weight(),
  counts: () => ({ n: 1 }),
  learn: ({ parameters }, _, { weights }) =>
    learnFrom(weigh({ squared: () => mean(square(parameters.get('w')!)) }, weights)),
  evaluate: () => ({ summary: null, score, line: `score ${score}`, metrics: { score } }),
};
const run = (parts: Partial<Scored> = {}, config: TaskConfigInput = {}) =>
  trainTask({ ...shrink, ...parts }, { name: 'shrink', outDir: join(root, 'run'), maxSteps: 2, ...config });

it('records a step anew for another model, and for other weights of losses', () => {
  const { learn, release } = recordedLearning<Weight, number, object, { x: Tensor }>(
    true,
    (_, batch) => ({ x: tensor([batch], [1]) }),
    ({ parameters }, { x }, weights) => weigh({ of: () => sum(mul(parameters.get('w')!, x)) }, weights),
  );
  const [one, ten] = [new Weight(), new Weight()];
  ten.parameters.get('w')!.set([10]);
  const loss = (model: Weight, of: number): number =>
    learn(model, 2, { counts: {}, weights: { of }, dropoutSeed: 0 }).values.dataSync()[0]!;
  const losses = [one, one, one, ten, one].map((model) => loss(model, 1));
  expect([...losses, loss(one, 5)]).toEqual([2, 2, 2, 20, 2, 10]);
  release!();
});

it.each<[string, Partial<Scored>, string]>([
  [
    'learn that returns nothing',
    { learn: () => undefined as never },
    "learn of the task 'shrink' must return { names, values }, as learnFrom does; it returned undefined",
  ],
  [
    'evaluate that returns nothing',
    { evaluate: () => undefined as never },
    "evaluate of the task 'shrink' must return { summary, score, line, metrics }; it returned undefined",
  ],
  [
    'an evaluation without a score',
    { evaluate: () => ({ summary: null, line: '', metrics: {} }) as never },
    "evaluate of the task 'shrink' must return a number as score; it returned undefined",
  ],
  [
    'a score that is NaN',
    { evaluate: () => ({ summary: null, score: NaN, line: '', metrics: {} }) },
    "evaluate of the task 'shrink' must return a number as score; it returned NaN",
  ],
  [
    'data of the stream that cannot be cloned',
    { stream: { ...shrink.stream, data: { s: Symbol('s') } } },
    'the data of the stream cannot be sent to worker threads: Symbol(s) could not be cloned.',
  ],
  [
    'a batch that cannot be cloned',
    { stream: { ...shrink.stream, data: { uncloneable: 0, ms: 0 } } },
    'batch 0 cannot be sent from its worker thread: it holds what cannot be cloned, such as a function or a promise',
  ],
])('%s is an error that says so', async (_, parts, message) => {
  const error: unknown = await run(parts).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'TrainError', code: 'bad-input' });
  expect((error as Error).message).toBe(message);
});

it('starts its best score anew where it is resumed with other settings of the evaluation', async () => {
  score = 1;
  await run();
  score = 0.5;
  const same = await run({}, { resume: true, maxSteps: 3 });
  expect(await readCheckpoint(same.checkpoint)).toMatchObject({ best: null, state: { best: 1 } });
  const other = await run({}, { resume: true, maxSteps: 4, evaluation: { examples: 4 } });
  expect(told.join('')).toContain('the best score starts anew');
  expect(await readCheckpoint(other.checkpoint)).toMatchObject({ best: 0.5, state: { best: 0.5 } });
});

it('is reported by micro-batches, and by the steps that it was resumed for', async () => {
  score = 1;
  await run();
  score = 0.5;
  const { checkpoint } = await run({}, { resume: true, maxSteps: 6 });
  expect(checkpointState(await readCheckpoint(checkpoint)).config.maxSteps).toBe(6);
  const page = await runReport(join(root, 'run'), { examples: 0, warn: () => undefined });
  expect(page).toMatch(/<dd>6<\/dd>\s*<p>of 6<\/p>/);
  expect(page).toContain('micro-batches/s');
  expect(page).not.toContain('texts/s');
});
