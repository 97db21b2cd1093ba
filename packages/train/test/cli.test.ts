import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { readCheckpoint, writeCheckpoint } from '../src/checkpoints/checkpoint.js';
import { CONFIG_NAMES } from '../src/config/load.js';
import { ended, type Outcome } from './ended.js';
import { runHere } from './run-here.js';
import { onnxIt } from '../../model/test/onnxruntime.js';

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));

/** Where a command runs, and whether as a process of its own. */
interface How {
  readonly cwd?: string;
  readonly by?: typeof dag;
}

/** Starts the command as a process; `interruptAt`: a text on stderr at which it gets SIGINT. */
const start = (args: readonly string[], { cwd, interruptAt }: { cwd?: string; interruptAt?: string } = {}) =>
  ended(process.execPath, [DAG, ...args], { cwd: cwd ?? folder, interruptAt });

const dag = (args: readonly string[], { cwd = folder }: { cwd?: string } = {}) => runHere(args, cwd);

async function succeeds(args: readonly string[], { cwd, by = dag }: How = {}): Promise<string> {
  const outcome = await by(args, cwd === undefined ? {} : { cwd });
  expect(outcome).toMatchObject({ code: 0 });
  return outcome.stdout;
}

/** Fails with exit code 1 and one message, which is no stack trace. */
async function fails(args: readonly string[], message: RegExp, { cwd, by = dag }: How = {}): Promise<void> {
  const { code, stdout, stderr } = await by(args, cwd === undefined ? {} : { cwd });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^\s+at /m);
}

const inShell = (command: string): Promise<Outcome> =>
  new Promise((resolve) => {
    const env = { ...process.env, DAG: `${process.execPath} ${DAG}`, RUN: run };
    execFile('bash', ['-c', command], { cwd: folder, env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])]);
const answerLine = z.strictObject({
  text: z.string(),
  expected: number,
  value: number.nullable(),
  expression: z.string(),
  ok: z.boolean(),
  ...{ confidence: z.number().min(0).max(1).optional(), refused: z.string().optional() },
  doubt: z.string().nullable(),
});
const share = z.number().min(0).max(1);
const score = {
  count: z.int(),
  ...{ value: share, exact: share, refused: share, plan: share },
  ...{ digits: share, signs: share, operands: share, domains: share },
  intervals: z.record(z.enum(['value', 'exact', 'plan']), z.tuple([share, share])),
};
const scores = z.record(z.string(), z.strictObject(score));
const reliability = z.strictObject({
  ...{ count: z.int(), ece: share },
  bins: z.array(z.strictObject({ count: z.int(), confidence: share, right: share })),
  riskCoverage: z.array(z.strictObject({ coverage: share, risk: share })),
});
const summary = {
  ...score,
  ...{ byOperations: scores, byDigits: scores, byNesting: scores, byStyle: scores },
  reliability: reliability.optional(),
};
const summaryLine = z.strictObject({
  ...summary,
  beyond: z.record(z.string(), z.strictObject(summary)),
  seen: z
    .strictObject({ texts: z.int(), of: z.int(), groups: z.record(z.string(), z.strictObject(summary)) })
    .nullable(),
  prefixes: z.strictObject({ count: z.int(), right: z.int() }).nullable(),
  failures: z.array(
    z.strictObject({
      ...{ text: z.string(), expected: number, value: number.nullable(), expression: z.string() },
      ...{ refused: z.string().optional() },
      ...{ predicted: z.string().nullable(), right: z.string().nullable() },
    }),
  ),
});
const predicted = z.object({
  text: z.string(),
  value: number,
  expression: z.string(),
  doubt: z.string().nullable(),
  checkpoint: z.string(),
});

/** What `dag eval --json` prints: an object for each expression, and the summary. */
function evaluation(stdout: string) {
  const lines = stdout.trimEnd().split('\n');
  return {
    answers: lines.slice(0, -1).map((line) => answerLine.parse(JSON.parse(line))),
    summary: summaryLine.parse(JSON.parse(lines.at(-1)!)),
  };
}

/** With a readout that refuses no text. */
const TINY = [
  '--readout=linear',
  '--maxSteps=12',
  '--tokenizer=char',
  '--blockSize=32',
  '--depth=2',
  '--nLayer=1',
  '--nEmbd=8',
  '--batchSize=4',
  '--evaluation.examples=10',
  '--logEvery=5',
];

let folder: string;
let run: string;
let trained: Outcome;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dag-cli-'));
  run = join(folder, 'runs', 'tiny');
  trained = await start(['train', ...TINY, '--name=tiny']);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('dag --help', () => {
  it.each([[[]], [['train']], [['eval']], [['predict']], [['report']], [['export']], [['prepare']]])(
    'fits 80 columns: dag %p --help',
    async (command) => {
      const help = await succeeds([...command, '--help']);
      expect(help).toMatch(/^Usage: dag/);
      expect(help.split('\n').filter((line) => line.length > 80)).toEqual([]);
    },
  );

  it('of train names every key with its default', async () => {
    const help = await succeeds(['train', '--help'], { by: start });
    // What a bare `dag train` has, and what a configuration that says nothing.
    expect(help.replaceAll(/\n {8,}/g, ' ')).toMatch(
      /^ +model\.nEmbd +.*\[128; 32 if a configuration leaves it out\]$/m,
    );
    expect(help).toMatch(/^ +model\.nLayer +.*\[2\]$/m);
    expect(help).toMatch(/^ +weights +.*\[?scratch/m);
    expect(help).toMatch(/^ +losses\.execution +/m);
    expect(help).toMatch(/^ +kind +predictor, language, problems \[predictor\]$/m);
    expect(help.replaceAll(/\s+/g, ' ')).toContain(`name of a built-in one: ${CONFIG_NAMES.join(', ')} (`);
    // Defaults of word problems that are not those of a predictor.
    expect(help).toMatch(/word problems \(--kind=problems\):[^]*^ +model\.nEmbd +.*\[96\]$/m);
  });
});

it('dag --version prints the version of the package', async () => {
  const { version } = JSON.parse(
    await readFile(new URL('../package.json', import.meta.url), 'utf8'),
  ) as Record<string, string>;
  for (const option of ['--version', '-V']) expect(await succeeds([option])).toBe(`${version}\n`);
});

describe('dag train', () => {
  it('trains, shows its progress on stderr, and says what it came to', () => {
    expect(trained.code).toBe(0);
    const lines = trained.stderr.trimEnd().split('\n');
    expect(lines.filter((line) => line.startsWith('step ')).map((line) => line.split(/[\s:]+/)[1])).toEqual([
      '5/12',
      '10/12',
      '12/12',
      '12',
    ]);
    expect(trained.stdout).toMatch(/^ *texts +value +\(95 %\) +exact +plan +V_mag +V_sign +O +G\n/);
    expect(trained.stdout).toMatch(/\ncheckpoint: runs\/tiny\/checkpoints\/step-00000012\n$/);
  });

  it('prints one object with --json', async () => {
    const stdout = await succeeds(['train', '--json', ...TINY, '--maxSteps=1', '--name=json'], { by: start });
    const result = z
      .strictObject({
        step: z.literal(1),
        checkpoint: z.string(),
        elapsed: z.number(),
        waited: z.number(),
        summary: z.strictObject(summary),
      })
      .parse(JSON.parse(stdout));
    expect(result.summary.count).toBe(10);
    await rm(join(folder, 'runs', 'json'), { recursive: true });
  });

  it('takes a file of JSON, or of TypeScript that imports the package, and the options over it', async () => {
    const cwd = await mkdtemp(join(folder, 'config-'));
    const config = { maxSteps: 3, batchSize: 2, model: { depth: 2, nLayer: 1, nEmbd: 8 } };
    await writeFile(join(cwd, 'a.json'), JSON.stringify({ ...config, name: 'a' }));
    await writeFile(
      join(cwd, 'b.ts'),
      `import { defineConfig } from '@dag/train';\nexport default defineConfig(${JSON.stringify({ ...config, name: 'b' })});`,
    );
    for (const [file, name] of [
      ['a.json', 'a'],
      ['b.ts', 'b'],
    ] as const) {
      const options = ['--max-steps=2', '--evaluation.examples=2'];
      expect(await succeeds(['train', file, ...options], { cwd, by: start })).toContain(
        `runs/${name}/checkpoints/step-00000002`,
      );
    }
  });

  it('saves at SIGINT and ends well, with the command that goes on', async () => {
    const cwd = await mkdtemp(join(folder, 'stop-'));
    const args = ['train', ...TINY, '--maxSteps=1000000', '--logEvery=1', '--evaluation.every=2'];
    const { code, stdout, stderr } = await start(args, { cwd, interruptAt: 'step 4/' });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const [, step, command] =
      /^stopped at step (\d+) of 1000000; resume with: npx @dag\/train (.*)$/m.exec(stdout) ?? [];
    expect(Number(step)).toBeGreaterThanOrEqual(4);
    expect(stdout).toContain(`step-${step!.padStart(8, '0')}`);
    expect(command).toBe('train --resume runs/predictor');

    const last = Number(step) + 2;
    const resumed = await start([...command!.split(' '), `--maxSteps=${last}`], { cwd });
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain(`resuming from runs/predictor/checkpoints/step-`);
    expect(resumed.stderr).toContain(`step ${last}/${last}`);
  });

  it('trains on WebAssembly', async () => {
    const args = ['train', ...TINY, '--name=wasm', '--maxSteps=1', '--device=wasm'];
    expect(await succeeds(args, { by: start })).toContain('checkpoint: runs/wasm/checkpoints/step-00000001');
    await rm(join(folder, 'runs/wasm'), { recursive: true });
  });

  it('writes the same state.json where it was stopped and resumed by its folder as where it never stopped', async () => {
    const [whole, parts] = [await mkdtemp(join(folder, 'whole-')), await mkdtemp(join(folder, 'parts-'))];
    const words = ['train', ...TINY, '--name=run', '--evaluation.every=1'];
    await succeeds([...words, '--maxSteps=3'], { cwd: whole, by: start });
    await succeeds([...words, '--maxSteps=2'], { cwd: parts, by: start });
    await succeeds(['train', '--resume', 'runs/run', '--maxSteps=3'], { cwd: parts, by: start });
    const [one, other] = [whole, parts].map((cwd) =>
      readFileSync(join(cwd, 'runs/run/checkpoints/step-00000003/state.json'), 'utf8'),
    );
    expect(other).toBe(one);
  });

  it('takes the value of an option behind a blank too, and goes on with a run by its folder alone', async () => {
    const cwd = await mkdtemp(join(folder, 'blank-'));
    const first = await start(['train', ...TINY, '--maxSteps', '2', '--outDir', 'run', '--seed', '7'], {
      cwd,
    });
    expect(first.stdout).toContain('run/checkpoints/step-00000002');
    const resumed = await start(['train', '--resume', 'run', '--maxSteps', '3'], { cwd });
    expect(resumed.stderr).toContain('resuming from run/checkpoints/step-00000002');
    expect(resumed.stdout).toContain('run/checkpoints/step-00000003');
    expect((await readCheckpoint(join(cwd, 'run/checkpoints/step-00000003'))).state).toMatchObject({
      config: { seed: 7, resume: false, maxSteps: 3 },
    });
    await fails(
      ['train', '--resume', 'run', '--weights=pretrained'],
      /--resume continues with the weights of run; .*--weights=pretrained, leave out --resume/,
    );
    await fails(
      ['train', '--resume', 'run/checkpoints/step-00000002'],
      /is a checkpoint, .*--resume run .*--resume=best run .*--weights=run\/checkpoints\/step-00000002/,
    );
    await fails(['train', '--resume=best', 'run', '--seed=8'], /was trained with seed = 7/, { cwd });
    // What the folder means beside a configuration is not said.
    await fails(['train', 'predictor-small', '--resume', 'run'], /given predictor-small and the run run/);
    await fails(['train', '--resume', 'run', '--seed=8'], /was trained with seed = 7/, { cwd, by: start });
  });

  it.each<[string, string[], RegExp]>([
    ['an unknown key', ['--nembed=8'], /--nembed=8: unknown option; did you mean --model\.nEmbd\?/],
    ['a key of every object', ['--__proto__=1'], /--__proto__=1: unknown option/],
    ['a wrong value', ['--lr=fast'], /--lr=fast: optimizer\.lr is 'fast'; allowed: a number > 0/],
    ['an option without a value', ['--lr'], /--lr has no value; options are written --key=value/],
    ['two configurations', ['a.ts', 'b.ts'], /one configuration expected, given a\.ts and b\.ts/],
    ['a file that is not there', ['nowhere.ts'], /nowhere\.ts: cannot be (read|loaded)/],
  ])('refuses %s', async (_, args, message) => {
    await fails(['train', ...TINY, ...args], message);
  });

  it.each<[string, string[], RegExp]>([
    ['a folder that is used', ['--name=tiny'], /runs\/tiny already holds a run .*--resume continues it/],
    ['nothing to go on from', ['--name=none', '--resume'], /no checkpoint in .*runs\/none/],
    [
      'no room for any expression',
      ['--style=words', '--blockSize=1', '--name=x'],
      /fits into model\.blockSize/,
    ],
    [
      'weights that grow beyond all bounds',
      ['--readout=decisions', '--lr=1e20', '--maxSteps=1', '--name=y'],
      /this model computes .* not finite, after step 1; try a lower optimizer\.lr/,
    ],
  ])('ends with a message and code 1 where a run cannot begin: %s', async (_, args, message) => {
    // A process of its own: from here on one listens for signals.
    await fails(['train', ...TINY, ...args], message, { by: start });
  });
});

describe('dag eval', () => {
  it('prints an object a line for each held-out expression with --json, and last the summary', async () => {
    const { answers, summary } = evaluation(await succeeds(['eval', '--json', '--checkpoint', run]));
    expect(answers).toHaveLength(10);
    expect(summary.count).toBe(10);
    expect(summary.value).toBe(answers.filter(({ ok }) => ok).length / 10);
    expect(summary.failures.map(({ text }) => text)).toEqual(
      answers.filter(({ ok }) => !ok).map(({ text }) => text),
    );
    // The plan of this model has no room for a third number.
    expect(summary.beyond).toMatchObject({ 'an operation more': { plan: 0 }, 'a digit more': {} });
    expect(
      evaluation(await succeeds(['eval', '--json', '--examples=3', '--checkpoint', run])).answers,
    ).toEqual(answers.slice(0, 3));
  });

  it('asks expressions that chose no checkpoint, or those of another seed, and says what training has seen of them', async () => {
    const asked = async (...options: string[]) =>
      evaluation(await succeeds(['eval', '--json', '--checkpoint', run, ...options]));
    const [reported, next, chose] = [await asked(), await asked('--seed=2'), await asked('--seed=1')];
    expect(next).toEqual(reported);
    const textsOf = ({ answers }: typeof reported) => answers.map(({ text }) => text);
    expect(textsOf(chose)).not.toEqual(textsOf(reported));
    const { seen, prefixes, count } = reported.summary;
    expect(seen!.texts).toBe(seen!.of);
    const { groups } = seen!;
    expect((groups['skeleton seen']?.count ?? 0) + (groups['skeleton not seen']?.count ?? 0)).toBe(count);
    expect(prefixes!.count).toBeGreaterThan(count);
    expect(prefixes!.right).toBeLessThan(prefixes!.count);
    const table = await succeeds(['eval', '--checkpoint', run]);
    expect(table).toMatch(/^prefixes that are expressions: \d+ of \d+ values right$/m);
    expect(table).toMatch(/^by overlap with \d+ of the \d+ training texts:$/m);
  });

  it('asks the expressions of a file', async () => {
    const file = join(folder, 'expressions.txt');
    const long = '1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10';
    await writeFile(file, `2.5 * 3\r\n\n1 / 0\ntwo plus three\n2 + 3\t7\n1 - 1 / 0\t-Infinity\n${long}\n`);
    const { answers, summary } = evaluation(
      await succeeds(['eval', '--json', '--checkpoint', run, '--expressions', file]),
    );
    expect(answers.map(({ text, expected }) => [text, expected])).toEqual([
      ['2.5 * 3', 7.5],
      ['1 / 0', 'Infinity'],
      ['two plus three', 5],
      ['2 + 3', 7],
      ['1 - 1 / 0', '-Infinity'],
      [long, 55],
    ]);
    expect(answers.at(-1)).toMatchObject({ value: 'NaN', expression: '', ok: false });
    expect(summary).toMatchObject({ count: 6, beyond: {}, seen: null, prefixes: null });
  });

  it('is a table without --json, and shows what was wrong', async () => {
    const file = join(folder, 'wrong.txt');
    await writeFile(file, 'hello\t123456789\n12 * 34\n');
    const asked = ['eval', '--checkpoint', run, '--expressions', file];
    const stdout = await succeeds(asked);
    expect(stdout).toMatch(/step-00000012\n\n *texts .*\n(.*\n)*all +2 +0\.0 /);
    expect(stdout).toMatch(
      /wrong \(2 of 2\):\n\n {2}hello = 123456789\n {2}predicted: .*\n(.*\n)* {2}right:\n {4}none\n/,
    );
    expect(stdout).toMatch(
      /\n {2}12 \* 34 = 408\n(.*\n)* {2}right:\n {4}n0 = 12 {3}n1 = 34\n {4}s0 = n0 × n1\n/,
    );
    expect(await succeeds([...asked, '--failures=1'])).toMatch(/wrong \(1 of 2\)/);
  });

  it('says why a text was refused, after the wrong answers', async () => {
    const file = join(folder, 'refused.txt');
    await writeFile(file, '2 + wombat\t4\n2 + 2\t5\n');
    expect(await succeeds(['eval', '--expressions', file])).toMatch(
      /wrong or refused \(2 of 2\):\n\n {2}2 \+ 2 = 5\n {2}predicted: 4\n[^]*\n {2}2 \+ wombat = 4\n {2}refused: the text has `wombat`/,
    );
    const { summary } = evaluation(await succeeds(['eval', '--json', '--expressions', file]));
    expect(summary.failures).toMatchObject([
      { text: '2 + 2', value: 4 },
      { text: '2 + wombat', value: null, refused: expect.stringContaining('wombat') },
    ]);
  });

  it.each<[string, string | null, RegExp]>([
    ['a file that is not there', null, /expressions cannot be read: ENOENT/],
    ['a line that is no expression', '1 + 2\n2 +\n', /, line 2: '2 \+' is not an expression/],
    ['an expected value that is no number', '2 + 3\tfive\n', /, line 1: the expected value 'five'/],
    [
      'one beyond the largest number',
      '2 + 3\t1e999\n',
      /the expected value '1e999' of '2 \+ 3' is not a number/,
    ],
    ['an empty file', '\n', /contains no expression/],
  ])('refuses %s', async (_, text, message) => {
    const file = join(folder, 'expressions');
    if (text !== null) await writeFile(file, text);
    await fails(['eval', '--checkpoint', run, '--expressions', file], message);
    await rm(file, { force: true });
  });

  it('refuses what only chooses held-out expressions beside a file of them', async () => {
    for (const option of ['--examples=3', '--seed=3'])
      await fails(
        ['eval', '--expressions', 'some.txt', option],
        /--(examples|seed) chooses held-out expressions, and --expressions names others; leave one out/,
      );
  });

  it('refuses a number of examples that is none', async () => {
    await fails(
      ['eval', '--checkpoint', run, '--examples=some'],
      /a whole number from 1 to 1000000 is expected/,
    );
  });
});

describe('dag predict', () => {
  it('gives the value that eval gives for the same text', async () => {
    const { answers } = evaluation(await succeeds(['eval', '--json', '--examples=3', '--checkpoint', run]));
    for (const { text, value, expression } of answers) {
      const line = await succeeds(['predict', text, '--json', '--checkpoint', run]);
      expect(predicted.parse(JSON.parse(line))).toMatchObject({ text, value, expression });
    }
  });

  it('takes the newest run in ./runs as the latest checkpoint', async () => {
    const asked = ['predict', '2 + 3', '--json', '--checkpoint=latest'];
    const { checkpoint } = predicted.parse(JSON.parse(await succeeds(asked)));
    expect(checkpoint).toBe('runs/tiny/checkpoints/step-00000012');
  });

  it('asks the shipped model where no checkpoint is given, and prints the expression, its value and the steps', async () => {
    expect(await succeeds(['predict', '2.5 * 3.0 + 1.0'], { by: start })).toBe(
      '2.5 * 3 + 1 = 8.5\n\nn0 = 2.5   n1 = 3   n2 = 1\ns0 = n0 × n1\ns1 = s0 + n2\nvalue = s1\n',
    );
    const asked = ['two point five times three', 'What is 2.5 times 3?', '2.5×3 ='];
    for (const text of asked)
      expect(predicted.parse(JSON.parse(await succeeds(['predict', text, '--json'])))).toMatchObject({
        ...{ text, value: 7.5, expression: '2.5 * 3' },
        checkpoint: expect.stringMatching(/weights\/reading$/),
      });
  });

  it('says of a text that the model refuses why, on stderr or in JSON, and exits with 1', async () => {
    const why = 'the text has `wombat`, which this model has never seen';
    const text = 'what is 2 times wombat';
    expect(await dag(['predict', text])).toMatchObject({ code: 1, stdout: '', stderr: `dag: ${why}\n` });
    const { code, stdout, stderr } = await dag(['predict', text, '--json', '--checkpoint', 'reading']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ text, value: null, refused: why });
  });

  it('says on stderr and in JSON why a value may be wrong, and nothing where nothing speaks against it', async () => {
    const latest = ['--checkpoint=latest'];
    const { code, stdout, stderr } = await dag(['predict', '2^3', '--json', ...latest]);
    expect(code).toBe(0);
    const { doubt } = predicted.parse(JSON.parse(stdout));
    expect(stderr).toBe(`dag: this may be wrong: ${doubt}\n`);
    const sure = await dag(['predict', '2 + 3', '--json']);
    expect(sure.stderr).toBe('');
    expect(predicted.parse(JSON.parse(sure.stdout))).toMatchObject({ value: 5, doubt: null });
  });

  it('answers the lines of the standard input, one by one', async () => {
    const asked = spawnSync(process.execPath, [DAG, 'predict'], {
      input: '3 plus 4\n\nhello world\nhalf of 15% of 80\n',
      encoding: 'utf8',
    });
    expect(asked.status).toBe(0);
    expect(asked.stdout).toMatch(
      /^3 \+ 4 = 7 {3}\(\d+\.\d % sure\)\n0\.5 \* 0\.15 \* 80 = 6 {3}\(\d+\.\d % sure\)\n$/,
    );
    expect(asked.stderr).toBe('dag: the text cannot be read: no number\n');
  });

  it('says of a folder as the standard input that it cannot be read', async () => {
    expect(await inShell('$DAG predict < .')).toEqual({
      ...{ code: 1, stdout: '', stderr: 'dag: the standard input cannot be read: it is a folder\n' },
    });
  });

  it.each([
    [['-2 + 3', '--json']],
    [['--json', '-(2 + 3)']],
    [['--json', '-2']],
    [['--json', '--', '-2 + 3']],
    [['-two plus three', '--json']],
    [['--json', '-two']],
  ])('reads a text that begins with a minus: %p', async (args) => {
    const line = await succeeds(['predict', '--checkpoint=latest', ...args]);
    expect(predicted.parse(JSON.parse(line)).text).toBe(args.find((arg) => /^-[^-]/.test(arg)));
  });

  it('refuses an empty text, and one that is too long', async () => {
    await fails(['predict', '', '--checkpoint=latest'], /the text is empty/);
    await fails(['predict', '  ', '--checkpoint=latest'], /the text is empty/);
    await fails(
      ['predict', '1 + '.repeat(20), '--checkpoint=latest'],
      /has 79 characters, the 32 tokens that this model reads have at most 64/,
    );
  });

  it('says how to train one where there is no checkpoint', async () => {
    const cwd = await mkdtemp(join(folder, 'empty-'));
    const latest = ['predict', '2 + 3', '--checkpoint=latest'];
    await fails(latest, /no checkpoint in any folder of runs; `dag train` makes one/, { cwd });
    await fails(['predict', '2 + 3', '--checkpoint', 'nowhere'], /nowhere does not exist/, { cwd });
  });

  it('names a damaged checkpoint, and goes on with a sound one where a run has one', async () => {
    const damaged = join(folder, 'damaged');
    await cp(join(run, 'checkpoints', 'step-00000012'), damaged, { recursive: true });
    await truncate(join(damaged, 'model.safetensors'), 100);
    await fails(
      ['predict', '2 + 3', '--checkpoint', damaged],
      /damaged: model\.safetensors has 100 bytes instead of/,
    );
    await fails(['eval', '--json', '--checkpoint', damaged], /damaged: model\.safetensors/);

    const two = join(folder, 'two');
    await cp(run, two, { recursive: true });
    const args = [...TINY, `--outDir=${two}`, '--maxSteps=13', '--init_from=resume'];
    expect((await start(['train', ...args, '--name=tiny'])).code).toBe(0);
    await truncate(join(two, 'checkpoints', 'step-00000013', 'model.safetensors'), 100);
    const { code, stdout, stderr } = await dag(['predict', '2 + 3', '--json', '--checkpoint', two]);
    expect(code).toBe(0);
    expect(predicted.parse(JSON.parse(stdout)).checkpoint).toMatch(/step-00000012$/);
    expect(stderr).toMatch(/^dag: skipped: .*step-00000013 is damaged/);
  });
});

describe('dag report', () => {
  it('writes a page into the folder of the run, and says where', async () => {
    const file = join('runs', 'tiny', 'report.html');
    expect(await succeeds(['report', 'runs/tiny'], { by: start })).toMatch(
      /^runs\/tiny\/report\.html: \d+ kB\n$/,
    );
    const page = await readFile(join(folder, file), 'utf8');
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toContain('<h1>tiny</h1>');
    expect(page).toContain('step-00000012');
    expect(page.match(/<svg\s+class="plan"/g)).toHaveLength(16);
    await rm(join(folder, file));
  });

  it('draws as many plans as it is told, into the file that it is told, of the newest run', async () => {
    const out = join(folder, 'page.html');
    const stdout = await succeeds(['report', 'latest', '--examples=3', '--out', out]);
    expect(stdout).toMatch(/page\.html: /);
    expect((await readFile(out, 'utf8')).match(/<svg\s+class="plan"/g)).toHaveLength(6);
  });

  it('leaves out a line that was cut off, and says so on the page', async () => {
    const cut = join(folder, 'cut');
    await cp(run, cut, { recursive: true });
    await appendFile(join(cut, 'metrics.jsonl'), '{"step":13,"lo');
    await succeeds(['report', cut, '--examples=0']);
    const page = await readFile(join(cut, 'report.html'), 'utf8');
    expect(page).toContain('One line of metrics.jsonl is damaged and was skipped.');
    expect(page).not.toContain('class="plan"');
  });

  it('shows no plans of a model of a task from outside, but all else', async () => {
    const other = join(folder, 'other');
    await mkdir(other);
    await writeFile(
      join(other, 'metrics.jsonl'),
      '{"step":1,"loss":2}\n{"step":1,"heldOut":{"textLoss":3}}\n',
    );
    const config = { kind: 'gpt-of-mine', name: 'a-gpt' };
    const state = { step: 1, batches: 1, best: null, config };
    await writeCheckpoint(other, 1, new Map(), state, { keep: 1 });
    await succeeds(['report', other]);
    const page = await readFile(join(other, 'report.html'), 'utf8');
    expect(page).toContain('<h1>a-gpt</h1>');
    expect(page).toContain(
      'No plans are shown: only models of this package have plans to draw; this run trained',
    );
    expect(page).toContain('Held-out text loss');
  });

  it('refuses a folder that is no run', async () => {
    await fails(['report', 'nowhere'], /nowhere does not exist/);
    const empty = join(folder, 'nothing');
    await mkdir(empty);
    await fails(['report', empty], /nothing has no metrics\.jsonl; expected the folder of a run/);
    await writeFile(join(empty, 'metrics.jsonl'), '{"st');
    await fails(['report', empty], /metrics\.jsonl has no valid line yet/);
    await writeFile(join(empty, 'metrics.jsonl'), '{"step":1,"loss":2}\n');
    await fails(['report', empty], /no checkpoint in .*nothing/);
    await fails(['report', 'runs/tiny', '--examples=-1'], /a whole number from 0 is expected/);
  });

  it('names a file that cannot be written', async () => {
    const out = join(folder, 'no', 'page.html');
    await fails(['report', 'runs/tiny', '--out', out], /page\.html cannot be written: ENOENT.*; --out names/);
  });
});

describe('dag export', () => {
  it('writes an ONNX model', async () => {
    const file = join(folder, 'model.onnx');
    expect(await succeeds(['export', file, '--checkpoint', run])).toMatch(/^.*model\.onnx: \d+\.\d MB\n$/);
    await fails(
      ['export', join(folder, 'no', 'model.onnx'), '--checkpoint', run],
      /cannot be written: ENOENT/,
    );
  });

  onnxIt('and --runtime onnx runs it: the same answers', async () => {
    const file = join(folder, 'exported.txt');
    await writeFile(file, '2.5 * 3\nthe sum of 2 and 3\t5\nhello\tNaN\n');
    const asked = ['--json', '--checkpoint', 'reading'];
    const onnx = ['--runtime', 'onnx', ...asked];
    /** Numbers to five digits: the last bits of a confidence are those of the runtime. */
    const linesOf = (stdout: string): unknown[] =>
      stdout
        .trim()
        .split('\n')
        .map((line) =>
          JSON.parse(line, (_, x: unknown) => (typeof x === 'number' ? Number(x.toPrecision(5)) : x)),
        );
    const native = linesOf(await succeeds(['eval', '--expressions', file, ...asked]));
    expect(native).toMatchObject([{ ok: true }, { ok: true }, { ok: false }, { count: 3 }]);
    const exported = await succeeds(['eval', '--expressions', file, ...onnx], { by: start });
    expect(linesOf(exported)).toEqual(native);
    expect(linesOf(await succeeds(['predict', '2 + 3', ...onnx], { by: start }))).toEqual(
      linesOf(await succeeds(['predict', '2 + 3', ...asked])),
    );
  });
});

describe('dag report and dag export', () => {
  it('do not replace files of the run that they read', async () => {
    const step = join('runs', 'tiny', 'checkpoints', 'step-00000012');
    const metrics = join('runs', 'tiny', 'metrics.jsonl');
    const names = ['model.safetensors', 'optimizer.safetensors', 'state.json', 'manifest.json'];
    for (const file of [metrics, ...names.map((name) => join(step, name))]) {
      const before = await readFile(join(folder, file));
      await fails(['report', 'runs/tiny', '--out', file], /belongs to the model that is read; name another/);
      for (const checkpoint of ['runs/tiny', step])
        await fails(['export', file, '--checkpoint', checkpoint], /belongs to the model that is read/);
      expect(await readFile(join(folder, file))).toEqual(before);
    }
  });
});

describe('dag prepare', () => {
  it('writes token files, and says of how many tokens', async () => {
    const texts = await mkdtemp(join(folder, 'texts-'));
    await writeFile(join(texts, 'a.txt'), 'Hello world! Hello again');
    const prepare = ['prepare', join(texts, 'a.txt'), '--out', join(texts, 'data')];
    expect(await succeeds(prepare, { by: start })).toBe(
      `${join(texts, 'data')}: 5 tokens in train.bin, 2 in val.bin, of 1 file\n`,
    );
    const again = ['prepare', texts, '--out', join(texts, 'data'), '--tokenizer=char', '--val=0.5'];
    await fails(again, /data\/train\.bin exists already/);
    const { files, sha256, ...rest } = z
      .looseObject({
        sha256: z.strictObject({ train: z.string().length(64), val: z.string().length(64) }),
        files: z.array(z.object({ path: z.string(), bytes: z.number() })),
      })
      .parse(JSON.parse(await succeeds([...again, '--force', '--json'])));
    expect(files).toEqual([{ path: join(texts, 'a.txt'), bytes: 24 }]);
    expect(sha256.train).not.toBe(sha256.val);
    expect(rest).toEqual({
      ...{ out: join(texts, 'data'), tokenizer: 'char', vocabSize: 100 },
      ...{ tokens: { train: 12, val: 13 }, unknown: 0 },
    });
    const { length } = await readFile(join(texts, 'data', 'train.bin'));
    expect(length).toBe(24);
  });

  it('refuses what it cannot read, and options that are wrong', async () => {
    const out = ['--out', join(folder, 'prepared')];
    await fails(['prepare', 'nowhere.txt', ...out], /nowhere\.txt cannot be read: ENOENT/);
    await fails(['prepare', 'nowhere.txt'], /required option '--out <dir>' not specified/);
    await fails(['prepare', 'nowhere.txt', '--val=1', ...out], /a number above 0 and below 1 is expected/);
    await fails(['prepare', 'nowhere.txt', '--tokenizer=bpe', ...out], /Allowed choices are gpt2, char/);
  });
});

describe('dag', () => {
  it('knows no other command', async () => {
    await fails(['trian'], /unknown command 'trian'/, { by: start });
    await fails(['help', 'trian'], /unknown command 'trian'/);
    await fails(['export'], /missing required argument 'file'/);
  });

  it.each<[string, string[], RegExp]>([
    ['an option with a letter wrong', ['eval', '--jsn'], /unknown option '--jsn'; did you mean --json\?/],
    ['one behind a text', ['predict', '2 + 3', '--josn'], /option '--josn'; did you mean --json\?/],
    ['one before it', ['predict', '--josn', '2 + 3'], /option '--josn'; did you mean --json\?/],
    ['one with a dash too few', ['predict', '2 + 3', '-json'], /option '-json'; did you mean --json\?/],
    ['one of generate', ['generate', '-5 + 3 = ', '--topk=3'], /option '--topk=3'; did you mean --top-k\?/],
    ['one of train', ['train', '--josn'], /option '--josn'; did you mean --json\?/],
    [
      'one unlike any',
      ['predict', '--five'],
      /option '--five'; write a text that looks like an option after --/,
    ],
    ['one unlike any of a command without texts', ['export', 'x', '--five'], /option '--five'\n/],
    ['an option without its value', ['predict', '1', '--checkpoint'], /'--checkpoint <dir>' has no value/],
    ['an option in the place of a value', ['predict', '1', '--checkpoint', '--json'], /has no value/],
    ['an empty value', ['predict', '1', '--checkpoint='], /'--checkpoint <dir>' has no value/],
    ['a value of one without', ['predict', '1', '--json=1'], /'--json' takes no value, given '--json=1'/],
    ['a value of one without of train', ['train', '--json=1'], /'--json' takes no value, given '--json=1'/],
    [
      'a text without quotes',
      ['predict', '2', '+', '3'],
      /given '2', '\+', '3'; put a text with spaces in quotes/,
    ],
    ['an argument where none is', ['eval', 'runs'], /given 'runs'; a model is named by --checkpoint/],
    ['a file as checkpoint', ['predict', '1', '--checkpoint', DAG], /dag\.js is a file; the folder of/],
  ])('refuses %s', async (_, args, message) => {
    await fails(args, message);
  });

  it('shows control characters of texts and paths instead of having a terminal obey them', async () => {
    const file = join(folder, 'red\x1b[31m.txt');
    await writeFile(file, '1 + \u202e\x9b2J\n');
    const { stderr } = await dag(['eval', '--checkpoint', run, '--expressions', file]);
    expect(stderr).toMatch(/red\\u001b\[31m\.txt, line 1: '1 \+ \\u202e\\u009b2J'/);
    await writeFile(file, '\x1b[31mred\t5\n');
    expect(await succeeds(['eval', '--checkpoint', run, '--expressions', file])).toContain(
      '\n  \\u001b[31mred = 5\n',
    );
    expect((await dag(['predict', '1', '--\x1b'])).stderr).not.toContain('\x1b');
    expect((await dag(['predict', '2 + \x1b[31m3'])).stderr).not.toContain('\x1b');
  });

  it('fails with a message where its output cannot be written', async () => {
    for (const words of ['predict 1+1', 'eval', 'eval --json', 'export model.onnx'])
      expect(await inShell(`$DAG ${words} --checkpoint $RUN > /dev/full`)).toEqual({
        ...{ code: 1, stdout: '' },
        // The model of this test has learned next to nothing, and is doubted.
        stderr: expect.stringMatching(
          /^(dag: this may be wrong: .*\n)?dag: the output cannot be written: ENOSPC: no space left on device, write\n$/,
        ),
      });
  });

  it('ends with the code of SIGPIPE, without a word, where its reader has seen enough', async () => {
    expect(
      await inShell('$DAG eval --json --checkpoint $RUN | head -1; exit ${PIPESTATUS[0]}'),
    ).toMatchObject({
      ...{ code: 141, stderr: '' },
      stdout: expect.stringMatching(/^\{.*\}\n$/),
    });
  });

  it('does so too where that is the file that it writes', async () => {
    expect(
      await inShell('$DAG report $RUN --examples=4 --out /dev/stdout | head -c 20; exit ${PIPESTATUS[0]}'),
    ).toMatchObject({ code: 141, stderr: '' });
  });

  it('does the same where stderr cannot be written', async () => {
    for (const stderr of ['2> /dev/full', '2>&-', '2> >(true)']) {
      expect(await inShell(`$DAG predict 2 --checkpoint $RUN ${stderr}`)).toMatchObject({ code: 0 });
      expect(await inShell(`$DAG predict 2 --checkpoint nowhere ${stderr}`)).toMatchObject({ code: 1 });
    }
  });
});
