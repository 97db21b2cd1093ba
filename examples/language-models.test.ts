import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const root = new URL('..', import.meta.url);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dag-examples-'));
});

afterAll(() => rm(folder, { recursive: true }));

async function run(name: string, ...options: string[]): Promise<string> {
  const words = ['jiti', `examples/${name}/index.ts`, ...options.map((option) => `--${option}`)];
  return (await promisify(execFile)('npx', words, { cwd: root })).stdout;
}

test('generate-text prepares its text, trains on it, and goes on with prompts', async () => {
  const output = await run(
    'generate-text',
    `outDir=${folder}/text`,
    'maxSteps=4',
    'nEmbd=16',
    'nLayer=1',
    'batchSize=2',
    'evaluation.examples=3',
    'evaluation.batches=1',
  );
  expect(output).toMatch(/^text: \d+ characters to train on, \d+ held out$/m);
  expect(output).toMatch(/^all +3 /m);
  expect(output).toMatch(/^mean −ln p of the next character of held-out text: [\d.]+$/m);
  expect(output.match(/(computed: .* → |guessed$)/gm)?.length).toBeGreaterThanOrEqual(4);
}, 120_000);

test('finetune-gpt2 trains a branch on the hidden states of a GPT-2 in a folder', async () => {
  const output = await run(
    'finetune-gpt2',
    `outDir=${folder}/gpt2`,
    'weights=packages/model/test/fixtures/gpt2',
    'model.nLayer=2',
    'nHead=2',
    'nEmbd=16',
    'blockSize=12',
    'data.style=spaced',
    'numbers=2',
    'maxDigits=1',
    'maxDecimals=0',
    'maxSteps=2',
    'batchSize=2',
    'evaluation.examples=2',
  );
  expect(output).toContain('of a GPT-2 of 2 layers and width 16.');
  expect(output).toMatch(/^all +2 /m);
  expect(output).toContain('What is 12 plus 30? ');
}, 120_000);
