import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));

it.each(['--help', 'train --help', 'predict 1+2'])('dag %s on a full disk is an error', (words) => {
  const command = ['-c', `exec "$0" "$1" ${words} >/dev/full`, process.execPath, DAG];
  const { status, stderr } = spawnSync('sh', command, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(/^dag: the output cannot be written: ENOSPC: .*\n$/),
  });
});
