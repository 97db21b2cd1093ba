/**
 * Training by two processes over MPI against one, each of one thread and with the same texts a step: `npx jiti bench/mpi.ts`,
 * after a build, prints one JSON object. Rounds of one process, of two that know nothing of each other, and of two over MPI take
 * turns; `times` is the median of how many texts a second two processes train over MPI for each of one, `apart` that of two by
 * themselves: what the cores give. `MPIRUN` is the launcher, `mpirun` where left out.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROUNDS = 3;
const STEPS = 140;
/** Of a run; until then workers start and code is compiled, that of the workers too. */
const WARM_UP = 80;
const dag = fileURLToPath(new URL('../packages/train/bin/dag.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'dag-mpi-'));

const environment = {
  ...process.env,
  DAG_NUM_THREADS: '1',
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
};

const run = promisify(execFile);

/** Mean seconds of a step of the built-in `predictor`. */
async function stepSeconds(ranks: number, name: string): Promise<number> {
  const outDir = join(folder, name);
  const options = [`--maxSteps=${STEPS}`, '--logEvery=1', '--evaluation.examples=1', `--outDir=${outDir}`];
  const words = [process.execPath, dag, 'train', 'predictor', ...options];
  const launcher =
    ranks > 1 ? [process.env['MPIRUN'] ?? 'mpirun', '--bind-to', 'none', '-np', String(ranks)] : [];
  const [command, ...args] = [...launcher, ...words];
  await run(command!, args, { env: environment });
  const lines = readFileSync(join(outDir, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const steps = lines
    .flatMap((line) => (JSON.parse(line) as { stepMs?: number }).stepMs ?? [])
    .slice(WARM_UP);
  return steps.reduce((a, b) => a + b) / steps.length / 1000;
}

const rounds: Record<'load' | 'one' | 'twoApart' | 'two' | 'apart' | 'times', number>[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const one = await stepSeconds(1, `one-${round}`);
  const both = await Promise.all(['a', 'b'].map((name) => stepSeconds(1, `${name}-${round}`)));
  const two = await stepSeconds(2, `two-${round}`);
  const apart = both.reduce((sum, seconds) => sum + one / seconds, 0);
  const twoApart = (both[0]! + both[1]!) / 2;
  rounds.push({ load: loadavg()[0]!, one, twoApart, two, apart, times: (2 * one) / two });
}
rmSync(folder, { recursive: true });
const median = (of: 'apart' | 'times'): number =>
  rounds.map((round) => round[of]).toSorted((a, b) => a - b)[ROUNDS >> 1]!;
console.log(JSON.stringify({ times: median('times'), apart: median('apart'), rounds }));
