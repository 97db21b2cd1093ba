import type { Backend, Recorder, Storage } from './backend.js';
import { ExecutorError } from './error.js';
import { buffersMade, type Buffer } from './memory.js';
import { show, type Shape } from './shape.js';

/** Number of tensors made so far. */
let tensors = 0;

/** The serial of a new tensor. */
export const tensorSerial = (): number => tensors++;

/** The gradient of a tensor at one moment. */
export interface GradientState {
  /** The memory of the tensor that holds it; undefined once that was released, null where there is no gradient. */
  readonly storage: Storage | null | undefined;
  /** Whether it counts as zero while its memory still holds other numbers. */
  readonly isZero: boolean;
  /** Gives the tensor this gradient again. */
  readonly restore: () => void;
}

/** What recorded steps read of a tensor. */
interface WatchedTensor {
  /** Number of tensors that were made before it. */
  readonly serial: number;
  readonly backend: Backend;
  readonly shape: Shape;
  readonly buffer: Buffer;
  readonly storage: Storage;
  readonly requiresGrad: boolean;
  readonly node: { readonly op: string } | null;
  readonly gradientState: GradientState;
}

/**
 * Tracks what the body of a recorded step uses from outside: tensors that were made before it ran, and their gradients. The recording
 * can be replayed as long as these are unchanged. tensor.ts reports each use, step.ts compares.
 */
export class Watch {
  /** Tensors from outside whose memory was used, and whether each required a gradient. */
  readonly used = new Map<WatchedTensor, boolean>();
  /** Gradients of tensors from outside, as the body found them. */
  readonly gradients = new Map<WatchedTensor, GradientState>();
  /** Where the memory of both was: a tensor that leaves all scopes may move to a smaller block. */
  readonly storages = new Map<Buffer, Storage | null>();
  /** Checks of index tensors from outside, to be run before each replay. */
  readonly checks: (() => void)[] = [];
  /** Buffers that the body changed in place, and the op that did so last. */
  readonly changes = new Map<Buffer, string>();
  /** Buffers from outside whose working copies the body read; see working-copy.ts. */
  readonly copies = new Set<Buffer>();
  readonly backend: Backend;
  /** Records the body; null where the body just runs. */
  readonly recorder: Recorder | null;
  readonly #buffersBefore = buffersMade();
  readonly #tensorsBefore = tensors;

  constructor(backend: Backend, recorder: Recorder | null = null) {
    this.backend = backend;
    this.recorder = recorder;
  }

  /** Notes that the body uses `t`. @throws {ExecutorError} `device` where it is not on the device of the step; `autograd` where it was made by an op outside. */
  use(t: WatchedTensor): void {
    if (t.backend !== this.backend)
      throw new ExecutorError(
        'device',
        `recordStep: its inputs are on '${this.backend.device}', its body uses a tensor of shape ${show(t.shape)} on '${t.backend.device}'`,
      );
    // A view that the body made of a tensor from outside shares its memory.
    if (this.#holdsOutside(t)) this.storages.set(t.buffer, t.buffer.storage);
    if (!this.isOutside(t) || this.used.has(t)) return;
    if (t.node)
      throw new ExecutorError(
        'autograd',
        `recordStep: a tensor of shape ${show(t.shape)} that '${t.node.op}' made outside has a tape; ` +
          'detach() it, or make it inside',
      );
    this.used.set(t, t.requiresGrad);
  }

  /** Notes the gradient of `t` as it is before the body reads or changes it. */
  useGradient(t: WatchedTensor, state: GradientState): void {
    if (this.isOutside(t) && !this.gradients.has(t)) this.gradients.set(t, state);
  }

  /** @throws {ExecutorError} `recording`: replays run no JavaScript that could read values. */
  refuseRead(shape: readonly number[]): never {
    throw new ExecutorError(
      'recording',
      `recordStep: a tensor of shape ${show(shape)} is read inside the step, which is repeated without JavaScript; ` +
        'return the tensor and read it after the call',
    );
  }

  /** Notes that an op changes values in place. */
  change(buffer: Buffer, op: string): void {
    this.changes.set(buffer, op);
  }

  /** Whether `t` was made before the body ran. */
  /** Whether `t` was there before the body ran. */
  isOutside(t: WatchedTensor): boolean {
    return t.serial < this.#tensorsBefore;
  }

  /** Whether the memory of `t` was there before the body ran. */
  #holdsOutside({ buffer }: WatchedTensor): boolean {
    return buffer.serial < this.#buffersBefore;
  }

  /** Notes a check of the numbers that `t` will hold: before each replay, or in its place of a replay where the step makes them. */
  addCheck(t: WatchedTensor, storage: Storage, check: (storage: Storage) => void): void {
    if (this.#holdsOutside(t)) this.checks.push(() => check(t.storage));
    else this.recorder?.check?.(() => check(storage));
  }
}

/** The watch of the step whose body is running; null outside of steps. */
export let watching: Watch | null = null;

/** Runs `body` with `by` as `watching`. */
export function watch<T>(by: Watch, body: () => T): T {
  watching = by;
  try {
    return body();
  } finally {
    watching = null;
  }
}

/**
 * Runs `check` with the smallest and the largest element of `x` (null where reading them would wait for the device) now, and in each
 * replay of the running step: before the replay for a tensor from outside, else between its kernels.
 */
export function checkAlways(
  x: WatchedTensor,
  check: (range: readonly [low: number, high: number] | null) => void,
): void {
  const { backend, storage } = x;
  check(backend.rangeOf(storage));
  watching?.addCheck(x, storage, (now) => check(backend.rangeOf(now)));
}
