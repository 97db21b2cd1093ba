import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { ended } from './ended.js';

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));
const TINY = ['--tokenizer=char', '--depth=2', '--nLayer=1', '--nEmbd=8', '--batchSize=4', '--logEvery=1'];
/** An escape sequence, a turn of direction, and what shells make something of. */
const NAME = `a \x1b[31m\u202e'b"\\n`;

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'dag-shown-'))));
afterEach(() => rm(folder, { recursive: true }));

it('no terminal obeys the name of a folder, and the command that resumes a run has it all the same', async () => {
  const args = [DAG, 'train', ...TINY, '--maxSteps=1000000', '--evaluation.examples=2', `--outDir=${NAME}`];
  const stopped = await ended(process.execPath, args, { cwd: folder, interruptAt: 'step 1/' });
  expect(stopped.code).toBe(0);
  const [, step, resume] = /\nstopped at step (\d+) of .*; resume with: npx @dag\/train (.*)\n$/.exec(
    stopped.stdout,
  )!;
  const last = `--maxSteps=${Number(step) + 1}`;
  const resumed = await ended('bash', ['-c', `"$0" "$1" ${resume} ${last}`, process.execPath, DAG], {
    cwd: folder,
  });
  expect(resumed).toMatchObject({ code: 0, stderr: expect.stringContaining('resuming from a \\u001b[31m') });
  // eslint-disable-next-line no-control-regex
  for (const { stdout, stderr } of [stopped, resumed]) expect(stdout + stderr).not.toMatch(/[\x1b\u202e]/);
});
