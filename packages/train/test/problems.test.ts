import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomStream } from '@dag/expr';
import { PlanLibrary, stepsOf, valueOf } from '@dag/model/problems';
import { pretrainedCheckpoint } from '../src/checkpoints/pretrained.js';
import { configOfKind } from '../src/checkpoints/state.js';
import { parseConfig } from '../src/config/config.js';
import { TrainError } from '../src/error.js';
import { distracted, firstFacts } from '../src/problems/distract.js';
import { knownProblem, readProblems, type KnownProblem } from '../src/problems/problem-data.js';
import { isHeldOut, problemSetup, rightPlans, syntheticProblem } from '../src/problems/problem-set.js';
import { problemBatches } from '../src/problems/problem-stream.js';
import { summarizeProblems } from '../src/problems/problem-scores.js';
import { problemsTask } from '../src/problems/problems-task.js';
import { ended } from './ended.js';
import { runHere } from './run-here.js';

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dag-problems-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Problems of two stories, which differ in their things. */
const known = (count: number): KnownProblem[] =>
  Array.from({ length: count }, (_, i) => {
    const thing = ['pears', 'kites', 'lamps', 'coins', 'ropes'][i % 5]!;
    const numbers = [20 + i, 3 + (i % 7)];
    return i % 2
      ? knownProblem(`ada had number0 ${thing} . she lost number1 . how many ${thing} are left ?`, numbers, [
          '-',
          'number0',
          'number1',
        ])
      : knownProblem(`ada had number0 ${thing} . she found number1 . how many ${thing} has she ?`, numbers, [
          '+',
          'number0',
          'number1',
        ]);
  });
const csv = (problems: readonly KnownProblem[], equation: (i: number) => string): string =>
  [
    'Question,Numbers,Equation,Answer',
    ...problems.map(
      ({ text, numbers, answer }, i) => `"${text}",${numbers.join(' ')},${equation(i)},${answer}`,
    ),
  ].join('\n');
const equations = (i: number): string => (i % 2 ? '- number0 number1' : '+ number0 number1');

describe('problems in CSV', () => {
  it('are read', async () => {
    const file = join(folder, 'some.csv');
    const problems = known(4);
    await writeFile(file, csv(problems, equations));
    expect(await readProblems(file)).toEqual(problems);
  });

  it.each([
    ['Question,Numbers,Answer\na,1,2', /some\.csv has no column Equation/],
    ['Question,Numbers,Equation,Answer', /some\.csv has no problems/],
    ['Question,Numbers,Equation,Answer\n"a number0",1 x,number0,1', /problem 1: '1 x' or '1' is no number/],
    [
      'Question,Numbers,Equation,Answer\n"a number0",1,number0,1\na,1,+ number0,1',
      /problem 2: .* ends too early/,
    ],
    ['Question,Numbers,Equation,Answer\n"a,1,number0,1', /some\.csv is no CSV/],
  ])('%p is refused with its place', async (text, message) => {
    const file = join(folder, 'some.csv');
    await writeFile(file, text);
    const reading = readProblems(file);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toBeInstanceOf(TrainError);
  });

  it('name another number of the same value where an equation repeats one', () => {
    const { term } = knownProblem('a number0 b number1', [5, 5], ['+', 'number0', 'number0']);
    expect(term).toEqual(knownProblem('a', [5, 5], ['+', 'number0', 'number1']).term);
  });
});

describe('the stream of problems', () => {
  const problems = known(200);
  const setup = problemSetup(problems, { synthetic: 0.5, seed: 0, depth: 3 });
  const library = new PlanLibrary(setup.templates, setup.constants, 3);
  const config = { seed: 0, batchSize: 8, depth: 3, problems, synthetic: 0.5, hide: 0.2, setup };

  it('is a pure function of seed and index', () => {
    const batch = problemBatches(config)(7);
    expect(problemBatches(config)(7)).toEqual(batch);
    expect(problemBatches(config)(8)).not.toEqual(batch);
    expect(problemBatches({ ...config, seed: 1 })(7)).not.toEqual(batch);
  });

  it('has problems of as many numbers, each with a right plan', () => {
    const batches = problemBatches(config);
    for (let i = 0; i < 20; i++) {
      const { numbers, encoded, right } = batches(i);
      expect(encoded).toHaveLength(8);
      for (const plans of right) {
        expect(plans.length).toBeGreaterThan(0);
        expect(Math.max(...plans)).toBeLessThan(library.plans(numbers).size);
      }
    }
  });

  it('has little padding', () => {
    const batches = problemBatches(config);
    const encoded = Array.from({ length: 32 }, (_, i) => batches(i).encoded.map(({ ids }) => ids.length));
    const total = (lengths: readonly number[]): number => lengths.reduce((a, b) => a + b, 0);
    const padded = encoded.map((lengths) => lengths.length * Math.max(...lengths));
    expect(total(encoded.map(total)) / total(padded)).toBeGreaterThan(0.8);
  });

  it('finds the plans that compute the answer, also of other numbers', () => {
    for (let i = 0; i < 300; i++) {
      const problem = syntheticProblem(1, i);
      for (const k of rightPlans(problem, library))
        expect(library.values(problem.numbers)[k]! / problem.answer).toBeCloseTo(1, 9);
    }
  });

  it('has plans for most synthetic problems', () => {
    const drawn = Array.from({ length: 1000 }, (_, i) => syntheticProblem(1, i));
    expect(drawn.filter((problem) => rightPlans(problem, library).length > 0).length).toBeGreaterThan(950);
  });

  it('trains none that is held out', () => {
    const asked = problems.filter(({ text }) => isHeldOut(text));
    const texts = new Set(problems.map(({ text }) => text));
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.length).toBeLessThan(problems.length);
    expect(texts.size).toBe(10);
  });
});

it('a fact of another problem comes before a problem or its question, and the answer stays', () => {
  const problem = knownProblem(
    'ada had number0 pears . bo found number1 of them . how many pears are left ?',
    [9, 4],
    ['-', 'number0', 'number1'],
  );
  const other = knownProblem('cy has number0 kites . how many legs ?', [7], ['*', '2', 'number0']);
  const facts = firstFacts([problem, other]);
  expect(facts).toEqual([
    { text: 'ada had number0 pears . ', value: 9 },
    { text: 'cy has number0 kites . ', value: 7 },
  ]);
  const random = randomStream(0, 0);
  const made = Array.from({ length: 20 }, () => distracted(random, problem, facts));
  // That of the same things is refused.
  expect(made).toContain(null);
  const texts = made.flatMap((one) => {
    if (!one) return [];
    expect(valueOf(stepsOf(one.term), one.numbers)).toBe(5);
    return [`${one.text} ${one.numbers.join(' ')}`];
  });
  expect(new Set(texts)).toEqual(
    new Set([
      'cy has number0 kites . ada had number1 pears . bo found number2 of them . how many pears are left ? 7 9 4',
      'ada had number0 pears . bo found number1 of them . cy has number2 kites . how many pears are left ? 9 4 7',
    ]),
  );
});

it('a summary counts answers by what they are', () => {
  const [plus, minus] = known(2) as [KnownProblem, KnownProblem];
  const solved = (value: number, raw: number, confidence: number) => ({
    ...{ value, raw, confidence, plan: 0, rawPlan: 0 },
  });
  const summary = summarizeProblems([
    { problem: plus, solved: solved(plus.answer, 0, 0.9) },
    { problem: minus, solved: solved(0, minus.answer, 0.5) },
    { problem: minus, solved: null },
  ]);
  expect(summary).toMatchObject({
    count: 3,
    raw: { right: 1, count: 3 },
    value: { right: 1 },
    half: { right: 1, count: 1 },
    byOperations: { 1: { right: 1, count: 3 } },
    byOperator: { '+': { right: 0, count: 1 }, '−': { right: 1, count: 2 } },
  });
});

it.each([
  [
    { kind: 'problems', data: { synthetic: 0.5 } },
    /data\.synthetic is 0\.5; allowed: 1, as data\.problems names no folder/,
  ],
  [{ kind: 'problems', data: { synthetic: 1 }, model: { nEmbd: 10, nHead: 4 } }, /model\.nEmbd is 10/],
  [{ kind: 'problems', data: { synthetic: 1 }, model: { readout: 'linear' } }, /readout/],
])('the configuration %j is refused', (input, message) => {
  expect(() => parseConfig(input as never)).toThrow(message);
});

describe('the weights of a model of word problems', () => {
  it('are refused for other problems, whose words and plans have other places', async () => {
    const checkpoint = await pretrainedCheckpoint('problems');
    const config = configOfKind(checkpoint, 'problems');
    const task = problemsTask({ ...config, data: { ...config.data, synthetic: 0 } }, known(60));
    expect(() => task.model(checkpoint)).toThrow(expect.objectContaining({ code: 'bad-config' }));
  });
});

describe('dag with word problems', () => {
  const start = (args: readonly string[]) => ended(process.execPath, [DAG, ...args], { cwd: folder });
  const run = (args: readonly string[]) => runHere(args, folder);
  const SMALL = [
    ...[
      '--data.problems=data',
      '--data.synthetic=0.3',
      '--model.nLayer=1',
      '--model.nEmbd=16',
      '--model.nInner=32',
    ],
    ...[
      '--batchSize=8',
      '--evaluation.every=40',
      '--logEvery=10',
      '--optimizer.warmupSteps=5',
      '--optimizer.lr=0.01',
    ],
  ];

  it('trains, resumes, measures, solves and reports', async () => {
    const { mkdir } = await import('node:fs/promises');
    await mkdir(join(folder, 'data'));
    const problems = known(120);
    await writeFile(join(folder, 'data/train.csv'), csv(problems, equations));
    await writeFile(join(folder, 'data/dev.csv'), csv(problems.slice(0, 20), equations));
    const trained = await start(['train', 'problems', ...SMALL, '--maxSteps=80', '--outDir=run']);
    expect(trained).toMatchObject({ code: 0 });
    expect(trained.stdout).toMatch(/by the text alone +[\d.]+ % {2}\(.*\) {2}\d+ of \d+\n/);

    const whole = await start(['train', 'problems', ...SMALL, '--maxSteps=40', '--outDir=half']);
    expect(whole).toMatchObject({ code: 0 });
    const resumed = await start(['train', '--resume', 'half', '--maxSteps=80']);
    expect(resumed).toMatchObject({ code: 0 });

    const measured = await run(['eval', '--checkpoint', 'run', '--json']);
    expect(measured).toMatchObject({ code: 0 });
    const lines = measured.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(21);
    expect(lines[0]).toMatchObject({ numbers: problems[0]!.numbers, expected: problems[0]!.answer });
    expect(lines.at(-1)).toMatchObject({ count: 20 });

    const text = 'Ada had 31 pears. She lost 4. How many pears are left?';
    const solved = await run(['predict', text, '--checkpoint', 'run', '--json']);
    expect(solved).toMatchObject({ code: 0 });
    expect(JSON.parse(solved.stdout)).toMatchObject({ text, numbers: [{ value: 31 }, { value: 4 }] });
    const shown = await run(['predict', text, '--checkpoint', 'run']);
    expect(shown.stdout).toMatch(/ = [\d.-]+ {3}\([\d.]+ % sure\)\nreads /);
    const refused = await run(['predict', 'how many?', '--checkpoint', 'run']);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the text has no number in digits'),
    });
    const inJson = await run(['predict', 'how many?', '--checkpoint', 'run', '--json']);
    expect({ ...inJson, stdout: JSON.parse(inJson.stdout) as unknown }).toMatchObject({
      ...{ code: 1, stderr: '' },
      stdout: {
        text: 'how many?',
        value: null,
        refused: 'the text has no number in digits',
        confidence: null,
      },
    });
    const typed = spawnSync(process.execPath, [DAG, 'predict', '--checkpoint', 'run'], {
      ...{ cwd: folder, encoding: 'utf8', input: `${text}\n\nhow many?\n` },
    });
    expect(typed).toMatchObject({ status: 0, stderr: 'dag: the text has no number in digits\n' });
    expect(typed.stdout).toMatch(/^\S.* = [\d.-]+ {3}\([\d.]+ % sure\)\n$/);

    const predicted = JSON.parse(solved.stdout) as { value: number; raw: number; confidence: number };
    await writeFile(join(folder, 'mine.txt'), `${text}\t27\n\nHow many?\t3\n12 - 5\n${text}\tInfinity\n`);
    const asked = ['eval', '--checkpoint', 'run', '--expressions', 'mine.txt'];
    const answers = (await run([...asked, '--json'])).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const { value, raw, confidence } = predicted;
    expect(answers).toMatchObject([
      { text, numbers: [31, 4], expected: 27, value, raw, ok: value === 27, confidence },
      { text: 'How many?', expected: 3, value: null, ok: false, refused: 'the text has no number in digits' },
      { text: '12 - 5', numbers: [12, 5], expected: 7 },
      { text, expected: 'Infinity', value, ok: false },
      { count: 4, byOperations: {}, byOperator: {} },
    ]);
    expect((await run(asked)).stdout).toMatch(
      /\n {2}How many\?\n {2}refused: the text has no number in digits, right is 3\n/,
    );
    await writeFile(join(folder, 'mine.txt'), 'How many are 3 pears?\n');
    expect(await run(asked)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('mine.txt, line 1: '),
    });
    expect(await run([...asked, '--runtime=onnx'])).toMatchObject({
      ...{ code: 1, stderr: expect.stringContaining('this is a model of word problems') },
    });

    const report = await run(['report', 'run', '--out', 'report.html']);
    expect(report).toMatchObject({ code: 0 });
    expect(await readFile(join(folder, 'report.html'), 'utf8')).toContain(
      'a model of word problems is asked no expressions',
    );
  });

  it('says what is missing in the folder of problems', async () => {
    const { code, stderr } = await start(['train', 'problems', '--data.problems=none', '--outDir=run2']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('none has no train.csv')]);
  });
});
