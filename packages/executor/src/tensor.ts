import type { Backend, Device, DType, HostArray, Storage, Target } from './backend.js';
import { backendOf } from './devices.js';
import { ExecutorError } from './error.js';
import { allocate, currentScope, release, runScope, type Buffer } from './memory.js';
import { normals } from './random.js';
import { checkShape, sameShape, show, sizeOf, type Shape } from './shape.js';
import { checkReadable, inReverseOrder, isWanted, withoutRecording, type TapeNode } from './tape.js';
import { watching, type GradientState } from './watch.js';

/** A contiguous row-major array of numbers on a device, with the tape that differentiates it. */
export class Tensor {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Whether `backward` leaves a gradient here (leaves) or passes one through. */
  requiresGrad = false;
  /** @internal */
  readonly buffer: Buffer;
  /** @internal */
  node: TapeNode | null = null;
  private gradient: Tensor | null = null;
  /** Whether the gradient counts as zero while its memory still holds other numbers. */
  private gradientIsZero = false;

  /** @internal Tensors are made by `tensor`, `zeros`, … and by ops. */
  constructor(buffer: Buffer, shape: Shape, dtype: DType) {
    this.buffer = buffer;
    this.shape = shape;
    this.dtype = dtype;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get device(): Device {
    return this.buffer.backend.device;
  }

  get backend(): Backend {
    return this.buffer.backend;
  }

  /** @throws {ExecutorError} `released` after the scope that owned this tensor was left. */
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
    if (into && into.length !== this.size)
      throw new ExecutorError(
        'shape',
        `dataSync: a tensor of ${this.size} values needs an array of that length, given ${into.length}`,
      );
    return this.backend.readSync(this.storage, into);
  }

  /** The value of a tensor of one element. */
  item(): number {
    if (this.size !== 1)
      throw new ExecutorError('shape', `item: one element expected, the shape is ${show(this.shape)}`);
    return this.dataSync()[0]!;
  }

  /** Overwrites the values in place. `backward` of an op that saved the old ones is an error after that. */
  set(values: ArrayLike<number>): void {
    if (values.length !== this.size)
      throw new ExecutorError(
        'shape',
        `set: ${values.length} values for a tensor of shape ${show(this.shape)}`,
      );
    this.backend.write(this.storageToChange('set'), values);
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

  set grad(gradient: Tensor | null) {
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
    this.gradient.noteChange('backward');
    return { storage: memory, accumulate };
  }

  /** @internal Adds the gradient of `from`, of as many elements, to this one's. An intermediate result without one takes its memory. */
  inheritGradient(from: Tensor): void {
    const gradient = from.gradient!;
    if (this.node && !this.gradient) {
      this.grad = new Tensor(gradient.buffer, this.shape, this.dtype);
      from.grad = null;
    } else this.backend.cast(gradient.memory, this.takeGrad());
  }

  /** @internal */
  get gradientState(): GradientState {
    return { gradient: this.gradient, isZero: this.gradientIsZero };
  }

  /** @internal */
  set gradientState({ gradient, isZero }: GradientState) {
    this.gradient = gradient;
    this.gradientIsZero = isZero;
  }

  private noteGradient(): void {
    watching?.useGradient(this, this.gradientState);
  }

  /**
   * Adds d(this)/d(leaf) to `grad` of every leaf that requires it.
   *
   * @param gradient Gradient of this tensor, of its shape; may be left out for one element (then 1).
   * @throws {ExecutorError} `autograd` where nothing requires a gradient, or where a tensor that an op saved was changed in place
   *   after the op ran; `released` where it was released; `shape`.
   */
  backward(gradient?: Tensor): void {
    if (!this.requiresGrad)
      throw new ExecutorError(
        'autograd',
        'backward: no tensor that this one was made from requires a gradient',
      );
    if (gradient && !sameShape(gradient.shape, this.shape))
      throw new ExecutorError(
        'shape',
        `backward: gradient of shape ${show(gradient.shape)} for a tensor of shape ${show(this.shape)}`,
      );
    if (!gradient && this.size !== 1)
      throw new ExecutorError(
        'shape',
        `backward: a tensor of shape ${show(this.shape)} needs a gradient; only one element has 1 as default`,
      );
    watching?.use(this);
    const order = inReverseOrder(this);
    for (const t of order) t.node!.check();
    // What an earlier backward left in results that both share has been passed on already.
    for (const t of order) t.grad = null;
    const seed = gradient ?? full(this.shape, 1, { dtype: this.dtype, device: this.device });
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
  return withoutRecording(body);
}

/** The backend that all of `tensors` are on. */
export function commonBackend(op: string, ...tensors: readonly Tensor[]): Backend {
  const first = tensors[0]!;
  for (const t of tensors)
    if (t.backend !== first.backend)
      throw new ExecutorError('device', `${op}: tensors on '${first.device}' and '${t.device}'`);
  return first.backend;
}

/** Checks that all of `tensors` have one floating-point dtype. */
export function commonDType(op: string, ...tensors: readonly Tensor[]): DType {
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

export interface TensorOptions {
  /** Default: f64 for a Float64Array, i32 for an Int32Array, else f32. */
  readonly dtype?: DType;
  readonly device?: Device;
  readonly requiresGrad?: boolean;
}

/**
 * A tensor of `values`, row-major; `shape` defaults to one dimension.
 *
 * @throws {ExecutorError} `shape` where the number of values is not that of the shape.
 */
export function tensor(
  values: ArrayLike<number>,
  shape: Shape = [values.length],
  options: TensorOptions = {},
): Tensor {
  checkShape(shape, 'tensor');
  if (values.length !== sizeOf(shape))
    throw new ExecutorError(
      'shape',
      `tensor: ${values.length} values for the shape ${show(shape)}, which has ${sizeOf(shape)}`,
    );
  const out = create(shape, { dtype: naturalDType(values), ...options });
  out.backend.write(out.storage, values);
  return out;
}

function naturalDType(values: ArrayLike<number>): DType {
  if (values instanceof Float64Array) return 'f64';
  return values instanceof Int32Array ? 'i32' : 'f32';
}

function create(shape: Shape, { dtype = 'f32', device, requiresGrad = false }: TensorOptions): Tensor {
  checkShape(shape, 'tensor');
  const out = empty(shape, dtype, backendOf(device));
  if (requiresGrad && dtype === 'i32')
    throw new ExecutorError('dtype', 'tensor: an i32 tensor has no gradient');
  out.requiresGrad = requiresGrad;
  return out;
}

export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  const out = create(shape, options);
  out.backend.fill(out.storage, value);
  return out;
}

export function zeros(shape: Shape, options?: TensorOptions): Tensor {
  return full(shape, 0, options);
}

export function ones(shape: Shape, options?: TensorOptions): Tensor {
  return full(shape, 1, options);
}

/** Normal numbers of standard deviation `std`: a pure function of `seed` and the shape. */
export function randn(
  shape: Shape,
  { seed, std = 1, ...options }: TensorOptions & { seed: readonly [number, number]; std?: number },
): Tensor {
  const values = normals(seed, sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i]! *= std;
  return tensor(values, shape, { dtype: 'f32', ...options });
}

/**
 * Runs `body` and frees every tensor that it made and did not return (in a tensor, array, map or plain object).
 * Gradients of tensors from outside live on with those tensors.
 */
export function scope<T>(body: () => T): T {
  return runScope(body, buffersOf);
}

export function* buffersOf(value: unknown): Generator<Buffer> {
  if (value instanceof Tensor) {
    yield value.buffer;
    if (value.grad) yield value.grad.buffer;
  } else if (Array.isArray(value)) for (const v of value as unknown[]) yield* buffersOf(v);
  else if (value instanceof Map) for (const v of value.values()) yield* buffersOf(v);
  else if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype)
    for (const v of Object.values(value)) yield* buffersOf(v);
}
