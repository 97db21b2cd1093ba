import { setImmediate, setTimeout } from 'node:timers/promises';
import { TrainError } from '../error.js';
import { findLauncher } from './launcher.js';
import { joinMpi, type Mpi } from './library.js';
import { ONE_RANK, type Ranks } from './ranks.js';

/**
 * The processes (ranks) of a run; all their communication goes through this interface. Every rank must make the same calls in
 * the same order. Each call waits for all ranks without blocking the event loop.
 */
export interface Communicator extends Ranks {
  /** For logs: '2 processes by Open MPI v4.1.4'; '1 process' without MPI. */
  readonly description: string;
  /** Number of processes of the run on this machine; null if the launcher does not say. */
  readonly localSize: number | null;
  /** Returns rank 0's bytes on every rank; the argument of other ranks is ignored. */
  broadcast(bytes: Uint8Array): Promise<Uint8Array>;
  /** Ends all ranks at once, this one too, with exit code 1. */
  abort(): void;
  /** Leaves MPI, once all ranks do. */
  close(): Promise<void>;
}

/** The communicator of a single process, without MPI. */
export const alone: Communicator = {
  ...ONE_RANK,
  description: '1 process',
  localSize: 1,
  broadcast: (bytes) => Promise.resolve(bytes),
  abort: () => process.exit(1),
  close: () => Promise.resolve(),
};

/**
 * Joins the processes that `mpirun` started. Without a launcher returns `alone`, and loads nothing of MPI. Call it once per
 * process.
 *
 * @throws {TrainError} `mpi` if koffi or the launcher's library is missing, or the library found is not that of the launcher.
 */
export async function openCommunicator(): Promise<Communicator> {
  const launcher = findLauncher(process.env);
  if (!launcher) return alone;
  const mpi = await joinMpi(launcher);
  if (launcher.size !== null && mpi.size !== launcher.size)
    throw new TrainError(
      'mpi',
      `${launcher.description} as one of ${launcher.size}, but ${mpi.version} counts ${mpi.size}: ` +
        'the library is not that of the launcher; set DAG_MPI_LIBRARY=<path of libmpi.so>',
    );
  return communicator(mpi, launcher.localSize);
}

function communicator(mpi: Mpi, localSize: number | null): Communicator {
  // Buffers outside V8's heap: V8 may move a small array while MPI uses it. Shared, because sums are made one at a time.
  const few = [new Float32Array(FEW), new Float64Array(FEW)] as const;
  const sumInPlace = async (values: Float32Array | Float64Array): Promise<void> => {
    if (values.length <= FEW) {
      const buffer = few[values instanceof Float32Array ? 0 : 1].subarray(0, values.length);
      buffer.set(values);
      await until(mpi.beginAllreduce(buffer));
      values.set(buffer);
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
      // First send the length, which only rank 0 knows.
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

/** Up to this many values are summed at once; larger sums start with a barrier, after which they are polled busily. */
const FEW = 1024;
/** Milliseconds to poll without sleeping. */
const AWAKE = 2;

/**
 * Waits for all ranks by polling. A blocking MPI function would occupy a core and block signals of this process while rank
 * 0 evaluates, or forever if a rank has died.
 */
async function until(isDone: () => boolean): Promise<void> {
  const begun = performance.now();
  while (!isDone()) await (performance.now() - begun < AWAKE ? setImmediate() : setTimeout(1));
}

/** The same for an operation that all ranks have entered: MPI progresses only when polled, so poll often; yield in between for signals. */
async function soon(isDone: () => boolean): Promise<void> {
  for (;;) {
    const begun = performance.now();
    while (performance.now() - begun < AWAKE) if (isDone()) return;
    await setImmediate();
  }
}
