import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const root = new URL('..', import.meta.url);
const isInstalled = spawnSync('mpirun', ['--version']).status === 0;
const skipped = isInstalled ? '' : ' (skipped: mpirun is not installed)';

(isInstalled ? test : test.skip)(
  `train-on-two-ranks trains one model by two processes${skipped}`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'train-on-two-ranks-'));
    try {
      const options = [`--outDir=${folder}/run`, '--maxSteps=20', '--evaluation.examples=40'];
      const { stdout } = await promisify(execFile)(
        'npm',
        ['run', '--silent', 'start', '--workspace=@dag/example-train-on-two-ranks', '--', ...options],
        {
          cwd: root,
          env: {
            ...process.env,
            DAG_NUM_THREADS: '1',
            OMPI_ALLOW_RUN_AS_ROOT: '1',
            OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
            OMPI_MCA_rmaps_base_oversubscribe: '1',
          },
        },
      );
      for (const rank of [0, 1]) expect(stdout).toContain(`rank ${rank} of 2: 20 steps of 32 texts`);
      // The same weights give the same value.
      const values = [...stdout.matchAll(/7 \* -8 = (\S+)/g)].map(([, value]) => value);
      expect(values).toEqual([values[0], values[0]]);
      expect(stdout).toMatch(/^2 processes by .*\n +texts value/m);
      expect(stdout.match(/^all +40 /gm)).toHaveLength(1);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  120_000,
);
