import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const root = new URL('..', import.meta.url);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'train-predictor-'));
});

afterAll(() => rm(folder, { recursive: true }));

/** What `npm start` prints after its build, for a run of few steps. */
async function run(): Promise<string> {
  const options = ['predictor-small', `--outDir=${folder}/run`, '--maxSteps=60', '--evaluation.examples=40'];
  const { stdout } = await promisify(execFile)(
    'npx',
    ['jiti', 'examples/train-predictor/index.ts', ...options],
    { cwd: root },
  );
  return stdout;
}

test('train-predictor trains, measures on held-out expressions and shows plans; started again it goes on', async () => {
  const first = await run();
  expect(first).toContain(
    'What is 98765 times 43210?\n  98765 * 43210 = 4267635650\n    n0 = 98765   n1 = 43210\n',
  );
  const [, count, valueRight] = /^all +(\d+) +([\d.]+) /m.exec(first)!;
  expect(Number(count)).toBe(40);
  // Numbers alone are read after a few steps; the right value of a wrong guess would be a rare accident.
  expect(Number(valueRight)).toBeGreaterThan(5);
  expect(first.match(/^ {2}executed: .* true: .*(right|WRONG)$/gm)).toHaveLength(3);
  const metrics = (await readFile(join(folder, 'run', 'metrics.jsonl'), 'utf8')).trim().split('\n');
  expect(metrics.map((line) => (JSON.parse(line) as { step: number }).step)).toEqual([25, 50, 60, 60]);

  const second = await run();
  expect(second).toContain(`Going on with the run in ${folder}/run`);
  // Nothing was left to train: the same weights, the same answers.
  expect(second.slice(second.indexOf(' texts '))).toBe(first.slice(first.indexOf(' texts ')));
}, 120_000);
