/** The models that @dag/model ships, by their names, from code and by the command. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DagGpt, PredictorModel } from '@dag/model';
import { ProblemModel } from '@dag/model/problems';
import { loadPretrained, pretrainedCheckpoint, SHIPPED } from '../src/index.js';
import { ended, type Outcome } from './ended.js';

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));
const PEARS = 'Mia had 12 pears and ate 5 of them. How many are left?';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dag-shipped-'));
});
afterAll(() => rm(folder, { recursive: true }));

const dag = (...args: string[]): Promise<Outcome> => ended(process.execPath, [DAG, ...args], { cwd: folder });

describe('loadPretrained', () => {
  it('gives the model of each name, reading by default', async () => {
    expect(await loadPretrained()).toBeInstanceOf(PredictorModel);
    expect(await loadPretrained('reading')).toBeInstanceOf(PredictorModel);
    expect((await loadPretrained('problems')).predict(PEARS)).toMatchObject({
      value: 7,
      expression: '12 - 5',
    });
    expect((await loadPretrained('problems')).constructor).toBe(ProblemModel);
    expect(await loadPretrained('writing')).toBeInstanceOf(DagGpt);
  });

  it('computes expressions of any length and numbers of many digits, and nothing of what it cannot hold or see', async () => {
    const writing = await loadPretrained('writing');
    const computed = (prompt: string) =>
      writing.generate(prompt, { maxNewTokens: 1, temperature: 0 }).calculations.map(({ value }) => value);
    expect(computed('1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 =')).toEqual([45]);
    expect(computed('12345678901 + 1 =')).toEqual([12345678902]);
    // More digits than a plan holds, more tokens than the model reads at once, and what has no value.
    for (const prompt of [`${'9'.repeat(40)} + 1 =`, `${'1 + '.repeat(300)}1 =`, '0 / 0 =', '5 / 0 ='])
      expect(computed(prompt)).toEqual([]);
  });

  it('writes a value of percentages alone as one', async () => {
    const writing = await loadPretrained('writing');
    const { text, calculations } = writing.generate('The rest is 100% - 93% =', {
      ...{ maxNewTokens: 1, temperature: 0 },
    });
    expect([text.trim(), calculations[0]?.value]).toEqual(['7', expect.closeTo(0.07, 12)]);
    const ofMoney = writing.generate('5% of $80,000 = $', { maxNewTokens: 1, temperature: 0 });
    expect([ofMoney.text, ofMoney.calculations[0]?.value]).toEqual(['4,000', 4000]);
  });

  it('refuses other names', async () => {
    await expect(loadPretrained('writer' as never)).rejects.toMatchObject({
      ...{ name: 'TrainError', code: 'bad-input' },
      message: 'there is no shipped model writer; expected reading, problems, writing',
    });
  });
});

describe.each(SHIPPED)('the file of %s', (name) => {
  it('is small, and its state names nothing that is not shipped', async () => {
    const weights = createRequire(import.meta.url).resolve(`@dag/model/weights/${name}/model.safetensors`);
    expect((await stat(weights)).size).toBeLessThan(7.5e6);
    const { state, files } = await pretrainedCheckpoint(name);
    expect([...files.keys()]).toEqual(['model.safetensors']);
    expect(JSON.stringify(state)).not.toMatch(/"\/|\.\.\//);
  });
});

describe('dag', () => {
  it('takes the name of a shipped model, each for its own', async () => {
    const solved = await dag('predict', '--checkpoint', 'problems', PEARS);
    expect(solved).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^12 - 5 = 7 {3}\(.* % sure\)\n/),
    });
    const written = await dag('generate', PEARS, '--json', '--max-new-tokens=3');
    expect(JSON.parse(written.stdout)).toMatchObject({
      ...{ prompt: PEARS, checkpoint: expect.stringMatching(/weights\/writing$/) },
    });
    const measured = await dag('eval', '--checkpoint', 'problems', '--examples=20', '--json');
    expect(JSON.parse(measured.stdout.trim().split('\n').at(-1)!)).toMatchObject({ count: 20 });
  });

  it.each<[string[], RegExp]>([
    [
      ['eval', '--checkpoint', 'problems', '--expressions', 'some.jsonl'],
      /some\.jsonl has texts with marked results, for language models, such as --checkpoint writing; this is a model of word problems/,
    ],
    [['predict', '1', '--checkpoint=writing'], /weights\/writing holds a language model, expected a plan/],
    [
      ['generate', '1', '--checkpoint=problems'],
      /weights\/problems holds a model of word problems, expected a l/,
    ],
    [
      ['export', 'x.onnx', '--checkpoint=problems'],
      /holds a model of word problems, expected a plan predictor/,
    ],
    [
      ['predict', '1', '--checkpoint=./problems'],
      /\.\/problems does not exist; shipped models are reading, p/,
    ],
    [['report', 'problems'], /problems is a shipped model, .*; the folder of that name is \.\/problems/],
  ])('%j says what is wrong', async (args, message) => {
    expect(await dag(...args)).toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
  });
});
