import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openMetrics, readMetrics } from '../src/run/metrics.js';

let folder: string;
let warnings: string[];
const warn = (message: string): void => void warnings.push(message);
let path: string;
beforeEach(async () => {
  warnings = [];
  folder = await mkdtemp(join(tmpdir(), 'dag-metrics-'));
  path = join(folder, 'run', 'metrics.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

const steps = async (): Promise<unknown[]> =>
  (await readFile(path, 'utf8')).split('\n').map((line) => (line === '' ? 'end' : JSON.parse(line).step));

test('a line is in the file as soon as it is appended', async () => {
  const metrics = openMetrics(path);
  metrics.append({ step: 1, loss: 0.5 });
  expect(await readFile(path, 'utf8')).toBe('{"step":1,"loss":0.5}\n');
  metrics.append({ step: 2, evaluation: { accuracy: 1 }, loss: Number.NaN });
  expect(await readFile(path, 'utf8')).toContain('\n{"step":2,"evaluation":{"accuracy":1},"loss":null}\n');
  metrics.close();
});

test('lines after the file was moved or deleted begin a new one, which is where its name says', async () => {
  const metrics = openMetrics(path);
  metrics.append({ step: 1 });
  await rename(path, `${path}.1`);
  metrics.append({ step: 2 });
  expect(await steps()).toEqual([2, 'end']);
  await rm(path);
  metrics.append({ step: 3 });
  expect(await steps()).toEqual([3, 'end']);
  await rm(join(folder, 'run'), { recursive: true });
  metrics.append({ step: 4 });
  metrics.close();
});

test('a run that resumes drops the lines after its checkpoint and goes on', async () => {
  const first = openMetrics(path);
  for (const step of [10, 20, 20, 30, 40]) first.append({ step, note: 'é' });
  first.close();
  const resumed = openMetrics(path);
  resumed.truncateAfter(20, warn);
  resumed.append({ step: 30 });
  resumed.truncateAfter(30, warn);
  resumed.close();
  expect(await steps()).toEqual([10, 20, 20, 30, 'end']);
});

test.each(['{"step":2,"lo', '{"step":2}', '\0\0\0'])('a torn last line %p is dropped', async (torn) => {
  const metrics = openMetrics(path);
  metrics.append({ step: 1 });
  await appendFile(path, torn);
  metrics.truncateAfter(9, warn);
  metrics.append({ step: 2 });
  metrics.close();
  expect(await steps()).toEqual([1, 2, 'end']);
  expect(warnings).toEqual([]);
});

test('a file that is new or whole, blank lines too, is left as it is', async () => {
  const metrics = openMetrics(path);
  metrics.truncateAfter(5, warn);
  metrics.append({ step: 1 });
  await appendFile(path, '\n');
  metrics.truncateAfter(5, warn);
  metrics.close();
  expect(await steps()).toEqual([1, 'end', 'end']);
  expect(warnings).toEqual([]);
});

test('a damaged line in the middle stays, is told, and no other line is lost', async () => {
  const metrics = openMetrics(path);
  for (const step of [1, 2, 3, 4]) metrics.append({ step, note: 'é' });
  metrics.close();
  const whole = await readFile(path);
  // A byte that is no UTF-8, in the name of the second line's step.
  const damaged = Buffer.from(whole);
  damaged[whole.indexOf('\n') + 3] = 0xff;
  await writeFile(path, damaged);
  const resumed = openMetrics(path);
  resumed.truncateAfter(3, warn);
  expect(await readFile(path)).toEqual(damaged.subarray(0, damaged.lastIndexOf('{')));
  expect(warnings).toEqual([expect.stringMatching(/metrics .*: 1 damaged line is left as found/)]);
  resumed.append({ step: 4, note: 'é' });
  resumed.close();
  expect(await readFile(path)).toEqual(damaged);
});

test('a line of a later step among earlier ones is dropped by itself', async () => {
  const metrics = openMetrics(path);
  for (const step of [10, 90, 20, 30]) metrics.append({ step });
  metrics.truncateAfter(20, warn);
  metrics.append({ step: 25 });
  metrics.close();
  expect(await steps()).toEqual([10, 20, 25, 'end']);
  expect(warnings).toEqual([]);
});

test('what the system refuses is an error that names the file', async () => {
  await writeFile(join(folder, 'file'), '');
  expect(() => openMetrics(join(folder, 'file', 'metrics.jsonl'))).toThrow(
    expect.objectContaining({ code: 'io', message: expect.stringMatching(/metrics .*file.*: /) }),
  );
});

test('a file is read without the lines that are damaged, which are counted', async () => {
  const metrics = openMetrics(path);
  for (const step of [1, 2]) metrics.append({ step, loss: Number.NaN });
  metrics.close();
  expect(await readMetrics(path)).toEqual({
    records: [
      { step: 1, loss: null },
      { step: 2, loss: null },
    ],
    damaged: 0,
  });
  await appendFile(path, '{"loss":1}\n\n{"step":3,"lo');
  expect(await readMetrics(path)).toMatchObject({ records: [{ step: 1 }, { step: 2 }], damaged: 2 });
  await expect(readMetrics(join(folder, 'none'))).rejects.toMatchObject({ code: 'io' });
});

test('a pipe or folder in the place of the file is refused; a pipe is not waited for', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  for (const other of [pipe, folder]) {
    const refusal = { code: 'io', message: `metrics ${other}: it is not a regular file` };
    expect(() => openMetrics(other)).toThrow(expect.objectContaining(refusal));
    await expect(readMetrics(other)).rejects.toMatchObject(refusal);
  }
});
