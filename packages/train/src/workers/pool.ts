import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { TrainError } from '../error.js';
import { carriedError } from './carried-error.js';

export interface PrefetcherOptions {
  /** A module whose default export makes an item from its index. */
  readonly worker: URL;
  /** What the module finds as `workerData` (of `node:worker_threads`). */
  readonly workerData: unknown;
  /** Threads, ≥ 1. */
  readonly workers: number;
  /** Items made before they are asked for, ≥ 1. */
  readonly ahead: number;
  /** Index of the n-th item, from 0. */
  readonly index: (n: number) => number;
}

/** Whether something could not be cloned for another thread. Node 20 clones the error that says so, of a thread, to `{}`. */
function isCloneError(error: unknown): boolean {
  const { name } = Object(error) as { name?: unknown };
  const isEmptied = Object.prototype.toString.call(error) === '[object Object]' && isEmpty(error as object);
  return name === 'DataCloneError' || isEmptied;
}
const isEmpty = (object: object): boolean => Object.keys(object).length === 0;

/** The items of a stream, strictly in order, made ahead of need by worker threads. `close` ends the threads. */
export class Prefetcher<T> {
  /** Milliseconds that `next` has waited for items, all together. */
  waited = 0;
  readonly #pool: Piscina<number, T>;
  readonly #made: Promise<T>[] = [];
  readonly #index: (n: number) => number;
  /** Threads that have loaded their module. */
  readonly #started = new WeakSet<Worker>();
  /** Items asked of the workers. */
  #asked = 0;

  constructor({ worker, workerData, workers, ahead, index }: PrefetcherOptions) {
    // As many threads at the least as at the most: none is ended while idle, to be started again.
    const [minThreads, maxThreads] = [workers, workers];
    try {
      this.#pool = new Piscina({ filename: worker.href, workerData, minThreads, maxThreads });
    } catch (error) {
      if (!isCloneError(error)) throw error;
      const why = `the data of the stream cannot be sent to worker threads: ${(error as Error).message}`;
      throw new TrainError('bad-input', why, { cause: error });
    }
    // A worker that dies rejects its items, and with them `next`; the event has nothing to add.
    this.#pool.on('error', () => undefined);
    // The first message of a thread says that it has started. Of one in the place of one that died an event says so.
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
    // Whoever asks for this item gets its error; until then it is nobody's unhandled rejection.
    item.catch(() => undefined);
    this.#made.push(item);
  }

  /**
   * The next item; it may be called again before the last call is through.
   * @throws what the worker threw while it made this item; the reason of `signal` where that is aborted before the item is there
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

  /** Ends all threads; items that were not taken are lost, and a `next` that waits is rejected. */
  async close(): Promise<void> {
    // A thread that is ended while it loads a module takes the whole process with it (Node 20.20: an assertion fails).
    const starting = this.#pool.threads.filter((thread) => !this.#started.has(thread));
    for (const thread of starting) thread.ref();
    await Promise.allSettled(
      starting.map((thread) => Promise.race([once(thread, 'message'), once(thread, 'exit')])),
    );
    await this.#pool.destroy();
  }
}
