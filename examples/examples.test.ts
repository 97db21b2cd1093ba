import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const bin = fileURLToPath(new URL('../node_modules/.bin', import.meta.url));

/** What an example prints, from the built packages, as `npm start` runs it; npm itself would take longer than most of them. */
async function run(name: string, ...args: string[]): Promise<string> {
  const cwd = new URL(`${name}/`, import.meta.url);
  const found = JSON.parse(await readFile(new URL('package.json', cwd), 'utf8')) as {
    name: string;
    scripts: { start: string };
  };
  expect(found.name).toBe(`@dag/example-${name}`);
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}` };
  const words = ['-c', `${found.scripts.start} "$@"`, 'start', ...args];
  return (await promisify(execFile)('sh', words, { cwd, env })).stdout;
}

test('execute-expression prints the plan, the value and a gradient for each number', async () => {
  const output = await run('execute-expression');
  expect(output).toContain('s0 = n0 × n1\n  s1 = s0 + n2\n');
  expect(output).toContain('executed: 8.5\n');
  expect(gradients(output)).toEqual([3, 2.5, 1]);
});

test('execute-expression takes the expression from the command line', async () => {
  const output = await run('execute-expression', '0 * 4 - 3 / (1 - -1)');
  expect(output).toContain('executed: -1.5\n');
  // 0·a − 3/(b − c) by 0, a, 3, b and c.
  expect(gradients(output)).toEqual([4, 0, -0.5, 0.75, -0.75]);
});

test('execute-expression says what is wrong with a text that is no expression', async () => {
  await expect(run('execute-expression', '1 + sin(2)')).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^[^\n]*sin[^\n]*\n$/),
  });
});

test('normalize-only prints normal forms, without mathjs', async () => {
  const output = await run('normalize-only');
  const forms = [...output.matchAll(/^ {2}(.+)\n {2}→ (.+)$/gm)].map(([, before, after]) => [before, after]);
  expect(forms).toEqual([
    ['Mul(a, Pow(b, -1), Pow(c, -1))', 'Div(a, b, c)'],
    ['Add(a, Neg(b), Neg(c))', 'Sub(a, b, c)'],
    ['Sub(Sub(a, Neg(b)), -2)', 'Sub(Add(a, b), -2)'],
    ['Mul(-1, a)', 'Neg(a)'],
    ['Pow(a, -1)', 'Div(1, a)'],
    ['Sub(2, Neg(Div(x, 4)))', 'Add(2, Div(x, 4))'],
  ]);
  expect(output).toMatch(/loaded so far: 0\nafter importing @dag\/expr, parser and all: 0\n/);
});

test('plan-as-tex shows the plan of a text as TeX, with its value', async () => {
  const output = await run('plan-as-tex', 'seven minus twelve over (four plus 2)');
  expect(output).toMatch(/\nTeX: +7-\\frac\{12\}\{4\+2\}\nvalue: 5\n$/);
});

test('solve-in-words shows the plan of a problem, says it in words, and marks what is computed', async () => {
  const output = await run('solve-in-words', 'Mia had 12 pears and ate 5 of them. How many are left?');
  expect(output).toContain('n0 = 12   n1 = 5\n  s0 = n0 − n1\n');
  expect(output).toMatch(/^12 - 5 = 7, [\d.]+ % sure\nnumbers used: 12, 5; left out: none$/m);
  expect(output).toMatch(/^In words:\n {2}12 - 5 = «7» \w+/m);
  const [, solution] = /^A solution of its own:\n([^]*)$/m.exec(output)!;
  expect(solution).toMatch(/«[\d.,]+»/);
}, 60_000);

test('solve-in-words says why a text is no problem for it', async () => {
  await expect(run('solve-in-words', 'How many are left?')).rejects.toMatchObject({
    ...{ code: 1, stdout: '', stderr: 'How many are left?: the text has no number in digits\n' },
  });
});

test('fit-with-variables finds the constants, and its loss falls', async () => {
  const output = await run('fit-with-variables');
  const rows = [...output.matchAll(/^ +\d+ .*$/gm)].map(([line]) => line.trim().split(/ +/).map(Number));
  const losses = rows.map(([, loss]) => loss!);
  expect(losses).toEqual(losses.toSorted((a, b) => b - a));
  const [a, b] = /fitted +a = (\S+) +b = (\S+)/.exec(output)!.slice(1).map(Number);
  // The noise of 60 measurements, at most 0.1 each, moves the best fit by less than this.
  expect(Math.abs(a! - 1.7)).toBeLessThan(0.03);
  expect(Math.abs(b! - -0.8)).toBeLessThan(0.03);
});

test('your-own-task trains, saves, is reported on, and started again goes on where it was', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'your-own-task-'));
  try {
    const first = await run('your-own-task', folder);
    const [, error] = /^after 600 steps a squared error of (\S+) on other points$/m.exec(first)!;
    // That of a network that always says 0 is the mean of sin² 3x, 0.55.
    expect(Number(error)).toBeLessThan(0.05);
    expect(await run('your-own-task', folder)).toBe(first);
    const dag = fileURLToPath(new URL('../packages/train/bin/dag.js', import.meta.url));
    await promisify(execFile)(process.execPath, [dag, 'report', folder]);
    const page = await readFile(join(folder, 'report.html'), 'utf8');
    expect(page).toContain('<dd>600</dd>');
    expect(page).toMatch(/a model of kind .{1,6}curve/);
    await expect(
      promisify(execFile)(process.execPath, [dag, 'eval', '--checkpoint', folder]),
    ).rejects.toMatchObject({
      stderr: expect.stringContaining("holds a model of the task 'curve'"),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);

test('your-own-readout trains, is loaded by its name, and is exported', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'your-own-readout-'));
  try {
    const output = await run('your-own-readout', folder, '900');
    const [, operands, domains] = /operands \(O\) of (\S+) %[^]*domains \(G\) of (\S+) %/.exec(output)!;
    expect(Math.min(Number(operands), Number(domains))).toBeGreaterThan(90);
    expect(output).toMatch(
      /^7 - 2 is read as -?[\d.]+ - -?[\d.]+, which is -?[\d.]+\nas an ONNX graph: \d+ bytes$/m,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);

function gradients(output: string): number[] {
  return [...output.matchAll(/^ {2}d value \/ d n\d+ = (\S+)/gm)].map(([, number]) => Number(number));
}
