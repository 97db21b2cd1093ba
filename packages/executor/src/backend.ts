/**
 * The contract of a backend: memory and kernels on contiguous row-major storage, nothing else.
 *
 * A backend is NOT responsible for shapes, broadcasting rules, dtypes or devices (the ops check them before
 * they call), for gradients that nobody asked for (`null` means: leave it out), nor for the lifetime of
 * storage (see memory.ts). It may assume that sizes fit and that outputs do not overlap inputs unless stated.
 *
 * Forward kernels overwrite their outputs. Backward kernels write to `Target`s: the first use of a tensor overwrites
 * its gradient, every other one adds its share. A target that is overwritten is written whole, zeros included; where one
 * storage is the target of two gradients, they are written in the order of the arguments.
 */

import type { Activation, BinaryKind, UnaryKind } from './elementwise.js';

export type DType = 'f32' | 'f64' | 'i32';
export type Device = 'reference' | 'wasm' | 'cpu' | 'cuda';
export type HostArray = Float32Array | Float64Array | Int32Array;

/** Memory on a device. Only its backend looks inside. */
export interface Storage {
  readonly dtype: DType;
  readonly length: number;
  /** Bytes that its memory has room for, as many as the numbers take or more. */
  readonly capacity: number;
}

/** Where a gradient goes: `accumulate` adds it to what is there. */
export interface Target {
  readonly storage: Storage;
  readonly accumulate: boolean;
}

/** A walk over `shape` with one list of element strides an operand; stride 0 repeats an element. */
export interface StridedWalk {
  readonly shape: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

/** C (m×n) = A·B for each of `batch` matrices that lie one after another (stride 0: shared). */
export interface MatmulSpec {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** A is stored k×m. */
  readonly transposeA: boolean;
  /** B is stored n×k. */
  readonly transposeB: boolean;
  readonly strideA: number;
  readonly strideB: number;
  readonly strideC: number;
}

/** A linear layer of m rows, n outputs and k inputs, and what follows it. */
export interface LinearSpec {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly activation: Activation | null;
  readonly dropout: number;
  readonly seed: Seed;
}

/** Causal multi-head attention of `batch` sequences of length `time`; `channels` over `heads` heads. */
export interface AttentionSpec {
  readonly batch: number;
  readonly time: number;
  readonly channels: number;
  readonly heads: number;
  readonly dropout: number;
  readonly seed: Seed;
}

/** A number, or storage of one f64 that holds it when the device comes to the operation. */
export type Scalar = number | Storage;

/** Key of a counter-based random stream: element `i` of the stream is a pure function of (seed, i). */
export type Seed = readonly [low: Scalar, high: number];

export interface AdamWSpec {
  readonly lr: Scalar;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Number of this step, counted from 1. */
  readonly step: Scalar;
}

/** A parameter, its gradient and its moments, of one length and dtype. */
export interface AdamWStorages {
  readonly parameter: Storage;
  readonly gradient: Storage;
  readonly m: Storage;
  readonly v: Storage;
}

/** `size` graphs of depth `depth`; `shared`: `O` and `G` hold one plan for all of them. */
export interface DagSpec {
  readonly depth: number;
  readonly size: number;
  readonly shared: boolean;
  /** Largest value of a log step's sum before `exp`; Infinity: none. */
  readonly maxLog: number;
  /** Whether a step without a linear part has powers as in IEEE: those of a negative number by a fraction are NaN. */
  readonly inference: boolean;
}

/** One storage for each field of the DAG tensor format (gradients: null where not wanted). */
export interface DagFields<S> {
  readonly V_mag: S;
  readonly V_sign: S;
  readonly O: S;
  readonly G: S;
}

/**
 * Notes the work of a function once, for the device to repeat without being given it again; see step.ts. The memory that a
 * recording works in stays with the recorder until it is released, and its recordings share it.
 */
export interface Recorder {
  /** Runs `body`; → what it gave, and all numbers that the device was given with its work. */
  trace<T>(body: () => T): readonly [result: T, trace: Trace];
  /**
   * Notes the work of `body`, which is not done yet.
   *
   * @throws {ExecutorError} `recording` where its numbers are not those of `expected`
   */
  record<T>(body: () => T, expected: Trace): readonly [result: T, recording: Recording];
  /** Where JavaScript can look into memory while work is repeated: `check` runs in its place of the work that is recorded. */
  check?(check: () => void): void;
  /** y = x, of one dtype and length, without a kernel. */
  copy(x: Storage, y: Storage): void;
  /** Gives memory that nothing works in back to the device; whether there was any. Not while it records. */
  makeRoom(): boolean;
  /** Gives the memory back, once all recordings are released. */
  release(): void;
}

/** What must be the same each time that work is done, in order: a kernel or a write, and its numbers without addresses. */
export type Trace = readonly { readonly what: string; readonly numbers: readonly number[] }[];

export interface Recording {
  /** Does the work, after all that was asked for before. */
  replay(): void;
  release(): void;
}

export interface Backend {
  readonly device: Device;

  /** A recorder of its own for a caller; null where nothing is won by one. */
  recorder(): Recorder | null;

  /** New storage with unspecified contents. */
  allocate(dtype: DType, length: number): Storage;
  /** The memory of `storage`, which has room for them, as storage of other numbers; `storage` itself is not used any more. */
  reuse(storage: Storage, dtype: DType, length: number): Storage;
  /** Gives storage back for good. */
  free(storage: Storage): void;
  /** `data` itself as storage, where the device works in the memory of JavaScript; else null. */
  share(data: HostArray): Storage | null;
  write(storage: Storage, data: ArrayLike<number>): void;
  /** A copy of the contents once all work queued before is done. */
  read(storage: Storage): Promise<HostArray>;
  /** The same, waiting; into an array of that length where one is given. */
  readSync(storage: Storage, into?: HostArray): HostArray;
  /** The smallest and the largest of i32s, or a single number; null where there are none, or it would take waiting for the device. */
  rangeOf(storage: Storage): readonly [low: number, high: number] | null;

  fill(y: Storage, value: number): void;
  /** Converts element by element between dtypes, as a typed array does. */
  cast(x: Storage, y: Target): void;
  /**
   * y[offsetY + walk(1)] (+)= x[offsetX + walk(0)]: slices, transposes, repeats and sums. Elements of y that the walk does
   * not meet keep their values, also where it overwrites; one that it meets more than once receives the sum.
   */
  copyStrided(walk: StridedWalk, x: Storage, offsetX: number, y: Target, offsetY: number): void;

  /** Operations of elementwise.ts; p and q are what some of them take. */
  unary(kind: UnaryKind, x: Storage, y: Storage, p: number, q: number): void;
  unaryBackward(
    kind: UnaryKind,
    x: Storage,
    y: Storage,
    gradY: Storage,
    gradX: Target,
    p: number,
    q: number,
  ): void;
  /** walk strides: a, b; y is contiguous. */
  binary(kind: BinaryKind, walk: StridedWalk, a: Storage, b: Storage, y: Storage): void;
  binaryBackward(
    kind: BinaryKind,
    walk: StridedWalk,
    a: Storage,
    b: Storage,
    gradY: Storage,
    gradA: Target | null,
    gradB: Target | null,
  ): void;

  /** Running sums over the middle of (outer, n, inner); `reverse`: from the end. */
  cumsum(x: Storage, y: Target, outer: number, n: number, inner: number, reverse: boolean): void;
  /** Running products there. */
  cumprod(x: Storage, y: Storage, outer: number, n: number, inner: number): void;
  cumprodBackward(
    x: Storage,
    y: Storage,
    gradY: Storage,
    gradX: Target,
    outer: number,
    n: number,
    inner: number,
  ): void;
  /** index (outer, inner) i32 receives where the largest stands there, the first of equals; a NaN is larger than all. n is not 0. */
  argmax(x: Storage, index: Storage, outer: number, n: number, inner: number): void;
  /** y[i] = x[i, index[i]] for rows of n; an index of −1 gives 0. */
  gather(x: Storage, index: Storage, y: Storage, n: number): void;
  gatherBackward(index: Storage, gradY: Storage, gradX: Target, n: number): void;

  matmul(spec: MatmulSpec, a: Storage, b: Storage, c: Target): void;
  /**
   * y (m×n) = residual + dropout(activation(x·weightᵀ + bias)), each part where it is wanted; `preactivation` (m×n)
   * receives x·weightᵀ + bias.
   */
  linear(
    spec: LinearSpec,
    x: Storage,
    weight: Storage,
    bias: Storage | null,
    residual: Storage | null,
    y: Storage,
    preactivation: Storage | null,
  ): void;
  /**
   * From gradY: `gradSum` (m×n) receives the gradient of x·weightᵀ + bias, where that is not gradY itself, and `gradBias`
   * its sum over the rows.
   */
  linearBackward(
    spec: LinearSpec,
    gradY: Storage,
    preactivation: Storage | null,
    gradSum: Storage | null,
    gradBias: Target | null,
  ): void;
  /** Rows of n: (log-)softmax. */
  softmax(x: Storage, y: Storage, n: number, log: boolean): void;
  softmaxBackward(y: Storage, gradY: Storage, gradX: Target, n: number, log: boolean): void;
  /**
   * Rows of n: losses[i] = −ln softmax(x[i])[targets[i]], 0 where the target is −1; `logSums` receives ln Σ exp of each
   * row whose target counts.
   */
  crossEntropy(x: Storage, targets: Storage, losses: Storage, logSums: Storage, n: number): void;
  crossEntropyBackward(
    x: Storage,
    targets: Storage,
    logSums: Storage,
    gradLosses: Storage,
    gradX: Target,
    n: number,
  ): void;
  /** Rows of n: (x − mean)·rstd·weight + bias; `stats` receives mean and rstd of each row. */
  layerNorm(
    x: Storage,
    weight: Storage,
    bias: Storage | null,
    y: Storage,
    stats: Storage,
    n: number,
    eps: number,
  ): void;
  layerNormBackward(
    x: Storage,
    weight: Storage,
    stats: Storage,
    gradY: Storage,
    gradX: Target | null,
    gradWeight: Target | null,
    gradBias: Target | null,
    n: number,
  ): void;
  /** y[i] = table[index[i]] for rows of n. */
  embedding(table: Storage, index: Storage, y: Storage, n: number): void;
  embeddingBackward(index: Storage, gradY: Storage, gradTable: Target, n: number): void;
  /**
   * qkv (batch, time, 3·channels) → y (batch, time, channels); `logSums` (batch, heads, time) receives ln Σ exp of each row
   * of scores.
   */
  attention(spec: AttentionSpec, qkv: Storage, y: Storage, logSums: Storage): void;
  attentionBackward(
    spec: AttentionSpec,
    qkv: Storage,
    y: Storage,
    logSums: Storage,
    gradY: Storage,
    gradQkv: Target,
  ): void;
  /** y (+)= x·mask/(1−p); the mask is a pure function of (seed, element). */
  dropout(x: Storage, y: Target, p: number, seed: Seed): void;

  /**
   * Adds the squares of all elements of all `xs` to `total`, of which norm[0] is the root. Squares of large numbers would overflow,
   * so `total` (2) is a sum Σ x² over elements of less than 2^480 in size, and Σ (x·2^-600)² over the others. Both are f64 and
   * begin with zeros, or what was there before.
   */
  norm(xs: readonly Storage[], total: Storage, norm: Storage): void;
  /** Each x *= min(1, maxNorm / (norm + 1e-6)), with the norm of `total`; nothing where that is NaN, or an x is infinite. */
  scaleToNorm(xs: readonly Storage[], total: Storage, maxNorm: number): void;
  adamW(spec: AdamWSpec, parameters: readonly AdamWStorages[]): void;

  /** values (size) f64 receives the last node of every graph. Arithmetic is f64 whatever the storage. */
  dag(spec: DagSpec, fields: DagFields<Storage>, values: Storage): void;
  /**
   * Gradients of Σ upstream·value, made from the fields alone: the nodes are computed again, which takes less time than to
   * write and read them. `upstream` (size) f64, null: all 1. `values` (size) f64 receives what `dag` gives, unless null.
   */
  dagBackward(
    spec: DagSpec,
    fields: DagFields<Storage>,
    upstream: Storage | null,
    values: Storage | null,
    gradients: DagFields<Target | null>,
  ): void;
}
