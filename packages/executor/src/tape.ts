import type { Storage } from './backend.js';
import { ExecutorError } from './error.js';
import { buffersMade, type Buffer } from './memory.js';
import { show } from './shape.js';
import type { Tensor } from './tensor.js';

/** How a tensor was made: what it was made from, and how to pass its gradient on to those. */
export interface TapeNode {
  readonly op: string;
  /** Those inputs that required a gradient when the op ran. */
  readonly inputs: readonly Tensor[];
  /** Memory that the backward pass reads. */
  readonly saved: readonly Buffer[];
  /** @throws {ExecutorError} where a saved tensor was released or changed after the op ran. */
  readonly check: () => void;
  /** Adds to the gradient of each of `inputs`. */
  readonly backward: (gradient: Storage) => void;
}

/** Tensors whose values a backward pass reads, by name; null for one that it does without. */
type Saved = Readonly<Record<string, Tensor | null>>;
type SavedStorages<S extends Saved> = {
  readonly [K in keyof S]: [S[K]] extends [Tensor] ? Storage : Storage | null;
};

let recording = true;
/** The node whose backward pass runs. */
let running: TapeNode | null = null;
/** Its inputs: those that a gradient is passed on to. */
const NONE: ReadonlySet<Tensor> = new Set();
let wanted = NONE;
/** Buffers with a smaller serial were made before the backward pass that runs. */
let unsavedBelow = 0;

/** Runs `body` without recording a tape. */
export function withoutRecording<T>(body: () => T): T {
  const before = recording;
  recording = false;
  try {
    return body();
  } finally {
    recording = before;
  }
}

/** Whether ops record a tape. */
export function isRecordingTape(): boolean {
  return recording;
}

/**
 * Puts `out` on the tape: made by `op` from `inputs`.
 *
 * @param saved Every tensor whose values `backward` reads, and no other: changing one of them in place, or releasing it, before
 *   the backward pass is an error.
 * @param backward Receives the gradient of `out` and the memory of the saved tensors. It can read no other tensor that was
 *   there before it.
 */
export function record<S extends Saved>(
  op: string,
  out: Tensor,
  inputs: readonly Tensor[],
  saved: S,
  backward: (gradient: Storage, saved: SavedStorages<S>) => void,
): Tensor {
  const differentiated = recording ? inputs.filter((t) => t.requiresGrad) : [];
  if (differentiated.length === 0) return out;
  const versions = Object.entries<Tensor | null>(saved).map(
    ([name, t]) => [name, t, t?.buffer.version] as const,
  );
  const check = (): void => {
    for (const [name, t, version] of versions) if (t) checkSaved(op, name, t, version!);
  };
  const node: TapeNode = {
    op,
    inputs: differentiated,
    saved: versions.flatMap(([, t]) => (t ? [t.buffer] : [])),
    check,
    backward: (gradient) => {
      check();
      const storages = Object.fromEntries(versions.map(([name, t]) => [name, t?.storage ?? null]));
      running = node;
      // A `cat` has as many inputs as its caller likes.
      wanted = new Set(differentiated);
      unsavedBelow = buffersMade();
      try {
        // The edge of the types: `storages` has the names of `saved`.
        backward(gradient, storages as SavedStorages<S>);
      } finally {
        running = null;
        wanted = NONE;
        unsavedBelow = 0;
      }
    },
  };
  out.requiresGrad = true;
  out.node = node;
  return out;
}

function checkSaved(op: string, name: string, { buffer, shape }: Tensor, version: number): void {
  if (buffer.storage && buffer.version === version) return;
  const tensor = `backward of ${op}: its tensor ${name} of shape ${show(shape)}`;
  if (!buffer.storage)
    throw new ExecutorError(
      'released',
      `${tensor} was released after ${op} saved it; call backward before its scope is left and before dispose()`,
    );
  throw new ExecutorError(
    'autograd',
    `${tensor} was changed in place by ${buffer.changedBy} after ${op} saved it; call backward first, or change a copy`,
  );
}

/** @throws {ExecutorError} `autograd` where a backward pass reads a tensor that its op did not save. */
export function checkReadable({ serial }: Buffer, shape: readonly number[]): void {
  if (serial < unsavedBelow)
    throw new ExecutorError(
      'autograd',
      `backward of ${running!.op} reads a tensor of shape ${show(shape)} that ${running!.op} did not save`,
    );
}

/** @throws {ExecutorError} `autograd` where the backward pass that runs reads the memory that a gradient is to be written to. */
export function refuseToOverwrite(buffer: Buffer, shape: readonly number[]): void {
  if (running?.saved.includes(buffer))
    throw new ExecutorError(
      'autograd',
      `backward of ${running.op}: the gradient of a tensor of shape ${show(shape)} is itself an input of ${running.op}, which ` +
        'would be read while it changes; give the op a copy of the gradient',
    );
}

/** Whether the node whose backward pass runs passes a gradient on to `t`. */
export function isWanted(t: Tensor): boolean {
  return wanted.has(t);
}

/** Tensors that ops made, each after all that were made from it. */
export function inReverseOrder(root: Tensor): Tensor[] {
  const order: Tensor[] = [];
  const seen = new Set<Tensor>();
  // Depth first with a stack of its own: a tape of 10⁵ ops must not overflow JavaScript's.
  const stack: { tensor: Tensor; next: number }[] = [{ tensor: root, next: 0 }];
  seen.add(root);
  while (stack.length) {
    const top = stack[stack.length - 1]!;
    const input = top.tensor.node?.inputs[top.next++];
    if (input) {
      if (input.node && !seen.has(input)) {
        seen.add(input);
        stack.push({ tensor: input, next: 0 });
      }
    } else {
      stack.pop();
      if (top.tensor.node) order.push(top.tensor);
    }
  }
  return order.reverse();
}
