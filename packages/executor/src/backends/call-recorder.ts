import type { Backend, DType, Recorder, Recording, Storage, Trace } from '../backend.js';
import { checkTrace, hash } from '../trace.js';
import { Pool } from '../memory.js';
import { blockOf, type Arena } from './host.js';

/** Members of a backend that are not replayed: they do no work on the device, or return a result to JavaScript. */
const NOT_REPLAYED: readonly string[] = [
  'device',
  'recorder',
  'allocate',
  'reuse',
  'free',
  'share',
  'read',
  'readSync',
  'rangeOf',
  'few',
] satisfies (keyof Backend)[];

/**
 * Adds recorders to a backend of the host; changes and returns `backend`. Storage that was allocated during a recording goes back to the
 * recordings when it is freed.
 */
export function recordable(backend: Backend): Backend {
  const { free } = backend;
  backend.free = (storage) => {
    const { arena } = blockOf(storage);
    if (arena) arena.keep(storage);
    else free(storage);
  };
  // Of a step that JavaScript has collected without `release`.
  const collected = new FinalizationRegistry((memory: Memory) => memory.release());
  backend.recorder = () => {
    const memory = new Memory(backend, free);
    const recorder = new CallRecorder(backend, memory);
    collected.register(recorder, memory);
    return recorder;
  };
  return backend;
}

/** The memory that the recordings of one recorder work in, one recording at a time. */
class Memory implements Arena {
  readonly pool: Pool;
  readonly #free: Backend['free'];
  #isInUse = true;
  readonly #abandoned: (() => void)[] = [];

  constructor(backend: Backend, free: Backend['free']) {
    this.pool = new Pool({ ...backend, free });
    this.#free = free;
  }

  keep(storage: Storage): void {
    if (this.#isInUse) this.pool.keep(storage);
    else this.#free(storage);
  }

  abandon(giveBack: () => void): void {
    if (this.#isInUse) this.#abandoned.push(giveBack);
    else giveBack();
  }

  /** Frees all of it, once all recordings are released; storage that is freed later goes to the backend. */
  release(): void {
    this.#isInUse = false;
    this.pool.empty();
    for (const giveBack of this.#abandoned.splice(0)) giveBack();
  }
}

type Call = (...args: unknown[]) => void;

/**
 * Records the kernel calls of a host backend and replays them without the JavaScript around them: shapes, checks, tensors, the tape.
 * While it traces or records, the methods of the backend are replaced by ones that note their arguments; while it records, these run no
 * kernel.
 */
class CallRecorder implements Recorder {
  readonly #backend: Backend;
  readonly #kernels: readonly (readonly [name: string, kernel: Call])[];
  readonly #memory: Memory;
  /** The calls of the recording that is being made. */
  #calls: (() => void)[] | null = null;

  constructor(backend: Backend, memory: Memory) {
    this.#backend = backend;
    this.#memory = memory;
    this.#kernels = Object.entries(backend).filter(([name]) => !NOT_REPLAYED.includes(name));
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
          // Also of a tensor from outside that the body releases: kernels may have been given its memory after that.
          free: (storage) => {
            blockOf(storage).arena = memory;
            memory.keep(storage);
          },
          // A replay would read and write the caller's memory.
          share: () => null,
          // The kernels have not run yet; each replay runs the checks.
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
    // What is free here other recordings of the step work in.
    return false;
  }

  release(): void {
    this.#memory.release();
  }

  /** Runs `body` with `note` in place of each kernel, and `others` in place of other methods; → its result and the trace. */
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
        // A copy: the caller may change the array before a replay writes it again.
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

/** The entry of a trace for a kernel call: strings (kinds of ops) name it, all other arguments are numbers; storage is dtype and length. */
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
