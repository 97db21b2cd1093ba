import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { requireArguments } from '../arguments.js';
import { TrainError } from '../error.js';
import { carriedError } from './carry-error.js';

/** Options of a `Prefetcher`. */
export interface PrefetcherOptions {
  /** A module whose default export makes an item from its index. */
  readonly worker: URL;
  /** `workerData` (of `node:worker_threads`) in the module. */
  readonly workerData: unknown;
  /** Threads, ≥ 1. */
  readonly workers: number;
  /** Number of items made ahead, ≥ 1. */
  readonly ahead: number;
  /** Index of the n-th item, from 0. */
  readonly index: (n: number) => number;
}

/** Whether a value could not be cloned for another thread. Node 20 itself clones that error, thrown in a worker thread, to `{}`. */
function isCloneError(error: unknown): boolean {
  const { name } = Object(error) as { name?: unknown };
  const isEmptied = Object.prototype.toString.call(error) === '[object Object]' && isEmpty(error as object);
  return name === 'DataCloneError' || isEmptied;
}
const isEmpty = (object: object): boolean => Object.keys(object).length === 0;

/** The items of a stream, in order, made ahead by worker threads. `close` ends the threads. */
export class Prefetcher<T> {
  /** Total milliseconds that `next` has waited for items. */
  waited = 0;
  readonly #pool: Piscina<number, T>;
  readonly #made: Promise<T>[] = [];
  readonly #index: (n: number) => number;
  /** Threads that have loaded their module. */
  readonly #started = new WeakSet<Worker>();
  /** Number of items requested from the workers. */
  #asked = 0;

  constructor(options: PrefetcherOptions) {
    requireArguments('Prefetcher', {
      options: [
        options,
        { worker: { href: 'a string' }, workers: 'a number', ahead: 'a number', index: 'a function' },
      ],
    });
    const { worker, workerData, workers, ahead, index } = options;
    // Minimum equals maximum, so that Piscina does not end idle threads and start them again.
    const [minThreads, maxThreads] = [workers, workers];
    try {
      this.#pool = new Piscina({ filename: worker.href, workerData, minThreads, maxThreads });
    } catch (error) {
      if (!isCloneError(error)) throw error;
      const why = `the data of the stream cannot be sent to worker threads: ${(error as Error).message}`;
      throw new TrainError('bad-input', why, { cause: error });
    }
    // A worker that dies rejects its items, and so `next`; the event itself can be ignored.
    this.#pool.on('error', () => undefined);
    // The first message of a thread says that it has started. For a thread that replaces a dead one, `workerCreate` does.
    const first = new Set(this.#pool.threads);
    for (const thread of first) thread.once('message', () => this.#started.add(thread));
    this.#pool.on('workerCreate', ({ id }: { id: number }) => {
      const created = this.#pool.threads.find(({ threadId }) => threadId === id);
      if (created && !first.has(created)) this.#started.add(created);
    });
    this.#index = index;
    for (let i = 0; i < ahead; i++) this.#make();
  }

  #make(): void {
    const index = this.#index(this.#asked++);
    const item = this.#pool.run(index).catch((error: unknown) => {
      if (!isCloneError(error)) throw carriedError(error);
      const why = 'it holds what cannot be cloned, such as a function or a promise';
      throw new TrainError('bad-input', `batch ${index} cannot be sent from its worker thread: ${why}`);
    });
    // `next` rethrows the error of this item; until then it must not count as an unhandled rejection.
    item.catch(() => undefined);
    this.#made.push(item);
  }

  /**
   * The next item. May be called again before earlier calls have resolved.
   * @throws The error that the worker threw for this item, or the reason of `signal` if that is aborted first.
   */
  async next(signal?: AbortSignal): Promise<T> {
    const start = performance.now();
    this.#make();
    const item = this.#made.shift()!;
    let stop = (): void => undefined;
    try {
      if (!signal) return await item;
      signal.throwIfAborted();
      return await new Promise<T>((resolve, reject) => {
        stop = () => reject(signal.reason as Error);
        signal.addEventListener('abort', stop);
        item.then(resolve, reject);
      });
    } finally {
      signal?.removeEventListener('abort', stop);
      this.waited += performance.now() - start;
    }
  }

  /** Ends all threads. Items that were not taken are lost, and pending `next` calls are rejected. */
  async close(): Promise<void> {
    // Wait for threads that are still starting: ending a thread while it loads a module aborts the whole process (Node 20.20: a
    // failed assertion).
    const starting = this.#pool.threads.filter((thread) => !this.#started.has(thread));
    for (const thread of starting) thread.ref();
    await Promise.allSettled(
      starting.map((thread) => Promise.race([once(thread, 'message'), once(thread, 'exit')])),
    );
    await this.#pool.destroy();
  }
}
