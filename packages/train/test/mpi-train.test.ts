import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { decodeSafetensors } from '@dag/model';
import { findCheckpoint, type Checkpoint } from '../src/checkpoints/checkpoint.js';
import { trainingBatch, type StreamConfig } from '../src/predictor/stream.js';
import { computeLosses, lossTokens } from '../src/predictor/losses.js';
import { streamConfig } from '../src/predictor/objective.js';
import { loadModel } from '../src/predictor/predictor-task.js';
import { configOfKind } from '../src/checkpoints/state.js';
import { prepareCuda } from '../../executor/test/prepare-cuda.js';
import { mpiDescribe, run, runRanks, type Mpirun, type Outcome, type RunOptions } from './mpirun.js';
import { twoHostsIt } from './two-hosts.js';

const DAG = fileURLToPath(new URL('../dist/cli/dag.js', import.meta.url));
const STEPS = 8;
const cudaIsMissing = prepareCuda();
/** A run of seconds: a model of width 8, dropout, two micro-batches a step. */
const TINY = ['predictor-small', '--depth=2', '--nLayer=1', '--nEmbd=8', '--accumulate=2', '--logEvery=1'];
const RARELY = ['--evaluation.examples=4', '--evaluation.every=1000', '--warmupSteps=3'];
const words = (name: string, options: readonly string[]): string[] => [
  'train',
  ...TINY,
  ...RARELY,
  '--batchSize=4',
  `--maxSteps=${STEPS}`,
  `--outDir=${join(root, name)}`,
  ...options,
];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dag-mpi-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const latest = (name: string): Promise<Checkpoint> =>
  findCheckpoint(join(root, name), 'latest', () => undefined);

async function lossesOf(name: string): Promise<number[]> {
  const lines = (await readFile(join(root, name, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  return lines.flatMap((line) => (JSON.parse(line) as { loss?: number }).loss ?? []);
}

/** The largest difference of a number of two models. */
function distance(a: Checkpoint, b: Checkpoint): number {
  const tensors = [a, b].map(({ files }) => decodeSafetensors(files.get('model.safetensors')!).tensors);
  let largest = 0;
  for (const [name, { data }] of tensors[0]!) {
    const other = tensors[1]!.get(name)!.data;
    for (let i = 0; i < data.length; i++)
      largest = Math.max(largest, Math.abs(Number(data[i]) - Number(other[i])));
  }
  return largest;
}

mpiDescribe((mpirun: Mpirun) => {
  const of = (name: string): string => `${mpirun.name.replace(' ', '-')}-${name}`;
  const train = (
    ranks: number,
    name: string,
    { options = [], ...rest }: RunOptions & { options?: readonly string[] } = {},
  ): Promise<Outcome> => runRanks(mpirun, ranks, [DAG, ...words(of(name), options)], rest);
  const trained = async (
    ranks: number,
    name: string,
    options: readonly string[] = [],
  ): Promise<Checkpoint> => {
    expect(await train(ranks, name, { options })).toMatchObject({ code: 0 });
    return latest(of(name));
  };

  let four: Promise<Checkpoint> | undefined;
  /** A run of four ranks, made once. */
  const byFour = (): Promise<Checkpoint> => (four ??= trained(4, '4-ranks'));
  const withDropout = ['--dropout=0.1', '--checkpoint.every=5', '--checkpoint.keep=9'];
  let two: Promise<Checkpoint> | undefined;
  /** And one of two. */
  const byTwo = (): Promise<Checkpoint> => (two ??= trained(2, 'bits', withDropout));

  it('4 ranks train as one does on batches of as many texts', async () => {
    const ranks = 4;
    const many = await byFour();
    const alone = [DAG, ...words(of(`1-for-${ranks}`), [`--batchSize=${4 * ranks}`])];
    expect(await run(process.execPath, alone)).toMatchObject({ code: 0 });
    const [losses, expected] = [await lossesOf(of(`${ranks}-ranks`)), await lossesOf(of(`1-for-${ranks}`))];
    expect(losses).toHaveLength(STEPS);
    // Sums of f32 in another order; AdamW makes more of that where a gradient is nearly nothing.
    losses.forEach((loss, i) => expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(1e-4));
    expect(distance(many, await latest(of(`1-for-${ranks}`)))).toBeLessThan(1e-4);
    expect(many.state).toMatchObject({ step: STEPS, batches: STEPS * 2 * ranks });
  });

  const onGpus = cudaIsMissing === null ? it : it.skip;
  const why = cudaIsMissing === null ? '' : ` (skipped: ${cudaIsMissing})`;
  const { DAG_CUDA_DRIVER = '', DAG_CUDA_KERNELS = '' } = process.env;
  /** The emulator has NCCL's functions, too. */
  const gpus = (nccl = DAG_CUDA_DRIVER) => ({
    ...{ DAG_CUDA_DRIVER, DAG_CUDA_KERNELS, DAG_CUDA_EMULATOR_DEVICES: '2', DAG_NCCL_LIBRARY: nccl },
  });
  onGpus(
    `GPUs sum gradients by NCCL, with the bits of sums through the host; each rank needs one${why}`,
    async () => {
      const options = ['--device=cuda', '--maxSteps=2'];
      // Of their time much is spent waiting for the launcher.
      const [byNccl, byHost, few] = await Promise.all([
        train(2, 'nccl', { options, env: gpus() }),
        train(2, 'host', { options, env: gpus('/none/libnccl.so.2') }),
        train(2, 'few-gpus', { options, env: { ...gpus(), DAG_CUDA_EMULATOR_DEVICES: '1' } }),
      ]);
      expect(few.code).not.toBe(0);
      expect(few.stderr).toMatch(/no GPU is left for process 1 of this machine/);
      expect(byNccl).toMatchObject({ code: 0 });
      expect(byNccl.stderr).toContain('rank 0 on GPU 0, rank 1 on GPU 1');
      expect(byNccl.stderr).toContain('gradients are summed by NCCL 2.27.3');
      expect(byHost).toMatchObject({ code: 0 });
      expect(byHost.stderr).toMatch(
        /summed through the host: no NCCL: \/none\/libnccl\.so\.2 cannot be loaded/,
      );
      expect((await latest(of('nccl'))).files).toEqual((await latest(of('host'))).files);
    },
  );

  it('SIGTERM at one rank stops all at the same step, and rank 0 saves', async () => {
    const stopped = await train(2, 'stopped', {
      options: ['--maxSteps=100000'],
      ...signalRank(1, 'SIGTERM', 'step 3/'),
    });
    expect(stopped).toMatchObject({ code: 0 });
    expect(stopped.stdout).toMatch(
      /stopped at step \d+ of 100000; resume with: mpirun -np 2 npx @dag\/train train --resume /,
    );
    const { step, state } = await latest(of('stopped'));
    expect(step).toBeGreaterThanOrEqual(3);
    expect(state).toMatchObject({ step, batches: 4 * step });
  });

  it('as many ranks give the same bits, resumed or not', async () => {
    const whole = await byTwo();
    await rm(join(root, of('bits'), 'checkpoints', `step-0000000${STEPS}`), { recursive: true });
    expect((await latest(of('bits'))).step).toBe(5);
    const resumed = await trained(2, 'bits', [...withDropout, '--resume']);
    expect(resumed.files).toEqual(whole.files);
  });

  it('another number of ranks goes on with the next examples', async () => {
    const before = await byFour();
    expect(before.state).toMatchObject({ batches: 8 * STEPS });
    await trained(2, '4-ranks', ['--resume', `--maxSteps=${STEPS + 2}`]);
    const model = loadModel(before);
    const stream: StreamConfig = streamConfig(configOfKind(before, 'predictor'));
    const batches = Array.from({ length: 4 }, (_, i) => trainingBatch(stream, 8 * STEPS + i));
    const tokens = batches.map(lossTokens).reduce((a, b) => ({
      valid: a.valid + b.valid,
      finite: a.finite + b.finite,
      decided: a.decided + b.decided,
    }));
    const expected = batches.map((batch) => {
      const prediction = model.forward(batch.tokens, batch.shape);
      return computeLosses(
        model,
        prediction,
        batch,
        configOfKind(before, 'predictor').losses,
        tokens,
      ).total.item();
    });
    const loss = (await lossesOf(of('4-ranks')))[STEPS]!;
    expect(loss / expected.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
  });

  it('the death of a rank ends all with a message, and the run can be resumed', async () => {
    const dies = async (rank: number): Promise<void> => {
      const name = `killed-${rank}`;
      const { code, stderr } = await train(2, name, {
        options: ['--maxSteps=100000', '--checkpoint.every=5'],
        ...signalRank(rank, 'SIGKILL', 'step 12/'),
      });
      expect(code).not.toBe(0);
      expect(stderr).toMatch(
        /resume (it from its last checkpoint )?with: mpirun -np 2 npx @dag\/train train --resume /,
      );
      const { step } = await latest(of(name));
      expect(step).toBeGreaterThanOrEqual(10);
      expect(step % 5).toBe(0);
      const last = step + 3;
      const { state } = await trained(2, name, ['--resume', `--maxSteps=${last}`]);
      expect(state).toMatchObject({ step: last, batches: 4 * last });
    };
    await Promise.all([dies(0), dies(1)]);
  });

  it('an error is told once and ends all ranks', async () => {
    await byFour();
    // Each takes seconds in which ranks wait for their launcher.
    const [again, wrong, exploded] = await Promise.all([
      train(2, '4-ranks'),
      train(2, 'none', { options: ['--lr=fast'] }),
      train(2, 'exploded', { options: ['--lr=1e38', '--warmupSteps=0'] }),
    ]);
    for (const { code } of [again, wrong, exploded]) expect(code).not.toBe(0);
    expect(again.stderr.match(/dag: .*/g)).toEqual([
      expect.stringMatching(/rank 0 of 2: .* already holds a run/),
    ]);
    expect(wrong.stderr.match(/dag: .*/g)).toEqual([expect.stringMatching(/rank 0 of 2: --lr=fast: /)]);
    expect(exploded.stderr.match(/dag: .*/g)).toEqual([
      expect.stringMatching(/rank 0 of 2: the loss is NaN/),
    ]);
  });

  twoHostsIt(mpirun, 'two hosts give the same bits as two ranks of one', async (hosts) => {
    const one = await byTwo();
    const outcome = await runRanks(hosts.launcher(mpirun), 2, [DAG, ...words(of('two-hosts'), withDropout)]);
    expect(outcome).toMatchObject({ code: 0 });
    expect((await latest(of('two-hosts'))).files).toEqual(one.files);
  });
});

/** Sends a signal to a rank once stderr has a text. */
function signalRank(
  rank: number,
  signal: NodeJS.Signals,
  text: string,
): Pick<RunOptions, 'env' | 'onStderr'> {
  const mark = `DAG_TEST_RUN=${Math.random()}`;
  let sent = false;
  return {
    env: { DAG_TEST_RUN: mark.split('=')[1]! },
    onStderr: (stderr) => {
      if (sent || !stderr.includes(text)) return;
      sent = true;
      process.kill(pidOf(mark, rank), signal);
    },
  };
}

/** The process of a rank, by its environment. */
function pidOf(mark: string, rank: number): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const isRank = ['OMPI_COMM_WORLD_RANK', 'PMI_RANK'].some((name) =>
        environment.includes(`${name}=${rank}`),
      );
      return (
        isRank &&
        environment.includes(mark) &&
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('dag.js')
      );
    } catch {
      // Another user's, or gone meanwhile.
      return false;
    }
  });
  if (!found) throw new Error(`no process of rank ${rank} in ${pids.length} processes`);
  return Number(found);
}
