import type { Backend, Recorder, Recording, Trace } from './backend.js';
import { callSynchronously, checkFunction, checkObject } from './arguments.js';
import { matmulPrecision } from './precision.js';
import { backendOf } from './devices.js';
import { tensor } from './create.js';
import { ExecutorError } from './error.js';
import {
  allocate,
  currentScope,
  emptyPool,
  release,
  releaseCopy,
  runScopeFor,
  withOwnPool,
  Buffer,
  type Scope,
} from './memory.js';
import { show } from './shape.js';
import { isRecordingTape } from './tape.js';
import { buffersOf, checkTensor, commonBackend, mapTensors, Tensor } from './tensor.js';
import { watch, Watch, watching, type GradientState } from './watch.js';
import { refreshCopy } from './working-copy.js';

/** What the caller gives a step: its inputs by name. */
type Given<K extends string> = Readonly<Record<K, Tensor | number>>;

/** A function that `recordStep` made of a body: takes its inputs by name and returns its result. */
export interface RecordedStep<K extends string, R> {
  /** Runs, records or replays the body. Tensors in the result are valid until the next call. */
  (inputs: Readonly<Record<K, Tensor | number>>): R;
  /** Frees all memory of the step, including its last results. The next call starts over. */
  release(): void;
}

/** The step for inputs of certain shapes, and for outside tensors in a certain state. */
interface Variant<R> {
  readonly key: string;
  /** Of the recording once there is one, before that of the first call. */
  watch: Watch;
  /** Of the first call, which runs the body. */
  readonly trace: Trace;
  /** Recorded by the second call, and replayed from then on. */
  recorded: Recorded<R> | null;
}

interface Recorded<R> {
  readonly recording: Recording;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly result: R;
  /** Memory of the results. */
  readonly holder: Scope;
  /** Buffers that every replay changes in place, each with the op that does, and whether it writes their working copy as well. */
  readonly changes: readonly (readonly [Buffer, string, boolean])[];
  /** Gradients as the step leaves them. */
  readonly after: readonly (() => void)[];
}

/**
 * The variants used last are kept. Most trainings need fewer: one for each length of text, padded to a multiple of 8, and of its longest
 * number. A variant takes a few MB for its inputs, results and graph; one that is missing is run twice, and empties the pool.
 */
const MOST_VARIANTS = 64;

/**
 * Records the kernels that `body` launches, to replay them without running `body`. The first call with inputs of some shapes runs `body`,
 * the second one records its kernels, and later calls replay them: on `cuda` all at once (a CUDA graph), on `cpu` and `wasm` one after
 * another. Results have the same bits. On `reference`, and inside another recorded step, every call runs `body`.
 *
 * Whatever changes from call to call must be an input: a tensor, which is copied, or a number, which `body` receives as a tensor of one
 * f64 (`lr` and `step` of `adamW` and the first word of a `seed` accept one). Everything else that `body` reads stays as it was recorded,
 * except for the values of tensors from outside, such as parameters. Tensors that `body` makes are freed as by `scope`; those that it
 * returns have no tape and are valid until the next call. Calls with other shapes, or with gradients in another state, have recordings
 * of their own.
 *
 * @throws {ExecutorError} `recording` where `body` reads values of a tensor, or passes other numbers or values to ops than in the call
 *   before; `autograd` for inputs that require a gradient; `device` for tensors of several devices.
 * @example
 * const step = recordStep(({ x, y, lr, count }: Record<'x' | 'y' | 'lr' | 'count', Tensor>) => {
 *   weight.zeroGrad();
 *   const loss = mean(square(sub(linear(x, weight), y)));
 *   loss.backward();
 *   adamW(weight, m, v, { lr, step: count, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 });
 *   return loss;
 * });
 * step({ x, y, lr: 1e-3, count: 1 }).item();
 */
export function recordStep<K extends string, R>(
  body: (inputs: Readonly<Record<K, Tensor>>) => R,
): RecordedStep<K, R> {
  checkFunction('recordStep', body);
  const step = new Step<K, R>((inputs) =>
    callSynchronously('recordStep', () => body(inputs), 'what it does later would not be in the step'),
  );
  return Object.assign((inputs: Given<K>) => step.call(inputs), {
    release: () => step.release(),
  });
}

class Step<K extends string, R> {
  readonly #body: (inputs: Readonly<Record<K, Tensor>>) => R;
  #on: { readonly backend: Backend; readonly recorder: Recorder | null } | null = null;
  /** The one used last comes last. */
  #variants: Variant<R>[] = [];
  /** Releases the results of the last call. */
  #releaseResults: () => void = () => undefined;

  constructor(body: (inputs: Readonly<Record<K, Tensor>>) => R) {
    this.#body = body;
  }

  call(inputs: Given<K>): R {
    checkObject('recordStep', 'the input of a step', inputs);
    // A copy: a getter may give another tensor each time.
    const given = { ...inputs };
    const backend = backendFor(given);
    if (watching) return this.#body(asTensors(given, backend));
    this.#releaseResults();
    this.#releaseResults = () => undefined;
    this.#on ??= { backend, recorder: backend.recorder() };
    if (this.#on.backend !== backend)
      throw new ExecutorError(
        'device',
        `recordStep: inputs on '${backend.device}', those of the first call on '${this.#on.backend.device}'`,
      );
    const { recorder } = this.#on;
    if (!recorder) return this.#run(given, new Watch(backend), (body) => body());
    const key = keyOf(given);
    const variant = this.#find(key);
    if (variant) {
      if (!variant.recorded) this.#recordWithRoom(variant, given, recorder);
      return this.#replay(variant, given, recorder);
    }
    const by = new Watch(backend);
    let trace: Trace = [];
    const result = this.#run(given, by, (body) => {
      const traced = recorder.trace(body);
      trace = traced[1];
      return traced[0];
    });
    this.#variants.push({ key, watch: by, trace, recorded: null });
    if (this.#variants.length > MOST_VARIANTS) this.#drop(this.#variants.shift()!);
    return result;
  }

  release(): void {
    this.#releaseResults();
    this.#releaseResults = () => undefined;
    for (const variant of this.#variants) this.#drop(variant);
    this.#variants = [];
    this.#on?.recorder?.release();
    this.#on = null;
  }

  /** The variant for these inputs and the present state of outside tensors; drops variants whose outside tensors were released. */
  #find(key: string): Variant<R> | undefined {
    const gone = this.#variants.filter((variant) => !isAlive(variant));
    for (const variant of gone) this.#drop(variant);
    this.#variants = this.#variants.filter((variant) => !gone.includes(variant));
    const found = this.#variants.find((variant) => variant.key === key && fits(variant.watch));
    if (found) this.#variants = [...this.#variants.filter((variant) => variant !== found), found];
    return found;
  }

  #run(given: Given<K>, by: Watch, around: (body: () => R) => R): R {
    const holder: Scope = { buffers: new Set() };
    const result = runScopeFor(
      holder,
      () => {
        const inputs = ownInputs(given, by.backend, currentScope());
        writeInputs(inputs, given, this.#on!.recorder);
        return around(() => watch(by, () => withoutTape(this.#body(inputs))));
      },
      buffersOf,
    );
    this.#releaseResults = () => {
      holder.buffers.forEach(release);
    };
    return result;
  }

  /** A device cannot free memory while it records: where memory runs out, it frees what it can afterwards and records again. */
  #recordWithRoom(variant: Variant<R>, given: Given<K>, recorder: Recorder): void {
    try {
      this.#record(variant, given, recorder);
    } catch (error) {
      const isFull = error instanceof ExecutorError && error.code === 'memory';
      if (!isFull || !recorder.makeRoom()) throw error;
      this.#record(variant, given, recorder);
    }
  }

  #record(variant: Variant<R>, given: Given<K>, recorder: Recorder): void {
    const { backend } = variant.watch;
    // The recording can have the memory that the call before worked in.
    emptyPool();
    const inputs = ownInputs(given, backend, null);
    variant.watch.copies.forEach(refreshCopy);
    const by = new Watch(backend, recorder);
    const holder: Scope = { buffers: new Set() };
    try {
      const [result, recording] = recorder.record(
        () =>
          withOwnPool(() =>
            runScopeFor(holder, () => watch(by, () => withoutTape(this.#body(inputs))), buffersOf),
          ),
        variant.trace,
      );
      checkSameTensors(variant.watch, by, new Set(Object.values<unknown>(inputs)));
      const after = [...by.gradients].map(([t, before]) => gradientAfter(t as Tensor, before));
      const changes = [...by.changes]
        .filter(([{ storage }]) => storage !== null)
        .map(([buffer, op]) => [buffer, op, buffer.hasFreshCopy] as const);
      variant.recorded = { recording, inputs, result, holder, changes, after };
      variant.watch = by;
    } catch (error) {
      // No kernel has run: restore gradients, trust no working copy and free the memory.
      for (const buffer of by.changes.keys()) buffer.copiedVersion = -1;
      for (const state of by.gradients.values()) state.restore();
      for (const buffer of [...holder.buffers, ...Object.values<Tensor>(inputs).map(({ buffer }) => buffer)])
        free(buffer);
      throw error;
    }
  }

  #replay({ recorded, watch: { checks, copies } }: Variant<R>, given: Given<K>, recorder: Recorder): R {
    const { recording, inputs, result, holder, changes, after } = recorded!;
    writeInputs(inputs, given, recorder);
    for (const check of checks) check();
    copies.forEach(refreshCopy);
    recording.replay();
    for (const [buffer, by, writesCopy] of changes) {
      buffer.noteChange(`${by} in a recorded step`);
      if (writesCopy) buffer.noteCopied();
    }
    for (const restore of after) restore();
    // The results are valid for this call alone: the next one overwrites their memory.
    const fresh = new Map<Buffer, Buffer>();
    // An input that is returned is overwritten as well.
    for (const buffer of [...holder.buffers, ...Object.values<Tensor>(inputs).map((t) => t.buffer)])
      fresh.set(buffer, new Buffer(buffer.backend, buffer.serial, buffer.storage, null, true));
    this.#releaseResults = () => {
      fresh.forEach(takeBack);
    };
    return mapTensors(result, (t) => new Tensor(fresh.get(t.buffer) ?? t.buffer, t.shape, t.dtype)) as R;
  }

  #drop({ recorded }: Variant<R>): void {
    if (!recorded) return;
    recorded.recording.release();
    for (const buffer of recorded.holder.buffers) free(buffer);
    for (const { buffer } of Object.values(recorded.inputs)) free(buffer);
  }
}

function free(buffer: Buffer): void {
  if (buffer.storage) buffer.backend.free(buffer.storage);
  takeBack(buffer);
}

/** Takes its memory, which belongs to a recording, from a buffer. */
function takeBack(buffer: Buffer): void {
  buffer.storage = null;
  releaseCopy(buffer);
}

function backendFor(given: Given<string>): Backend {
  for (const x of Object.values(given)) if (typeof x !== 'number') checkTensor('recordStep', x);
  const tensors = Object.values(given).filter((x) => typeof x !== 'number');
  for (const [name, x] of Object.entries(given))
    if (typeof x !== 'number' && x.requiresGrad)
      throw new ExecutorError(
        'autograd',
        `recordStep: the input '${name}' of shape ${show(x.shape)} requires a gradient, which would end at the step; detach() it`,
      );
  return tensors.length > 0 ? commonBackend('recordStep', tensors) : backendOf();
}

/** What a recording depends on besides outside tensors, which its Watch compares. */
function keyOf(given: Given<string>): string {
  const inputs = Object.entries(given).map(([name, x]) =>
    JSON.stringify(typeof x === 'number' ? [name] : [name, x.dtype, x.shape]),
  );
  return [...inputs.sort(), matmulPrecision(), isRecordingTape()].join(' ');
}

function mapInputs<K extends string>(
  given: Given<K>,
  map: (x: Tensor | number) => Tensor,
): Record<K, Tensor> {
  const entries = Object.entries<Tensor | number>(given).map(([name, x]) => [name, map(x)]);
  return Object.fromEntries(entries) as Record<K, Tensor>;
}

function asTensors<K extends string>(given: Given<K>, { device }: Backend): Record<K, Tensor> {
  return mapInputs(given, (x) => (typeof x === 'number' ? tensor([x], [], { dtype: 'f64', device }) : x));
}

/** Tensors like the inputs, of which `writeInputs` makes copies in every call: the body may change them. */
function ownInputs<K extends string>(
  given: Given<K>,
  backend: Backend,
  owner: Scope | null,
): Record<K, Tensor> {
  return mapInputs(given, (x) => {
    const { shape, dtype, size } = typeof x === 'number' ? { shape: [], dtype: 'f64' as const, size: 1 } : x;
    return new Tensor(allocate(backend, dtype, size, owner), shape, dtype);
  });
}

function writeInputs(
  inputs: Readonly<Record<string, Tensor>>,
  given: Given<string>,
  recorder: Recorder | null,
): void {
  for (const [name, x] of Object.entries(given)) {
    const { storage, backend } = inputs[name]!;
    if (typeof x === 'number') backend.write(storage, [x]);
    else if (recorder) recorder.copy(x.storage, storage);
    else backend.cast(x.storage, { storage, accumulate: false });
  }
}

/**
 * @throws {ExecutorError} `recording` where the body used other tensors from outside than in the call before, or in another order: a
 *   recording uses the same ones for good.
 */
function checkSameTensors(before: Watch, now: Watch, inputs: ReadonlySet<unknown>): void {
  const expected = [...before.used.keys()];
  const actual = [...now.used.keys()].filter((t) => !inputs.has(t));
  const other = actual.find((t, i) => t !== expected[i]) ?? expected[actual.length];
  if (other)
    throw new ExecutorError(
      'recording',
      `recordStep: the step used another tensor of shape ${show(other.shape)} from outside than in the call before, or in another ` +
        'order; a recording uses the same ones for good, so a tensor that changes is given to the step as an input',
    );
}

/**
 * Gives `t` the gradient that it has after the step. A gradient that the step made is a tensor of its own after each call: the next one
 * overwrites its memory, so what was kept of it counts as released then.
 */
function gradientAfter(t: Tensor, before: GradientState): () => void {
  const { isZero } = t.gradientState;
  const made = t.presentGradient;
  if (!made || before.storage !== null) return () => t.setGradient(made, isZero);
  const { backend, serial, storage } = made.buffer;
  let last: Buffer | null = null;
  return () => {
    if (last) takeBack(last);
    last = new Buffer(backend, serial, storage, null, true);
    t.setGradient(new Tensor(last, made.shape, made.dtype), isZero);
  };
}

/** Whether what was recorded still reads and writes the memory of the tensors from outside. */
function isAlive({ watch: { storages }, recorded }: Variant<unknown>): boolean {
  if (recorded === null) return true;
  for (const [buffer, storage] of storages) if (buffer.storage !== storage) return false;
  return true;
}

function fits({ used, gradients }: Watch): boolean {
  for (const [t, requiresGrad] of used) if (t.requiresGrad !== requiresGrad) return false;
  for (const [t, { storage, isZero }] of gradients) {
    const now = t.gradientState;
    if (now.storage !== storage || now.isZero !== isZero) return false;
  }
  return true;
}

function withoutTape<R>(result: R): R {
  return mapTensors(result, (t) => t.detach()) as R;
}
