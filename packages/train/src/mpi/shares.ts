import { createHash } from 'node:crypto';
import { availableParallelism, cpus } from 'node:os';
import { backendInfo, ExecutorError, setNumThreads } from '@dag/executor';
import { joinNccl, ncclUniqueId, ncclVersion, type NcclCommunicator } from '@dag/executor/cuda';
import type { FileBytes, Parameters } from '@dag/model';
import type { Checkpoint } from '../checkpoints/checkpoint.js';
import { TrainError } from '../error.js';
import type { Communicator } from './communicator.js';

/** Calls `make` on rank 0 only, and returns its result, which must be plain JSON, on every rank. */
export async function shareValue<T>(make: () => T | Promise<T>, communicator: Communicator): Promise<T> {
  if (communicator.size === 1) return make();
  const text = communicator.rank === 0 ? JSON.stringify(await make()) : '';
  return JSON.parse(Buffer.from(await communicator.broadcast(Buffer.from(text))).toString()) as T;
}

/** Sends the checkpoint that rank 0 has read to every rank: other hosts may not have its folder. */
export async function shareCheckpoint(
  checkpoint: Checkpoint | null,
  communicator: Communicator,
): Promise<Checkpoint | null> {
  if (communicator.size === 1) return checkpoint;
  const pieces = new Map(
    [...(checkpoint?.files ?? [])].map(([name, bytes]) => [
      name,
      ArrayBuffer.isView(bytes) ? [bytes] : bytes,
    ]),
  );
  const counts = [...pieces].map(([name, { length }]) => ({ name, length }));
  const shared = await shareValue(() => checkpoint && { ...checkpoint, files: counts }, communicator);
  if (!shared) return null;
  const files = new Map<string, FileBytes>();
  for (const { name, length } of shared.files) {
    const received: Uint8Array[] = [];
    for (let i = 0; i < length; i++)
      received.push(await communicator.broadcast(pieces.get(name)?.[i] ?? new Uint8Array()));
    files.set(name, length === 1 ? received[0]! : received);
  }
  return { ...shared, files };
}

/**
 * Checks that all ranks have the same weights, to the bit.
 * @throws {TrainError} `mpi`, on every rank, if the weights of any rank differ from those of rank 0.
 */
export async function checkSameWeights(
  parameters: Parameters,
  step: number,
  communicator: Communicator,
): Promise<void> {
  const { rank, size } = communicator;
  if (size === 1) return;
  const hash = createHash('sha256');
  for (const p of parameters.values()) hash.update(p.dataSync());
  const own = hash.digest();
  const differs = new Float64Array(size);
  differs[rank] = own.equals(await communicator.broadcast(own)) ? 0 : 1;
  // Every rank must know, in particular rank 0, which would save the step.
  await communicator.sumInPlace(differs);
  const others = [...differs.keys()].filter((rank) => differs[rank] !== 0);
  if (others.length === 0) return;
  throw new TrainError(
    'mpi',
    `rank ${others.join(', ')} has other weights than rank 0 after step ${step}, which is not saved; processors of ` +
      'different kinds may round differently: set DAG_CPU_VARIANT to one that all have, such as baseline',
  );
}

/** The GPUs of the ranks, and how gradients are summed over them, for the log; null on other devices. */
export interface Gpus {
  /** NCCL between them; null where sums go through the host. */
  readonly group: NcclCommunicator | null;
  readonly lines: readonly string[];
}

/** Joins the GPUs of all ranks by NCCL, where all have it. */
export async function joinGpus(communicator: Communicator): Promise<Gpus | null> {
  const { rank, size } = communicator;
  const { number } = backendInfo();
  if (number === undefined) return null;
  const ofRanks = async (value: number): Promise<number[]> => {
    const values = new Float64Array(size);
    values[rank] = value;
    await communicator.sumInPlace(values);
    return [...values];
  };
  const numbers = await ofRanks(number);
  const which = numbers.map((gpu, one) => `rank ${one} on GPU ${gpu}`).join(', ');
  /** What `make` returns, where it does on every rank; else the first reason why not, and the rank. */
  const onEveryRank = async <T>(make: () => T): Promise<{ made: T } | { why: string }> => {
    let made: T | undefined;
    let reason = '';
    try {
      made = make();
    } catch (error) {
      if (!(error instanceof ExecutorError)) throw error;
      reason = error.message;
    }
    const failed = (await ofRanks(made === undefined ? 1 : 0)).indexOf(1);
    if (failed < 0) return { made: made! };
    return { why: rank === failed ? reason : `rank ${failed} cannot take part` };
  };
  const throughHost = ({ why }: { why: string }): Gpus => ({
    group: null,
    lines: [which, `gradients are summed through the host: ${why}`],
  });
  const version = await onEveryRank(ncclVersion);
  if ('why' in version) return throughHost(version);
  const named = await onEveryRank(() => (rank === 0 ? ncclUniqueId() : new Uint8Array()));
  if ('why' in named) return throughHost(named);
  const id = await communicator.broadcast(named.made);
  const joined = await onEveryRank(() => joinNccl({ id, rank, size }));
  if ('why' in joined) return throughHost(joined);
  return { group: joined.made, lines: [which, `gradients are summed by NCCL ${version.made}`] };
}

/** Divides the cores of a machine among its ranks, unless the launcher binds each to its own cores or `DAG_NUM_THREADS` is set. */
export function shareCores({ localSize, size }: Communicator): void {
  if (size === 1 || process.env['DAG_NUM_THREADS']) return;
  const { device, threads } = backendInfo();
  if (device !== 'cpu') return;
  const bound = availableParallelism();
  const share = bound < cpus().length ? bound : Math.floor(threads / (localSize ?? 1));
  setNumThreads(Math.max(1, Math.min(threads, share)));
}
