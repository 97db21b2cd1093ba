import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { findLauncher } from '../src/mpi/launcher.js';
import { mpiDescribe, run, runRanks, type Mpirun, type Outcome } from './mpirun.js';
import { twoHostsIt } from './two-hosts.js';

const JITI = new URL('../../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url);
const RANK = [JITI, new URL('fixtures/ranks.ts', import.meta.url)].map((url) => fileURLToPath(url));

interface RankReport {
  readonly rank: number;
  readonly size: number;
  readonly description: string;
  readonly localSize: number;
  readonly last: number;
  readonly bits: string;
  readonly doubles: readonly number[];
  readonly bytes: readonly number[];
}

function reportsOf({ code, stdout, stderr }: Outcome): RankReport[] {
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const reports = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RankReport);
  return reports.toSorted((a, b) => a.rank - b.rank);
}

mpiDescribe((mpirun: Mpirun) => {
  it.each([2, 4])('%d ranks have the same sums, to the bit, each time', async (ranks) => {
    const first = reportsOf(await runRanks(mpirun, ranks, RANK));
    expect(first.map(({ rank }) => rank)).toEqual(Array.from({ length: ranks }, (_, rank) => rank));
    const sum = first.reduce((total, { rank }) => total + 100_000 / (rank + 3), 0);
    for (const report of first) {
      expect(report).toMatchObject({ size: ranks, localSize: ranks, bits: first[0]!.bits, bytes: [1, 2, 3] });
      expect(report.description).toMatch(`${ranks} processes by ${mpirun.name} `);
      // Of f32: each of the sums and their terms is rounded to 24 bits.
      expect(Math.abs(report.last / sum - 1)).toBeLessThan(ranks * 2 ** -24);
      const ids = (ranks * (ranks - 1)) / 2;
      expect(report.doubles).toEqual([ids + ranks, ranks * 2 ** 40 + ids]);
    }
    expect(reportsOf(await runRanks(mpirun, ranks, RANK))).toEqual(first);
  });

  twoHostsIt(mpirun, 'ranks on two hosts have the same sums, by their network', async (hosts) => {
    const [first, second] = reportsOf(await runRanks(hosts.launcher(mpirun), 2, RANK));
    expect(first).toMatchObject({ rank: 0, size: 2, localSize: 1, bytes: [1, 2, 3] });
    expect(second).toEqual({ ...first, rank: 1 });
    // Of 100,000 numbers of four bytes at least each second came from the other host.
    expect(hosts.received()).toBeGreaterThan(200_000);
  });

  it('says so where the library is not the one of the launcher', async () => {
    const other = mpirun.name === 'MPICH' ? 'libmpi.so.40' : 'libmpich.so.12';
    const { code, stderr } = await runRanks(mpirun, 2, RANK, { env: { DAG_MPI_LIBRARY: other } });
    expect(code).not.toBe(0);
    // The other library is not installed, or takes each process for one that is alone.
    expect(stderr).toMatch(
      /TrainError: mpirun of .* started this process.*DAG_MPI_LIBRARY=<path of libmpi.so>/,
    );
  });
});

describe('a process', () => {
  it('is alone without a launcher, and then loads no MPI', async () => {
    const outcome = await run(process.execPath, RANK, { env: { DAG_MPI_LIBRARY: '/no/such/library' } });
    expect(reportsOf(outcome)).toMatchObject([
      { rank: 0, size: 1, description: '1 process', doubles: [1, 2 ** 40] },
    ]);
  });

  it('that a launcher started says which library it looked for', async () => {
    const env = { PMI_SIZE: '2', PMI_RANK: '0', DAG_MPI_LIBRARY: '/no/such/library.so' };
    const { code, stderr } = await run(process.execPath, RANK, { env });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/TrainError: mpirun of MPICH started this process, but .*\/no\/such\/library\.so/);
  });

  it('knows its launcher by the environment', () => {
    expect(findLauncher({})).toBeNull();
    expect(findLauncher({ OMPI_COMM_WORLD_SIZE: '1' })).toBeNull();
    expect(findLauncher({ OMPI_COMM_WORLD_SIZE: '4', OMPI_COMM_WORLD_LOCAL_SIZE: '2' })).toMatchObject({
      size: 4,
      localSize: 2,
      libraries: ['libmpi.so.40', 'libmpi.so'],
    });
    expect(findLauncher({ PMI_SIZE: '3', MPI_LOCALNRANKS: '3' })).toMatchObject({
      size: 3,
      localSize: 3,
      libraries: expect.arrayContaining(['libmpich.so.12', 'libmpi.so.12']),
    });
    expect(findLauncher({ PMIX_RANK: '0', DAG_MPI_LIBRARY: 'mine.so' })).toMatchObject({
      size: null,
      libraries: ['mine.so'],
    });
    expect(() => findLauncher({ PMI_SIZE: 'two' })).toThrow(/PMI_SIZE=two/);
  });
});
