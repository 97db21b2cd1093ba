import { availableParallelism } from 'node:os';
import type { RunConfig } from '../config/run.js';
import type { Communicator } from '../mpi/communicator.js';
import type { Prefetcher } from './pool.js';

/** The micro-batches of this rank, from micro-batch `first` of all ranks on, made ahead by worker threads. */
export async function openBatches<B>(
  { worker, data }: { readonly worker: URL; readonly data: unknown },
  { accumulate, data: { workers, prefetch } }: RunConfig,
  first: number,
  { rank, size }: Communicator,
): Promise<Prefetcher<B>> {
  // Loaded here: of all that loads this module, only what trains starts threads.
  const { Prefetcher } = await import('./pool.js');
  return new Prefetcher<B>({
    worker,
    workerData: data,
    workers: Math.min(workers, availableParallelism()),
    ahead: prefetch,
    // A step takes those of rank 0, then those of rank 1, …
    index: (n) => first + (Math.floor(n / accumulate) * size + rank) * accumulate + (n % accumulate),
  });
}

/** The micro-batches of a step; none where `signal` is aborted while they are made, which may take long. */
export async function takeStep<B>(
  batches: Prefetcher<B>,
  count: number,
  signal: AbortSignal | undefined,
): Promise<B[]> {
  const micro: B[] = [];
  try {
    while (micro.length < count) micro.push(await batches.next(signal));
    return micro;
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return [];
    throw error;
  }
}
