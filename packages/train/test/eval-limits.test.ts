import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'dag-eval-'))));
afterAll(() => rmSync(folder, { recursive: true }));

it.each([
  [
    '--examples=1000001',
    /--examples <n>' argument '1000001' is invalid\. a whole number from 1 to 1000000 is/,
  ],
  ['--expressions=lines.txt', /^dag: lines\.txt has more than 1000000 lines; split it\n$/],
])('dag eval asks no more texts than memory holds: %s', (option, message) => {
  writeFileSync(join(folder, 'lines.txt'), '1\n'.repeat(1_000_001));
  const { status, stderr } = spawnSync(process.execPath, [DAG, 'eval', option], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stderr).toMatch(message);
  expect(status).toBe(1);
});
