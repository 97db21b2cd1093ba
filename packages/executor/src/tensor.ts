import type { Backend, Device, DType, HostArray, Storage, Target } from './backend.js';
import { ExecutorError } from './error.js';
import { callSynchronously, named } from './arguments.js';
import { allocate, Buffer, currentScope, release, runScope } from './memory.js';
import { nestedValues, showValues } from './print.js';
import { sameShape, show, sizeOf, type Shape } from './shape.js';
import {
  checkReadable,
  inReverseOrder,
  isRecordingTape,
  isWanted,
  refuseToOverwrite,
  withoutRecording,
  type TapeNode,
} from './tape.js';
import { plainArray, typeOf } from './typed-array.js';
import { checkRow, numbersOf } from './values.js';
import { watching, type GradientState } from './watch.js';

/** A contiguous row-major array of numbers on a device, with the tape that differentiates it. */
export class Tensor {
  readonly #shape: Shape;
  readonly #dtype: DType;
  #requiresGrad = false;
  /** @internal */
  readonly buffer: Buffer;
  /** @internal */
  node: TapeNode<Tensor> | null = null;
  private gradient: Tensor | null = null;
  /** Whether the gradient counts as zero while its memory still holds other numbers. */
  private gradientIsZero = false;

  /** @internal Tensors are made by `tensor`, `zeros`, … and by ops. */
  constructor(buffer: Buffer, shape: Shape, dtype: DType) {
    const { storage } = buffer instanceof Buffer ? buffer : {};
    if (
      new.target !== Tensor ||
      storage === undefined ||
      // Of one that was released nothing can be read.
      (storage !== null && (storage.dtype !== dtype || storage.length !== sizeOf(shape)))
    )
      throw new ExecutorError(
        'value',
        'a Tensor is made by tensor(), zeros() and the ops, not by its constructor',
      );
    this.buffer = buffer;
    // A copy: kernels trust that the shape stays as it is.
    this.#shape = Object.freeze([...shape]);
    this.#dtype = dtype;
    // So that no property of its own can say another shape.
    Object.preventExtensions(this);
  }

  /** @internal Whether `value` was made by the constructor; `instanceof` asks for its prototype alone. */
  static is(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #shape in value;
  }

  get shape(): Shape {
    return this.#shape;
  }

  get dtype(): DType {
    return this.#dtype;
  }

  /** Whether `backward` leaves a gradient here (leaves) or passes one through. */
  get requiresGrad(): boolean {
    return this.#requiresGrad;
  }

  /** @throws {ExecutorError} `dtype` where an i32 tensor is to have a gradient; `autograd` where the result of an op is to have none. */
  set requiresGrad(required: boolean) {
    if (typeof required !== 'boolean')
      throw new ExecutorError('value', `requiresGrad is true or false, given ${named(required)}`);
    if (required && this.dtype === 'i32')
      throw new ExecutorError('dtype', `requiresGrad: an i32 tensor ${show(this.shape)} has no gradient`);
    if (!required && this.node)
      throw new ExecutorError(
        'autograd',
        `requiresGrad: a tensor that '${this.node.op}' made from others passes a gradient on; detach() makes one that does not`,
      );
    this.#requiresGrad = required;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get device(): Device {
    return this.buffer.backend.device;
  }

  /** @internal */
  get backend(): Backend {
    return this.buffer.backend;
  }

  /** @internal @throws {ExecutorError} `released` after the scope that owned this tensor was left. */
  get storage(): Storage {
    checkReadable(this.buffer, this.shape);
    return this.memory;
  }

  /** @internal The storage, of which `op` is about to change values: a tape that saved them is not run after that. */
  storageToChange(op: string): Storage {
    const { storage } = this;
    this.noteChange(op);
    return storage;
  }

  private noteChange(op: string): void {
    this.buffer.noteChange(op);
    watching?.change(this.buffer, op);
  }

  private get memory(): Storage {
    watching?.use(this);
    if (this.buffer.storage) return this.buffer.storage;
    throw new ExecutorError(
      'released',
      `tensor of shape ${show(this.shape)} was released with its scope, or is the result of a recorded step that was called again; ` +
        'return it from the scope to keep it, read it before the next call',
    );
  }

  /** A copy of the values, row-major, once the device has computed them. */
  data(): Promise<HostArray> {
    watching?.refuseRead(this.shape);
    return this.backend.read(this.storage);
  }

  /**
   * As `data`, waiting for the device.
   *
   * @param into An array of as many numbers, to be filled and returned: a loop that reads much leaves nothing to be collected.
   * @throws {ExecutorError} `shape` where `into` has another length.
   */
  dataSync(into?: HostArray): HostArray {
    watching?.refuseRead(this.shape);
    if (into !== undefined) checkInto(into, this.size);
    return this.backend.readSync(this.storage, into);
  }

  /** The value of a tensor of one element. */
  item(): number {
    if (this.size !== 1)
      throw new ExecutorError('shape', `item: one element expected, the shape is ${show(this.shape)}`);
    return this.dataSync()[0]!;
  }

  /** Shape, dtype, device and values, of which larger tensors show the first and the last; `console.log` prints it in Node. */
  toString(): string {
    const what = `${show(this.shape)}, ${this.dtype}, ${this.device}`;
    if (!this.buffer.storage) return `tensor(released, ${what})`;
    // A recorded step has no values yet.
    if (watching) return `tensor(${what})`;
    return `tensor(${showValues(this.backend.readSync(this.storage), this.shape)}, ${what})`;
  }

  /** What JSON.stringify writes: dtype, device, shape, and all values as nested arrays. */
  toJSON(): { dtype: DType; device: Device; shape: Shape; values: unknown } {
    const { dtype, device, shape } = this;
    return { dtype, device, shape, values: nestedValues(this.dataSync(), shape) };
  }

  /** @internal What Node's console prints. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  /**
   * Overwrites the values in place by those of another tensor of this shape and dtype. `backward` of an op that saved the old ones is an
   * error after that.
   *
   * @throws {ExecutorError} `shape`, `dtype` or `device` for one that is not like this tensor; `autograd` where a gradient would have to
   *   pass: outside of `noGrad`, where either requires one.
   */
  assign(values: Tensor): void {
    commonBackend('assign', [this, values]);
    if (!sameShape(values.shape, this.shape) || values.dtype !== this.dtype)
      throw new ExecutorError(
        values.dtype === this.dtype ? 'shape' : 'dtype',
        `assign: ${values.dtype} ${show(values.shape)} to ${this.dtype} ${show(this.shape)}`,
      );
    if (isRecordingTape() && (this.#requiresGrad || values.requiresGrad))
      throw new ExecutorError('autograd', 'assign: no gradient passes through it; call it inside of noGrad');
    if (values.buffer === this.buffer) return;
    const from = values.storage;
    this.backend.cast(from, { storage: this.storageToChange('assign'), accumulate: false });
  }

  /** Overwrites the values in place. `backward` of an op that saved the old ones is an error after that. */
  set(values: ArrayLike<number>): void {
    checkRow('set', values);
    const numbers = numbersOf('set', values, this.dtype);
    if (numbers.length !== this.size)
      throw new ExecutorError(
        'shape',
        `set: ${numbers.length} values for a tensor of shape ${show(this.shape)}`,
      );
    const storage = this.storageToChange('set');
    if (this.size > 0) this.backend.write(storage, numbers);
  }

  /** Gives the memory back now, not only when its scope is left; what shares it loses it too. */
  dispose(): void {
    release(this.buffer);
  }

  /** The same values without the tape. Shares memory. */
  detach(): Tensor {
    return new Tensor(this.buffer, this.shape, this.dtype);
  }

  /**
   * Gradient of the same shape after `backward`; null before. A leaf's adds up until `zeroGrad`; an intermediate result may have
   * passed its own on.
   */
  get grad(): Tensor | null {
    this.noteGradient();
    if (this.gradient && this.gradientIsZero) this.backend.fill(this.gradient.storageToChange('zeroGrad'), 0);
    this.gradientIsZero = false;
    return this.gradient;
  }

  /**
   * Takes a copy of the values: `backward` adds to it, which no other tensor is to see.
   *
   * @throws {ExecutorError} `shape`, `dtype` or `device` for one that is not like this tensor.
   */
  set grad(gradient: Tensor | null) {
    if (gradient !== null) this.checkGradient(gradient);
    const storage = gradient?.storage;
    this.giveGradient(null);
    if (storage) this.backend.cast(storage, this.takeGrad());
  }

  private giveGradient(gradient: Tensor | null): void {
    this.noteGradient();
    this.gradient = gradient;
    this.gradientIsZero = false;
  }

  /** Sets the gradient to zero, keeping its memory: the next `backward` overwrites it. */
  zeroGrad(): void {
    this.noteGradient();
    this.gradientIsZero = true;
  }

  /** @internal Where the next share of the gradient goes; memory is taken at the first. */
  takeGrad(): Target {
    this.noteGradient();
    const accumulate = this.gradient !== null && !this.gradientIsZero;
    this.gradientIsZero = false;
    this.gradient ??= new Tensor(
      // A leaf's gradient lives as long as the leaf, that of an intermediate result as long as the current scope.
      allocate(this.backend, this.dtype, this.size, this.node ? currentScope() : this.buffer.owner),
      this.shape,
      this.dtype,
    );
    const { memory } = this.gradient;
    refuseToOverwrite(this.gradient.buffer, this.shape);
    this.gradient.noteChange('backward');
    return { storage: memory, accumulate };
  }

  /** @internal Adds the gradient of `from`, of as many elements, to this one's. An intermediate result without one takes its memory. */
  inheritGradient(from: Tensor): void {
    const gradient = from.gradient!;
    if (this.node && !this.gradient) {
      this.giveGradient(new Tensor(gradient.buffer, this.shape, this.dtype));
      from.giveGradient(null);
    } else this.backend.cast(gradient.memory, this.takeGrad());
  }

  /** @internal */
  get gradientState(): GradientState {
    const { gradient, gradientIsZero: isZero } = this;
    const restore = (): void => {
      this.gradient = gradient;
      this.gradientIsZero = isZero;
    };
    return { gradient, isZero, restore };
  }

  private checkGradient(gradient: Tensor): void {
    commonBackend('grad', [this, gradient]);
    if (!sameShape(gradient.shape, this.shape))
      throw new ExecutorError(
        'shape',
        `grad: a gradient of shape ${show(gradient.shape)} for a tensor of shape ${show(this.shape)}`,
      );
    if (gradient.dtype !== this.dtype)
      throw new ExecutorError(
        'dtype',
        `grad: a gradient of dtype ${gradient.dtype} for a tensor of dtype ${this.dtype}; convert it with cast`,
      );
  }

  private noteGradient(): void {
    watching?.useGradient(this, this.gradientState);
  }

  /**
   * Adds d(this)/d(leaf) to `grad` of every leaf that requires it.
   *
   * @param gradient Gradient of this tensor, of its shape; may be left out for one element (then 1).
   * @throws {ExecutorError} `autograd` where nothing requires a gradient, or where a tensor that an op saved was changed in place
   *   after the op ran; `released` where it was released; `shape`; `dtype`.
   */
  backward(gradient?: Tensor): void {
    if (!this.requiresGrad)
      throw new ExecutorError(
        'autograd',
        'backward: no tensor that this one was made from requires a gradient',
      );
    if (gradient) commonBackend('backward', [this, gradient]);
    if (gradient && !sameShape(gradient.shape, this.shape))
      throw new ExecutorError(
        'shape',
        `backward: gradient of shape ${show(gradient.shape)} for a tensor of shape ${show(this.shape)}`,
      );
    if (!gradient && this.size !== 1)
      throw new ExecutorError(
        'shape',
        `backward: a tensor of shape ${show(this.shape)} needs its gradient as an argument; only a tensor of one element, such as a mean, does without`,
      );
    if (gradient && gradient.dtype !== this.dtype)
      throw new ExecutorError(
        'dtype',
        `backward: gradient of dtype ${gradient.dtype} for a tensor of dtype ${this.dtype}; convert it with cast`,
      );
    watching?.use(this);
    const order = inReverseOrder<Tensor>(this);
    for (const t of order) t.node!.check();
    // What an earlier backward left in results that both share has been passed on already.
    for (const t of order) t.giveGradient(null);
    const seed = gradient ?? empty(this.shape, this.dtype, this.backend);
    if (!gradient) seed.backend.fill(seed.storage, 1);
    this.backend.cast(seed.storage, gradOf(this));
    for (const t of order) t.node!.backward(t.grad!.storage);
  }
}

/** Where an op's share of the gradient of `t` goes; it must be written there. */
export function gradOf(t: Tensor): Target {
  return t.takeGrad();
}

/** `gradOf` for an op that writes only a part of it: the rest of a new gradient is zero. */
export function zeroedGradOf(t: Tensor): Target {
  const { storage, accumulate } = t.takeGrad();
  if (!accumulate) t.backend.fill(storage, 0);
  return { storage, accumulate: true };
}

/** `gradOf`, or null where `t` required none when the op ran. */
export function wantedGradOf(t: Tensor): Target | null {
  return isWanted(t) ? t.takeGrad() : null;
}

/** Passes the gradient of `from` on to `to` where that requires one, as the last that is done with it: `from` may lose it. */
export function passGradient(from: Tensor, to: Tensor): void {
  if (isWanted(to)) to.inheritGradient(from);
}

/** The target that `t` itself is, for kernels that can also add. */
export function overwrite(t: Tensor): Target {
  return { storage: t.storage, accumulate: false };
}

/** A new tensor with unspecified contents, in the current scope. */
export function empty(shape: Shape, dtype: DType, backend: Backend): Tensor {
  return new Tensor(allocate(backend, dtype, sizeOf(shape), currentScope()), shape, dtype);
}

/** Runs `body` without recording a tape: for evaluation, and for updates of parameters. */
export function noGrad<T>(body: () => T): T {
  return withoutRecording(() =>
    callSynchronously('noGrad', body, 'what it does after its first await would record a tape'),
  );
}

/** @throws {ExecutorError} `value` for anything but a tensor. */
export function checkTensor(op: string, t: unknown): asserts t is Tensor {
  if (Tensor.is(t)) return;
  const given = named(t);
  throw new ExecutorError(
    'value',
    `${op}: takes tensors, given ${given}` +
      (given === 'a Tensor' ? ' of another copy of @dag/executor' : ''),
  );
}

/** The backend that all of `tensors` are on. */
export function commonBackend(op: string, tensors: readonly Tensor[]): Backend {
  for (const t of tensors) checkTensor(op, t);
  const first = tensors[0]!;
  for (const t of tensors)
    if (t.backend !== first.backend)
      throw new ExecutorError('device', `${op}: tensors on '${first.device}' and '${t.device}'`);
  return first.backend;
}

/** Checks that all of `tensors` have one floating-point dtype. */
export function commonDType(op: string, tensors: readonly Tensor[]): DType {
  for (const t of tensors) checkTensor(op, t);
  const first = tensors[0]!;
  for (const t of tensors)
    if (t.dtype !== first.dtype)
      throw new ExecutorError(
        'dtype',
        `${op}: dtypes ${first.dtype} ${show(first.shape)} and ${t.dtype} ${show(t.shape)}; convert one with cast`,
      );
  if (first.dtype === 'i32')
    throw new ExecutorError('dtype', `${op}: takes f32 or f64, given i32 ${show(first.shape)}`);
  return first.dtype;
}

/**
 * Runs `body` and frees every tensor that it made and did not return (in a tensor, array, map or plain object).
 * Gradients of tensors from outside live on with those tensors.
 */
export function scope<T>(body: () => T): T {
  return runScope(body, buffersOf);
}

export function buffersOf(value: unknown): Set<Buffer> {
  const buffers = new Set<Buffer>();
  mapTensors(value, (t) => {
    buffers.add(t.buffer);
    if (t.grad) buffers.add(t.grad.buffer);
    return t;
  });
  return buffers;
}

/**
 * `value` with other tensors, in arrays, maps and plain objects at any depth.
 *
 * @throws {ExecutorError} `value` where it contains itself.
 */
export function mapTensors(
  value: unknown,
  f: (t: Tensor) => Tensor,
  around: readonly unknown[] = [],
): unknown {
  if (Tensor.is(value)) return f(value);
  if (value === null || typeof value !== 'object') return value;
  if (around.includes(value))
    throw new ExecutorError('value', 'the result of a scope or a recorded step contains itself');
  const inside = [...around, value];
  if (Array.isArray(value)) return value.map((v) => mapTensors(v, f, inside));
  if (value instanceof Map) return new Map([...value].map(([key, v]) => [key, mapTensors(v, f, inside)]));
  if (Object.getPrototypeOf(value) === Object.prototype)
    return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, mapTensors(v, f, inside)]));
  return value;
}

/** @throws {ExecutorError} `value`, `shape` */
function checkInto(into: unknown, size: number): void {
  if (!['Float32Array', 'Float64Array', 'Int32Array'].includes(typeOf(into) ?? ''))
    throw new ExecutorError(
      'value',
      `dataSync: takes a Float32Array, Float64Array or Int32Array, given ${named(into)}`,
    );
  const { length } = plainArray(into)!;
  if (length !== size)
    throw new ExecutorError(
      'shape',
      `dataSync: a tensor of ${size} values needs an array of that length, given ${length}`,
    );
}
