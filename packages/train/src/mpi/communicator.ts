import { setImmediate, setTimeout } from 'node:timers/promises';
import { TrainError } from '../error.js';
import { findLauncher } from './launcher.js';
import { joinMpi, type Mpi } from './library.js';

/**
 * The processes of a run, which share nothing but what goes through here. Every rank makes the same calls in the same
 * order; each call waits for all ranks, and the event loop goes on meanwhile.
 */
export interface Communicator {
  /** This process, from 0. */
  readonly rank: number;
  readonly size: number;
  /** For logs: '2 processes by Open MPI v4.1.4'; '1 process' where there is no MPI. */
  readonly description: string;
  /** Processes of the run on this machine; null where the launcher does not say. */
  readonly localSize: number | null;
  /** Replaces each value by its sum over all ranks: the same bits on every rank. */
  sumInPlace(values: Float32Array | Float64Array): Promise<void>;
  /** The bytes that rank 0 gives, on every rank; what others give is not looked at. */
  broadcast(bytes: Uint8Array): Promise<Uint8Array>;
  /** Ends all ranks at once, this one too, with exit code 1. */
  abort(): void;
  /** Leaves, once all ranks do. */
  close(): Promise<void>;
}

/** A process that is a run by itself. */
export const alone: Communicator = {
  rank: 0,
  size: 1,
  description: '1 process',
  localSize: 1,
  sumInPlace: () => Promise.resolve(),
  broadcast: (bytes) => Promise.resolve(bytes),
  abort: () => process.exit(1),
  close: () => Promise.resolve(),
};

/**
 * The processes that `mpirun` started with this one; `alone` without a launcher, and MPI is not loaded then.
 * To be called once in a process.
 *
 * @throws {TrainError} `mpi` where koffi or the launcher's library is missing, or another MPI was found than the launcher's.
 */
export async function openCommunicator(): Promise<Communicator> {
  const launcher = findLauncher(process.env);
  if (!launcher) return alone;
  const mpi = await joinMpi(launcher);
  if (launcher.size !== null && mpi.size !== launcher.size)
    throw new TrainError(
      'mpi',
      `${launcher.description} as one of ${launcher.size}, but for ${mpi.version} there are ${mpi.size}: ` +
        'the library is not the one of the launcher; DAG_MPI_LIBRARY=<path of libmpi.so> says which to take',
    );
  return communicator(mpi, launcher.localSize);
}

function communicator(mpi: Mpi, localSize: number | null): Communicator {
  // Out of the heap of V8, where an array so small may be moved meanwhile. Sums are made one after the other.
  const few = [new Float32Array(FEW), new Float64Array(FEW)] as const;
  const sumInPlace = async (values: Float32Array | Float64Array): Promise<void> => {
    if (values.length <= FEW) {
      const held = few[values instanceof Float32Array ? 0 : 1].subarray(0, values.length);
      held.set(values);
      await until(mpi.beginAllreduce(held));
      values.set(held);
    } else {
      await until(mpi.beginBarrier());
      await soon(mpi.beginAllreduce(values));
    }
  };
  return {
    rank: mpi.rank,
    size: mpi.size,
    description: `${mpi.size} processes by ${mpi.version}`,
    localSize,
    sumInPlace,
    broadcast: async (bytes) => {
      // Those that do not give it do not know its length.
      const length = Float64Array.of(mpi.rank === 0 ? bytes.length : 0);
      await sumInPlace(length);
      const all = mpi.rank === 0 ? bytes : new Uint8Array(length[0]!);
      mpi.broadcast(all);
      return all;
    },
    abort: () => mpi.abort(1),
    close: async () => {
      await until(mpi.beginBarrier());
      mpi.finalize();
    },
  };
}

/** So many values are summed while this process waits for others; more of them once all are there. */
const FEW = 1024;
/** As long as a wait is short, it is not slept through. In milliseconds. */
const AWAKE = 2;

/**
 * Waits for all ranks. A function of MPI that waits itself would keep a core busy and signals from this process, for as
 * long as rank 0 evaluates, or for ever where a rank has died.
 */
async function until(isDone: () => boolean): Promise<void> {
  const begun = performance.now();
  while (!isDone()) await (performance.now() - begun < AWAKE ? setImmediate() : setTimeout(1));
}

/** The same for what all ranks are at: it goes on as often as it is asked. A rank may yet die at it, and signals come. */
async function soon(isDone: () => boolean): Promise<void> {
  for (;;) {
    const begun = performance.now();
    while (performance.now() - begun < AWAKE) if (isDone()) return;
    await setImmediate();
  }
}
