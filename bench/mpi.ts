/**
 * Training by two processes over MPI against one, each of one thread and with the same texts a step: `npx jiti bench/mpi.ts`,
 * after a build, prints one JSON object. Rounds of one and of two processes take turns; `times` is the median of how many
 * texts a second two processes train for each of one. `MPIRUN` is the launcher, `mpirun` where left out.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROUNDS = 3;
const STEPS = 60;
/** Of a run; until then workers start and code is compiled. */
const WARM_UP = 20;
const dag = fileURLToPath(new URL('../packages/train/bin/dag.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'dag-mpi-'));

const environment = {
  ...process.env,
  DAG_NUM_THREADS: '1',
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
};

/** Mean seconds of a step of the built-in `predictor`. */
function stepSeconds(ranks: number, name: string): number {
  const outDir = join(folder, name);
  const options = [`--maxSteps=${STEPS}`, '--logEvery=1', '--evaluation.examples=1', `--outDir=${outDir}`];
  const words = [process.execPath, dag, 'train', 'predictor', ...options];
  const launcher =
    ranks > 1 ? [process.env['MPIRUN'] ?? 'mpirun', '--bind-to', 'none', '-np', String(ranks)] : [];
  const [command, ...args] = [...launcher, ...words];
  execFileSync(command!, args, { env: environment, stdio: 'ignore' });
  const lines = readFileSync(join(outDir, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const steps = lines
    .flatMap((line) => (JSON.parse(line) as { stepMs?: number }).stepMs ?? [])
    .slice(WARM_UP);
  return steps.reduce((a, b) => a + b) / steps.length / 1000;
}

const rounds = Array.from({ length: ROUNDS }, (_, round) => {
  const [one, two] = [stepSeconds(1, `one-${round}`), stepSeconds(2, `two-${round}`)];
  return { load: loadavg()[0]!, oneSeconds: one, twoSeconds: two, times: (2 * one) / two };
});
rmSync(folder, { recursive: true });
const times = rounds.map((round) => round.times).toSorted((a, b) => a - b)[ROUNDS >> 1];
console.log(JSON.stringify({ times, rounds }));
