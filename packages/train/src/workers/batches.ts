import { availableParallelism } from 'node:os';
import type { RunConfig } from '../config/run.js';
import type { Communicator } from '../mpi/communicator.js';
import type { Prefetcher } from './pool.js';

/** The micro-batches of this rank, made ahead by worker threads. `first`: index of the next micro-batch over all ranks. */
export async function openBatches<B>(
  { worker, data }: { readonly worker: URL; readonly data: unknown },
  { accumulate, data: { workers, prefetch } }: RunConfig,
  first: number,
  { rank, size }: Communicator,
): Promise<Prefetcher<B>> {
  // Loaded lazily: many commands load this module, but only training starts threads.
  const { Prefetcher } = await import('./pool.js');
  return new Prefetcher<B>({
    worker,
    workerData: data,
    workers: Math.min(workers, availableParallelism()),
    ahead: prefetch,
    // A step takes `accumulate` micro-batches for rank 0, then as many for rank 1, …
    index: (n) => first + (Math.floor(n / accumulate) * size + rank) * accumulate + (n % accumulate),
  });
}

/** The micro-batches of a step; empty if `signal` is aborted while waiting for them, which may take long. */
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
