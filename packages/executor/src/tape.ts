import type { Storage } from './backend.js';
import { ExecutorError } from './error.js';
import { buffersMade, type Buffer } from './memory.js';
import { show, type Shape } from './shape.js';

/** What the tape reads and sets of a tensor `T`. */
interface Recordable<T> {
  readonly shape: Shape;
  readonly buffer: Buffer;
  readonly storage: Storage;
  requiresGrad: boolean;
  node: TapeNode<T> | null;
}

/** The op that made a tensor, and its backward pass. */
export interface TapeNode<T> {
  readonly op: string;
  /** The inputs that required a gradient when the op ran. */
  readonly inputs: readonly T[];
  /** How many ops took the result as an input that requires a gradient. */
  uses: number;
  /** Buffers of the saved tensors. */
  readonly saved: readonly Buffer[];
  /** @throws {ExecutorError} where a saved tensor was released or changed after the op ran. */
  readonly check: () => void;
  /** Adds to the gradient of each of `inputs`. */
  readonly backward: (gradient: Storage) => void;
}

/** Tensors whose values a backward pass reads, by name; null where it does not need one. */
type Saved<T> = Readonly<Record<string, T | null>>;
type SavedStorages<S> = {
  readonly [K in keyof S]: null extends S[K] ? Storage | null : Storage;
};

let recording = true;
/** The node whose backward pass is running. */
let running: TapeNode<unknown> | null = null;
const NONE: ReadonlySet<unknown> = new Set();
/** Inputs of `running`: the tensors that receive a gradient. */
let wanted = NONE;
/** Buffers with a smaller serial were made before the running backward pass, which may read them only if its op saved them. */
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
 * Records on the tape that `op` made `out` from `inputs`. Records nothing inside `noGrad` or where no input requires a gradient.
 *
 * @param saved Every tensor whose values `backward` reads, and no other: changing or releasing one of them before the backward
 *   pass is an error.
 * @param backward Receives the gradient of `out` and the storage of the saved tensors. Reading any other tensor that was made
 *   before the backward pass is an error.
 */
export function record<T extends Recordable<T>, S extends Saved<T>>(
  op: string,
  out: T,
  inputs: readonly T[],
  saved: S,
  backward: (gradient: Storage, saved: SavedStorages<S>) => void,
): T {
  const differentiated = recording ? inputs.filter((t) => t.requiresGrad) : [];
  if (differentiated.length === 0) return out;
  const versions = Object.entries<T | null>(saved).map(([name, t]) => [name, t, t?.buffer.version] as const);
  const check = (): void => {
    for (const [name, t, version] of versions) if (t) checkSaved(op, name, t, version!);
  };
  const node: TapeNode<T> = {
    op,
    inputs: differentiated,
    uses: 0,
    saved: versions.flatMap(([, t]) => (t ? [t.buffer] : [])),
    check,
    backward: (gradient) => {
      check();
      const storages = Object.fromEntries(versions.map(([name, t]) => [name, t?.storage ?? null]));
      running = node;
      // A set: `cat` may have thousands of inputs.
      wanted = new Set(differentiated);
      unsavedBelow = buffersMade();
      try {
        // Object.fromEntries loses the names of `saved`.
        backward(gradient, storages as SavedStorages<S>);
      } finally {
        running = null;
        wanted = NONE;
        unsavedBelow = 0;
      }
    },
  };
  for (const { node } of differentiated) if (node) node.uses++;
  out.requiresGrad = true;
  out.node = node;
  return out;
}

function checkSaved(
  op: string,
  name: string,
  { buffer, shape }: { readonly buffer: Buffer; readonly shape: Shape },
  version: number,
): void {
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

/** @throws {ExecutorError} `autograd` where a gradient would be written to `buffer`, which the running backward pass reads. */
export function refuseToOverwrite(buffer: Buffer, shape: readonly number[]): void {
  if (running?.saved.includes(buffer))
    throw new ExecutorError(
      'autograd',
      `backward of ${running.op}: the gradient of a tensor of shape ${show(shape)} is itself an input of ${running.op}, which ` +
        'would be read while it changes; give the op a copy of the gradient',
    );
}

/** Whether the running backward pass computes a gradient for the tensor `t`. */
export function isWanted(t: object): boolean {
  return wanted.has(t);
}

/** `root` and the results of ops that it was made from, in reverse topological order: each before its own inputs. */
export function inReverseOrder<T extends Recordable<T>>(root: T): T[] {
  const order: T[] = [];
  const seen = new Set<T>();
  // Depth first with a stack of its own: a tape of 10⁵ ops must not overflow JavaScript's.
  const stack: { tensor: T; next: number }[] = [{ tensor: root, next: 0 }];
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
