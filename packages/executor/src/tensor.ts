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
import { tensorSerial, watching, type GradientState } from './watch.js';

/** A contiguous row-major array of numbers on a device, with the tape that differentiates it. */
export class Tensor {
  readonly #shape: Shape;
  readonly #dtype: DType;
  #requiresGrad = false;
  /** @internal */
  readonly serial = tensorSerial();
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
      // A released buffer has no storage, so nothing can be read outside of it.
      (storage !== null && (storage.dtype !== dtype || storage.length !== sizeOf(shape)))
    )
      throw new ExecutorError(
        'value',
        'a Tensor is made by tensor(), zeros() and the ops, not by its constructor',
      );
    this.buffer = buffer;
    // A frozen copy: kernels trust that the shape does not change.
    this.#shape = Object.freeze([...shape]);
    this.#dtype = dtype;
    // No property can be added that hides the getters, such as another `shape`.
    Object.preventExtensions(this);
  }

  /** @internal Whether the constructor made `value`; `instanceof` only checks the prototype. */
  static is(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #shape in value;
  }

  /** Sizes of the dimensions, outermost first; frozen. */
  get shape(): Shape {
    return this.#shape;
  }

  /** `f32`, `f64`, `i32` or `bf16`. */
  get dtype(): DType {
    return this.#dtype;
  }

  /** Whether `backward` leaves a gradient here (leaves) or passes one through. */
  get requiresGrad(): boolean {
    return this.#requiresGrad;
  }

  /** @throws {ExecutorError} `dtype` when set on an i32 tensor; `autograd` when unset on the result of an op, see `detach`. */
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

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** The backend that holds the values. */
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

  /** @internal The storage, for `op` to change in place: `backward` of an op that saved the old values is an error after that. */
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

  /**
   * A copy of the values, row-major, once the device has computed them.
   *
   * @throws {ExecutorError} `released` after its scope was left; `recording` inside a recorded step.
   */
  data(): Promise<HostArray> {
    watching?.refuseRead(this.shape);
    return this.backend.read(this.storage);
  }

  /**
   * The values as `data` gives them, but blocks until the device has computed them.
   *
   * @param into Array of `size` elements that receives the values and is returned, so that a loop allocates nothing. A Float32Array
   *   rounds f64 and large i32; an Int32Array takes i32 alone.
   * @throws {ExecutorError} `shape` where `into` has another length; `dtype` for an Int32Array and another dtype; `released` and
   *   `recording` as `data`.
   */
  dataSync(into?: HostArray): HostArray {
    watching?.refuseRead(this.shape);
    if (into !== undefined) checkInto(into, this);
    return this.backend.readSync(this.storage, into);
  }

  /** The value of a tensor of one element. @throws {ExecutorError} `shape` for more or none; `released` and `recording` as `data`. */
  item(): number {
    if (this.size !== 1)
      throw new ExecutorError('shape', `item: one element expected, the shape is ${show(this.shape)}`);
    return this.dataSync()[0]!;
  }

  /** Values, shape, dtype and device, as `console.log` prints them in Node; of more than 1,000 elements the first and last of each dimension. */
  toString(): string {
    const what = `${show(this.shape)}, ${this.dtype}, ${this.device}`;
    if (!this.buffer.storage) return `tensor(released, ${what})`;
    // Kernels of a step that is being recorded have not run yet.
    if (watching) return `tensor(${what})`;
    const begin = 'tensor(';
    const values = showValues(this.backend.readSync(this.storage), this.shape, begin.length);
    return `${begin}${values}, ${what})`;
  }

  /** What JSON.stringify writes: dtype, device, shape, and all values as nested arrays. */
  toJSON(): { dtype: DType; device: Device; shape: Shape; values: unknown } {
    const { dtype, device, shape } = this;
    return { dtype, device, shape, values: nestedValues(this.dataSync(), shape) };
  }

  /**
   * Overwrites the values in place with those of another tensor of this shape and dtype. After that, `backward` of an op that saved the
   * old values is an error.
   *
   * @throws {ExecutorError} `shape`, `dtype` or `device` where `values` differs in it; `autograd` outside of `noGrad` where either
   *   tensor requires a gradient.
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

  /**
   * Overwrites the values in place with `size` numbers, row-major. After that, `backward` of an op that saved the old values is an error.
   *
   * @throws {ExecutorError} `shape` for another number of values; `value` for what is no number, or what i32 cannot hold.
   */
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

  /** Releases the memory now instead of at the end of the scope; tensors that share it are released with it. */
  dispose(): void {
    release(this.buffer);
  }

  /** The same values without the tape: a tensor that requires no gradient and shares the memory. */
  detach(): Tensor {
    return new Tensor(this.buffer, this.shape, this.dtype);
  }

  /**
   * Gradient of this shape and dtype after `backward`; null before. On a leaf, gradients add up until `zeroGrad`. An intermediate
   * result may have none: an op such as `reshape` hands its memory on to the input, and where a `linear` with an activation has one
   * consumer, a `linear`, its gradient may be computed together with that of the activation's arguments.
   */
  get grad(): Tensor | null {
    this.noteGradient();
    if (this.gradient && this.gradientIsZero) this.backend.fill(this.gradient.storageToChange('zeroGrad'), 0);
    this.gradientIsZero = false;
    return this.gradient;
  }

  /**
   * Copies the values, since `backward` adds to them in place.
   *
   * @throws {ExecutorError} `shape`, `dtype` or `device` where the gradient differs from this tensor in it.
   */
  set grad(gradient: Tensor | null) {
    if (gradient !== null) this.checkGradient(gradient);
    const storage = gradient?.storage;
    this.replaceGradient(null);
    if (storage) this.backend.cast(storage, this.takeGrad());
  }

  private replaceGradient(gradient: Tensor | null): void {
    this.noteGradient();
    this.gradient = gradient;
    this.gradientIsZero = false;
  }

  /** Sets the gradient to zero and keeps its memory, which the next `backward` overwrites. */
  zeroGrad(): void {
    this.noteGradient();
    this.gradientIsZero = true;
  }

  /** @internal The target of the next contribution to the gradient, which is allocated at the first. */
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

  /** @internal Adds the gradient of `from`, of as many elements, to this tensor's. An intermediate result without a gradient takes its memory over. */
  inheritGradient(from: Tensor): void {
    const gradient = from.gradient!;
    if (this.node && !this.gradient && gradient.dtype === this.dtype) {
      this.replaceGradient(new Tensor(gradient.buffer, this.shape, this.dtype));
      from.replaceGradient(null);
    } else this.backend.cast(gradient.memory, this.takeGrad());
  }

  /** @internal */
  get gradientState(): GradientState {
    const { gradient, gradientIsZero: isZero } = this;
    return {
      storage: gradient && (gradient.buffer.storage ?? undefined),
      isZero,
      restore: () => this.setGradient(gradient, isZero),
    };
  }

  /** @internal */
  setGradient(gradient: Tensor | null, isZero: boolean): void {
    this.gradient = gradient;
    this.gradientIsZero = isZero;
  }

  /** @internal The gradient as it is, without noting that it is read. */
  get presentGradient(): Tensor | null {
    return this.gradient;
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
   * @param gradient Gradient with respect to this tensor, of its shape and dtype; default for a tensor of one element: 1.
   * @throws {ExecutorError} `autograd` where nothing requires a gradient, or a saved tensor was changed in place after the op ran;
   *   `released` where a saved tensor was released; `shape`, `dtype` or `device` of `gradient`.
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
    // An earlier backward has passed on the gradients that it left in intermediate results.
    for (const t of order) t.replaceGradient(null);
    const seed = gradient ?? empty(this.shape, this.dtype, this.backend);
    if (!gradient) seed.backend.fill(seed.storage, 1);
    this.backend.cast(seed.storage, gradOf(this));
    for (const t of order) t.node!.backward(t.grad!.storage);
  }
}

/** The target of an op's contribution to the gradient of `t`; the op must write it. */
export function gradOf(t: Tensor): Target {
  return t.takeGrad();
}

/** `gradOf` for an op that writes only part of the gradient: a new gradient is filled with zeros first. */
export function zeroedGradOf(t: Tensor): Target {
  const { storage, accumulate } = t.takeGrad();
  if (!accumulate) t.backend.fill(storage, 0);
  return { storage, accumulate: true };
}

/** `gradOf`, or null where `t` required none when the op ran. */
export function wantedGradOf(t: Tensor): Target | null {
  return isWanted(t) ? t.takeGrad() : null;
}

/** Adds the gradient of `from` to that of `to`, where it is wanted. An op calls it last: `to` may take over the memory of the gradient. */
export function passGradient(from: Tensor, to: Tensor): void {
  if (isWanted(to)) to.inheritGradient(from);
}

/** `t` as a target that is overwritten, for kernels that can also accumulate. */
export function overwrite(t: Tensor): Target {
  return { storage: t.storage, accumulate: false };
}

/** A new tensor with unspecified contents, in the current scope. */
export function empty(shape: Shape, dtype: DType, backend: Backend): Tensor {
  return new Tensor(allocate(backend, dtype, sizeOf(shape), currentScope()), shape, dtype);
}

/**
 * Runs `body` without recording a tape, for evaluation and for updates of parameters; → its result.
 *
 * @throws {ExecutorError} `value` for an async function.
 */
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

/** @throws {ExecutorError} `dtype` for bf16, for an op that has no kernel of it. */
export function refuseBf16(op: string, t: Tensor): void {
  if (t.dtype === 'bf16')
    throw new ExecutorError(
      'dtype',
      `${op}: takes no bf16, given bf16 ${show(t.shape)}; convert it with cast`,
    );
}

/** Checks that all of `tensors` have one floating-point dtype, f32 or f64. */
export function commonDType(op: string, tensors: readonly Tensor[]): 'f32' | 'f64' {
  for (const t of tensors) checkTensor(op, t);
  const first = tensors[0]!;
  for (const t of tensors) refuseBf16(op, t);
  for (const t of tensors)
    if (t.dtype !== first.dtype)
      throw new ExecutorError(
        'dtype',
        `${op}: dtypes ${first.dtype} ${show(first.shape)} and ${t.dtype} ${show(t.shape)}; convert one with cast`,
      );
  if (first.dtype !== 'f32' && first.dtype !== 'f64')
    throw new ExecutorError('dtype', `${op}: takes f32 or f64, given ${first.dtype} ${show(first.shape)}`);
  return first.dtype;
}

/** The dtype of an op's result that it computes in `computed`: `wanted`, which is bf16 or `computed` itself. @throws {ExecutorError} `dtype` */
export function resultDType(op: string, computed: 'f32' | 'f64', wanted: DType = computed): DType {
  if (wanted === computed || (wanted === 'bf16' && computed === 'f32')) return wanted;
  const allowed = computed === 'f32' ? `'f32' or 'bf16'` : `'f64'`;
  throw new ExecutorError(
    'dtype',
    `${op}: the result of ${computed} has dtype ${allowed}, given ${named(wanted)}`,
  );
}

/**
 * Runs `body` and frees every tensor that it made and did not return, alone or in arrays, maps and plain objects; → its result.
 * Gradients of tensors from outside live on with those tensors.
 *
 * @throws {ExecutorError} `value` for an async function.
 */
export function scope<T>(body: () => T): T {
  return runScope(body, buffersOf);
}

/** Buffers of all tensors in `value` and of their gradients. */
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
 * A copy of `value` with each tensor replaced by `f` of it, in arrays, maps and plain objects at any depth. What `value` holds twice, which
 * may be itself, the copy holds twice.
 */
export function mapTensors(value: unknown, f: (t: Tensor) => Tensor): unknown {
  const copies = new Map<object, unknown>();
  // Functions that fill the copies: calling them in turn needs no stack for what is nested deeply.
  const fills: (() => void)[] = [];
  const copyOf = (value: unknown): unknown => {
    if (Tensor.is(value)) return f(value);
    if (value === null || typeof value !== 'object') return value;
    if (!copies.has(value)) copies.set(value, emptyCopy(value));
    return copies.get(value);
  };
  const emptyCopy = (value: object): unknown => {
    if (Array.isArray(value)) {
      const copy = new Array<unknown>(value.length);
      fills.push(() => value.forEach((v, i) => (copy[i] = copyOf(v))));
      return copy;
    }
    if (value instanceof Map) {
      const copy = new Map<unknown, unknown>();
      fills.push(() => value.forEach((v, key) => copy.set(key, copyOf(v))));
      return copy;
    }
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    const copy = {};
    const property = { writable: true, enumerable: true, configurable: true };
    fills.push(() => {
      // Not assigned: '__proto__' would not become a property.
      for (const [key, v] of Object.entries(value))
        Object.defineProperty(copy, key, { ...property, value: copyOf(v) });
    });
    return copy;
  };
  const copy = copyOf(value);
  for (const fill of fills) fill();
  return copy;
}

/** @throws {ExecutorError} `value`, `shape`, `dtype` */
function checkInto(into: unknown, { size, dtype }: Tensor): void {
  const type = typeOf(into) ?? '';
  if (!['Float32Array', 'Float64Array', 'Int32Array'].includes(type))
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
  if (type === 'Int32Array' && dtype !== 'i32')
    throw new ExecutorError(
      'dtype',
      `dataSync: an Int32Array does not hold the values of ${dtype}; convert the tensor with cast`,
    );
}
