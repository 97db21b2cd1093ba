import type { Backend, DType, Recorder, Recording, Storage, Trace } from '../backend.js';
import { checkTrace, hash } from '../trace.js';
import { Pool } from '../memory.js';
import { blockOf, type Arena } from './host.js';

/** What does no work on numbers, or gives some back. */
const NOT_REPEATED = [
  'device',
  'recorder',
  'allocate',
  'reuse',
  'free',
  'share',
  'read',
  'readSync',
  'rangeOf',
];

/** With a recorder of its own for each caller. */
export function recordable(backend: Backend): Backend {
  const { free } = backend;
  backend.free = (storage) => {
    const { arena } = blockOf(storage);
    if (arena) arena.keep(storage);
    else free(storage);
  };
  backend.recorder = () => new CallRecorder(backend, free);
  return backend;
}

class Memory implements Arena {
  readonly pool: Pool;
  readonly #free: Backend['free'];
  #isInUse = true;

  constructor(backend: Backend, free: Backend['free']) {
    this.pool = new Pool({ ...backend, free });
    this.#free = free;
  }

  keep(storage: Storage): void {
    if (this.#isInUse) this.pool.keep(storage);
    else this.#free(storage);
  }

  /** Once all recordings are released. */
  release(): void {
    this.#isInUse = false;
    this.pool.empty();
  }
}

type Call = (...args: unknown[]) => void;

/**
 * Records the kernel calls of a backend of the host, to repeat them without the JavaScript around them: shapes, checks, tensors, the
 * tape. While it records, methods of the backend note what they are called with and do nothing.
 */
class CallRecorder implements Recorder {
  readonly #backend: Backend;
  readonly #kernels: readonly (readonly [name: string, kernel: Call])[];
  readonly #free: Backend['free'];
  /** Memory that recordings work in, one at a time. */
  #memory: Memory;
  #calls: (() => void)[] | null = null;

  /** @param free What gives memory back for good. */
  constructor(backend: Backend, free: Backend['free']) {
    this.#backend = backend;
    this.#free = free;
    this.#memory = new Memory(backend, free);
    this.#kernels = Object.entries(backend).filter(([name]) => !NOT_REPEATED.includes(name));
  }

  trace<T>(body: () => T): readonly [result: T, trace: Trace] {
    return this.#noting((kernel, args) => kernel(...args), {}, body);
  }

  record<T>(body: () => T, expected: Trace): readonly [result: T, recording: Recording] {
    const calls: (() => void)[] = (this.#calls = []);
    const { allocate } = this.#backend;
    const memory = this.#memory;
    try {
      const [result, trace] = this.#noting(
        (kernel, args) => calls.push(() => kernel(...args)),
        {
          allocate: (dtype, length) => {
            const free = memory.pool.take(dtype, length);
            if (free) return free;
            const storage = allocate(dtype, length);
            blockOf(storage).arena = memory;
            return storage;
          },
          // Memory of the caller would be written to again.
          share: () => null,
          // Not known yet: `check` asks.
          rangeOf: () => null,
        },
        body,
      );
      checkTrace(trace, expected);
      return [
        result,
        {
          replay: () => {
            for (const call of calls) call();
          },
          release: () => undefined,
        },
      ];
    } finally {
      this.#calls = null;
    }
  }

  check(check: () => void): void {
    this.#calls?.push(check);
  }

  copy(x: Storage, y: Storage): void {
    this.#backend.cast(x, { storage: y, accumulate: false });
  }

  makeRoom(): boolean {
    const { pool } = this.#memory;
    const had = pool.count > 0;
    pool.empty();
    return had;
  }

  release(): void {
    this.#memory.release();
    this.#memory = new Memory(this.#backend, this.#free);
  }

  /** Runs `body` with `note` in the place of each kernel; → what it gave, and what the kernels were called with. */
  #noting<T>(
    note: (kernel: Call, args: unknown[]) => void,
    others: Partial<Backend>,
    body: () => T,
  ): readonly [result: T, trace: Trace] {
    const trace: Trace[number][] = [];
    const before = { ...this.#backend };
    const noted = this.#kernels.map(([name, kernel]) => [
      name,
      (...args: unknown[]) => {
        // Values of the caller may be others when they are written again.
        if (name === 'write') args[1] = Float64Array.from(args[1] as ArrayLike<number>);
        trace.push(entryOf(name, args));
        note(kernel, args);
      },
    ]);
    Object.assign(this.#backend, Object.fromEntries(noted), others);
    try {
      return [body(), trace];
    } finally {
      Object.assign(this.#backend, before);
    }
  }
}

/** What a kernel is called with, without what lies in memory: its kinds in words, all else as numbers. */
function entryOf(name: string, args: unknown[]): Trace[number] {
  const words = [name === 'write' ? 'a write of values of the host' : `the kernel ${name}`];
  const numbers: number[] = [];
  const add = (value: unknown): void => {
    if (typeof value === 'string') words.push(value);
    else if (typeof value !== 'object' || value === null) numbers.push(Number(value ?? NaN));
    else if (isStorage(value)) numbers.push(DTYPES.indexOf(value.dtype), value.length);
    else if (ArrayBuffer.isView(value))
      numbers.push(value.byteLength, hash(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)));
    else Object.values(value).forEach(add);
  };
  args.forEach(add);
  return { what: words.join(' '), numbers };
}

const DTYPES: readonly DType[] = ['f32', 'f64', 'i32'];
const isStorage = (value: object): value is Storage => 'dtype' in value && 'capacity' in value;
