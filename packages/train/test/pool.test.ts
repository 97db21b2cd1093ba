import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, jest, test } from '@jest/globals';
import { Prefetcher } from '../src/workers/pool.js';
import { TrainError } from '../src/error.js';

const worker = new URL('fixtures/item-worker.mjs', import.meta.url);
const open: Prefetcher<Float64Array>[] = [];
afterEach(() => Promise.all(open.splice(0).map((prefetcher) => prefetcher.close())));

function prefetcher(
  workerData: object,
  { workers = 2, ahead = 4, index = (n: number) => n, from = worker } = {},
) {
  const data = { ms: 0, factor: 2, failing: -1, exiting: -1, ...workerData };
  const made = new Prefetcher<Float64Array>({ worker: from, workerData: data, workers, ahead, index });
  open.push(made);
  return made;
}

test.each([1, 3])('items come in the order of their indices from %i workers', async (workers) => {
  const items = prefetcher({ ms: 4, factor: 3 }, { workers, index: (n) => 7 + 2 * n });
  for (let i = 7; i < 87; i += 2) expect(Array.from(await items.next())).toEqual([i, 3 * i]);
});

test('calls that overlap get their items in the order of the calls', async () => {
  const items = prefetcher({ ms: 4 });
  const taken = await Promise.all(Array.from({ length: 10 }, () => items.next()));
  expect(taken.map((item) => item[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('the time between the call of next and its item is measured, the pause between calls is not', async () => {
  let time = 0;
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => time);
  try {
    const items = prefetcher({ ms: 0 });
    const takeBetween = async (called: number, came: number): Promise<void> => {
      time = called;
      const item = items.next();
      time = came;
      await item;
    };
    await takeBetween(1000, 1030);
    expect(items.waited).toBe(30);
    await takeBetween(5000, 5004);
    expect(items.waited).toBe(34);
  } finally {
    clock.mockRestore();
  }
});

test('an error of a worker rejects the call for its item, and the next ones go on', async () => {
  const items = prefetcher({ failing: 2 });
  await items.next();
  await items.next();
  await expect(items.next()).rejects.toThrow('item 2 cannot be made');
  expect((await items.next())[0]).toBe(3);
});

test('an error of this project keeps its class and code on the way from a worker', async () => {
  const text = await mkdtemp(join(tmpdir(), 'dag-pool-'));
  await writeFile(join(text, 'train.bin'), Uint8Array.of(1, 0, 2, 0, 100, 0, 3, 0));
  const data = { text, arithmetic: 0, numbers: 2, maxDigits: 1, maxDecimals: 0, style: 'compact' };
  const stream = { seed: 3, tokenizer: 'char', blockSize: 3, batchSize: 1, depth: 2, digits: 2, data };
  const items = prefetcher(
    { stream, plans: true },
    { from: new URL('../dist/language/worker.js', import.meta.url) },
  );
  const error: unknown = await items.next().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TrainError);
  expect(error).toMatchObject({
    ...{ name: 'TrainError', code: 'bad-input' },
    message: `${join(text, 'train.bin')} has the id 100 at token 2; ids of this tokenizer are below 100`,
  });
  await rm(text, { recursive: true });
});

test('a worker that dies rejects the call for its item', async () => {
  const items = prefetcher({ exiting: 1 }, { workers: 1 });
  expect((await items.next())[0]).toBe(0);
  await expect(items.next()).rejects.toThrow(/exited/);
});

test('a worker module that cannot be loaded rejects the call', async () => {
  const items = prefetcher({}, { from: new URL('fixtures/nowhere.mjs', import.meta.url) });
  await expect(items.next()).rejects.toThrow(/nowhere/);
});

test('a signal rejects the call that waits, with its reason', async () => {
  const items = prefetcher({ ms: 60_000 });
  const controller = new AbortController();
  const waiting = items.next(controller.signal);
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect(items.next(controller.signal)).rejects.toThrow('enough');
});

test('closing rejects a call that waits', async () => {
  const items = prefetcher({ ms: 60_000 });
  const waiting = items.next();
  const rejected = expect(waiting).rejects.toThrow();
  await items.close();
  await rejected;
  await expect(items.next()).rejects.toThrow();
});

/** Runs module code in a process of its own, with `open` that makes a Prefetcher; → what it printed. */
async function printedBy(code: string): Promise<string> {
  const module = `
    import { createJiti } from 'jiti';
    const { Prefetcher } = await createJiti(${JSON.stringify(import.meta.url)}).import('../src/workers/pool.js');
    const wait = (ms) => new Promise((done) => setTimeout(done, ms));
    const open = (ms) => new Prefetcher({
      worker: new URL(${JSON.stringify(worker.href)}),
      workerData: { ms, factor: 1 }, workers: 2, ahead: 8, index: (n) => n,
    });
    ${code}`;
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const args = ['--input-type=module', '--eval', module];
  return (await promisify(execFile)(process.execPath, args, { cwd, timeout: 40_000 })).stdout;
}

test('a process exits once it has closed, with items still being made', async () => {
  const printed = await printedBy(`
    const items = open(60_000);
    await wait(50);
    await items.close();
    console.log('closed');`);
  expect(printed).toBe('closed\n');
});

test('threads may be ended while they start', async () => {
  const printed = await printedBy(`
    for (let ms = 0; ms < 60; ms += 4) {
      const items = open(10);
      await wait(ms);
      await items.close();
    }
    console.log('closed');`);
  expect(printed).toBe('closed\n');
});
