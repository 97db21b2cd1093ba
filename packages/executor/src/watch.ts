import type { Backend, Recorder, Storage } from './backend.js';
import { ExecutorError } from './error.js';
import { buffersMade, type Buffer } from './memory.js';
import { show, type Shape } from './shape.js';

/** The gradient of a tensor at one moment. */
export interface GradientState {
  /** The tensor that holds it, to be compared. */
  readonly gradient: { readonly buffer: Buffer } | null;
  /** Whether it counts as zero while its memory still holds other numbers. */
  readonly isZero: boolean;
  /** Gives the tensor this gradient again. */
  readonly restore: () => void;
}

/** What recorded steps read of a tensor. */
interface WatchedTensor {
  readonly backend: Backend;
  readonly shape: Shape;
  readonly buffer: Buffer;
  readonly storage: Storage;
  readonly requiresGrad: boolean;
  readonly node: { readonly op: string } | null;
  readonly gradientState: GradientState;
}

/**
 * What the body of a recorded step uses of all that was there before it: what it does depends on these, so that it can be
 * repeated for as long as they are as they were. Tensors call it (see tensor.ts), step.ts asks it.
 */
export class Watch {
  /** Tensors from outside whose memory was used, and whether each required a gradient. */
  readonly used = new Map<WatchedTensor, boolean>();
  /** Gradients of tensors from outside, as the body found them. */
  readonly gradients = new Map<WatchedTensor, GradientState>();
  /** Where the memory of both was: a tensor that leaves all scopes may move to a smaller block. */
  readonly storages = new Map<Buffer, Storage | null>();
  /** What is to be checked of indices from outside before each replay. */
  readonly checks: (() => void)[] = [];
  /** Buffers that were changed in place, and the op that did it last. */
  readonly changes = new Map<Buffer, string>();
  readonly backend: Backend;
  /** What records the body, if anything. */
  readonly recorder: Recorder | null;
  readonly #before = buffersMade();

  constructor(backend: Backend, recorder: Recorder | null = null) {
    this.backend = backend;
    this.recorder = recorder;
  }

  /** @throws {ExecutorError} `device` for another one than that of the step; `autograd` for a tape from outside. */
  use(t: WatchedTensor): void {
    if (t.backend !== this.backend)
      throw new ExecutorError(
        'device',
        `recordStep: its inputs are on '${this.backend.device}', its body uses a tensor of shape ${show(t.shape)} on '${t.backend.device}'`,
      );
    if (!this.isOutside(t) || this.used.has(t)) return;
    if (t.node)
      throw new ExecutorError(
        'autograd',
        `recordStep: a tensor of shape ${show(t.shape)} that '${t.node.op}' made outside has a tape; ` +
          'detach() it, or make it inside',
      );
    this.used.set(t, t.requiresGrad);
    this.storages.set(t.buffer, t.buffer.storage);
  }

  /** Before the gradient of `t`, or whether it counts as zero, is read or changed. */
  useGradient(t: WatchedTensor, state: GradientState): void {
    if (!this.isOutside(t) || this.gradients.has(t)) return;
    this.gradients.set(t, state);
    if (state.gradient) this.storages.set(state.gradient.buffer, state.gradient.buffer.storage);
  }

  /** @throws {ExecutorError} `recording` */
  refuseRead(shape: readonly number[]): never {
    throw new ExecutorError(
      'recording',
      `recordStep: a tensor of shape ${show(shape)} is read inside the step, which is repeated without JavaScript; ` +
        'return the tensor and read it after the call',
    );
  }

  /** Before an op changes values in place. */
  change(buffer: Buffer, op: string): void {
    this.changes.set(buffer, op);
  }

  isOutside(t: WatchedTensor): boolean {
    return t.buffer.serial < this.#before;
  }
}

/** That of the step whose body runs. */
export let watching: Watch | null = null;

export function watch<T>(by: Watch, body: () => T): T {
  watching = by;
  try {
    return body();
  } finally {
    watching = null;
  }
}

/**
 * Runs `check` with the smallest and the largest number of `x` (null where these would have to be waited for) now, and in each replay of
 * the step whose body runs: before it where `x` is from outside, else in its place.
 */
export function checkAlways(
  x: WatchedTensor,
  check: (range: readonly [low: number, high: number] | null) => void,
): void {
  const { backend, storage } = x;
  check(backend.rangeOf(storage));
  if (watching?.isOutside(x)) watching.checks.push(() => check(backend.rangeOf(x.storage)));
  else watching?.recorder?.check?.(() => check(backend.rangeOf(storage)));
}
