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

/**
 * Type of the elements: IEEE floats of 32 or 64 bits, signed integers of 32 bits (indices, conditions), or bf16, the upper 16 bits of an
 * f32, on `cuda` alone: storage of activations, with which few ops compute (`linear`, `layerNorm`, `causalAttention`).
 */
export type DType = 'f32' | 'f64' | 'i32' | 'bf16';
/** Name of a backend. `cuda` is there after `import '@dag/executor/cuda'`, in browsers `wasm` is there after `loadWasm()`. */
export type Device = 'reference' | 'wasm' | 'cpu' | 'cuda';
/** Values of a tensor in JavaScript's memory: Float32Array for f32 and bf16, Float64Array for f64, Int32Array for i32. */
export type HostArray = Float32Array | Float64Array | Int32Array;

/** Memory on a device. Only its backend looks inside. */
export interface Storage {
  readonly dtype: DType;
  readonly length: number;
  /** Bytes of the memory block, at least those of `length` elements. */
  readonly capacity: number;
}

/** Where a kernel writes a gradient: `accumulate` adds to the values there, else they are overwritten. */
export interface Target {
  readonly storage: Storage;
  readonly accumulate: boolean;
}

/** A loop over `shape` with one list of strides for each operand, in elements; stride 0 repeats an element. */
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

/** A number, or the storage of one f64 that the kernel reads when it runs. */
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
  /** Reads each gradient as `scaleToNorm` would leave it; null: as it is. */
  readonly clip: { readonly total: Storage; readonly maxNorm: number } | null;
}

/** A parameter, its gradient and its moments, of one length and dtype. */
export interface AdamWStorages {
  readonly parameter: Storage;
  readonly gradient: Storage;
  readonly m: Storage;
  readonly v: Storage;
  /** Receives the parameter in bf16 as well, where there is such a copy. */
  readonly copy?: Storage | null;
}

/** `size` graphs of depth `depth`; `shared`: `O` and `G` hold one plan for all of them. */
export interface DagSpec {
  readonly depth: number;
  readonly size: number;
  readonly shared: boolean;
  /** Largest value of a log step's sum before `exp`; Infinity: none. */
  readonly maxLog: number;
  /** Whether a fractional power of a negative number is NaN in steps with gate 0, as in IEEE; in training it has its expected sign. */
  readonly inference: boolean;
}

/** One storage for each field of the DAG tensor format (gradients: null where not wanted). */
export interface DagFields<S> {
  readonly V_mag: S;
  readonly V_sign: S;
  readonly O: S;
  readonly G: S;
}

/** `dag` and `dagBackward` of few graphs on arrays of JavaScript, without storage. */
export interface FewGraphs {
  /** Whether there is room for `size` graphs with these fields; never for none. */
  holds(size: number, fields: DagFields<Float64Array>): boolean;
  dag(spec: DagSpec, fields: DagFields<Float64Array>, values: Float64Array): void;
  /** Overwrites the outputs that are there. */
  dagBackward(
    spec: DagSpec,
    fields: DagFields<Float64Array>,
    upstream: Float64Array | null,
    outputs: Readonly<Record<'values' | keyof DagFields<unknown>, Float64Array | undefined>>,
  ): void;
}

/**
 * Records the kernel calls of a function, so that they can be replayed without running the function; see step.ts. The recorder
 * owns the memory that its recordings work in until it is released; all its recordings share that memory.
 */
export interface Recorder {
  /** Runs `body`. Returns its result and its trace. */
  trace<T>(body: () => T): readonly [result: T, trace: Trace];
  /**
   * Runs `body` and records its kernel calls instead of running the kernels.
   *
   * @throws {ExecutorError} `recording` where its trace is not `expected`.
   */
  record<T>(body: () => T, expected: Trace): readonly [result: T, recording: Recording];
  /** Records `check` between the kernel calls; left out where JavaScript cannot read memory between them. */
  check?(check: () => void): void;
  /** y = x, of one dtype and length. */
  copy(x: Storage, y: Storage): void;
  /** Gives free memory back to the device; returns whether there was any. Not to be called while recording. */
  makeRoom(): boolean;
  /** Gives all memory back; to be called once all recordings are released. */
  release(): void;
}

/** Kernel calls and writes of host values in their order, with their numbers but without addresses. Each run must give the same. */
export type Trace = readonly { readonly what: string; readonly numbers: readonly number[] }[];

export interface Recording {
  /** Runs the recorded kernels, after all work that was queued before. */
  replay(): void;
  release(): void;
}

/** A group of processes that sum what is in the memory of their devices. All make the same calls in the same order. */
export interface DeviceGroup {
  /** Replaces each number by its sum over the processes, after all work that was queued before. */
  sum(xs: readonly Storage[]): void;
  close(): void;
}

export interface Collectives {
  /** The library's. */
  readonly version: string;
  /** The name of a new group, which one process makes and all others join with. */
  uniqueId(): Uint8Array;
  /** Blocks until all `size` processes have joined. */
  join(id: Uint8Array, rank: number, size: number): DeviceGroup;
}

export interface Backend {
  readonly device: Device;

  /** A new recorder; null where replaying saves nothing. */
  recorder(): Recorder | null;

  /** New storage with unspecified contents. */
  allocate(dtype: DType, length: number): Storage;
  /** The memory of `storage` as storage of another dtype or length, for which it has room; `storage` itself is invalid afterwards. */
  reuse(storage: Storage, dtype: DType, length: number): Storage;
  /** Gives storage back to the device. */
  free(storage: Storage): void;
  /** `data` itself as storage, where the device works in the memory of JavaScript; else null. */
  share(data: HostArray): Storage | null;
  write(storage: Storage, data: ArrayLike<number>): void;
  /** A copy of the contents once all work queued before is done. */
  read(storage: Storage): Promise<HostArray>;
  /** The same, but blocks until it is there; into an array of that length where one is given. */
  readSync(storage: Storage, into?: HostArray): HostArray;
  /** The smallest and the largest element of i32s, or of a single number; null for none, or where the call would wait for the device. */
  rangeOf(storage: Storage): readonly [low: number, high: number] | null;

  fill(y: Storage, value: number): void;
  /** Converts element by element between dtypes, as a typed array does. */
  cast(x: Storage, y: Target): void;
  /** y (bf16) = x (f32), queued before a recorded step and no part of it, also while it is traced. Left out where there is no bf16. */
  readonly refreshCopy?: (x: Storage, y: Storage) => void;
  /**
   * y[offsetY + walk(1)] (+)= x[offsetX + walk(0)]: slices, transposes, repeats and sums. Elements of y that the walk does
   * not meet keep their values, also where it overwrites; one that it meets more than once receives the sum.
   */
  copyStrided(walk: StridedWalk, x: Storage, offsetX: number, y: Target, offsetY: number): void;

  /** Ops of elementwise.ts; p and q are the parameters of `affine`, `clamp` and `huber`. */
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
  /** Running products over the middle of (outer, n, inner). */
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
  /** index (outer, inner) i32 receives the place of the largest element along n > 0: the first of equals; NaN counts as the largest. */
  argmax(x: Storage, index: Storage, outer: number, n: number, inner: number): void;
  /** y[i] = x[i, index[i]] for rows of n; an index of −1 gives 0. */
  gather(x: Storage, index: Storage, y: Storage, n: number): void;
  gatherBackward(index: Storage, gradY: Storage, gradX: Target, n: number): void;

  matmul(spec: MatmulSpec, a: Storage, b: Storage, c: Target): void;
  /**
   * Of one product A·B (m×n) that is the gradient of an activation's results: y = A·B · activation'(preactivation), element by element, with
   * preactivation and y of one dtype. Left out where that is no faster than `matmul` and `linearBackward`.
   */
  readonly matmulBackward?: (
    spec: MatmulSpec,
    a: Storage,
    b: Storage,
    activation: Activation,
    preactivation: Storage,
    y: Storage,
  ) => void;
  /**
   * y (m×n) = residual + dropout(activation(x·weightᵀ + bias)), each part where it is wanted; `preactivation` (m×n)
   * receives x·weightᵀ + bias. On `cuda` x, weight, and y with the preactivation may be bf16, each by itself.
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
   * its sum over the rows. The preactivation and `gradSum` have the dtype of gradY.
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
  /** Rows of n: (x − mean)·rstd·weight + bias; `stats` receives mean and rstd of each row. y and its gradient may be bf16. */
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
  /**
   * y[i] = dropout(table[index[i]] + positions[i % T]) for rows of n, with `positions` (T, n) where they are wanted. Left out where that is no
   * faster than one after the other.
   */
  readonly embeddingSum?: (
    table: Storage,
    index: Storage,
    positions: Storage | null,
    dropout: number,
    seed: Seed,
    y: Storage,
    n: number,
  ) => void;
  embeddingBackward(index: Storage, gradY: Storage, gradTable: Target, n: number): void;
  /**
   * qkv (batch, time, 3·channels) → y (batch, time, channels); `logSums` (batch, heads, time) receives ln Σ exp of each row
   * of scores, in f32 where qkv is bf16.
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
   * Adds the squares of all elements of all `xs` to `total`, and writes its square root to norm[0]. Squares of large numbers would overflow,
   * so `total` (2) is a sum Σ x² over elements of less than 2^480 in size, and Σ (x·2^-600)² over the others. Both are f64 and
   * start as zeros, or as the result of an earlier call.
   */
  norm(xs: readonly Storage[], total: Storage, norm: Storage): void;
  /** Each x *= min(1, maxNorm / (norm + 1e-6)), with the norm of `total`; nothing where that is NaN, or an x is infinite. */
  scaleToNorm(xs: readonly Storage[], total: Storage, maxNorm: number): void;
  adamW(spec: AdamWSpec, parameters: readonly AdamWStorages[]): void;

  /** values (size) f64 receives the last node of every graph. Arithmetic is f64 whatever the storage. */
  dag(spec: DagSpec, fields: DagFields<Storage>, values: Storage): void;
  /**
   * Gradients of Σ upstream·value. The nodes are computed again from the fields, which takes less time than
   * storing and reading them. `upstream` (size) f64, null: all 1. `values` (size) f64 receives what `dag` gives, unless null.
   */
  dagBackward(
    spec: DagSpec,
    fields: DagFields<Storage>,
    upstream: Storage | null,
    values: Storage | null,
    gradients: DagFields<Target | null>,
  ): void;
  /** Left out where few graphs take no less time without storage. */
  readonly few?: FewGraphs | undefined;
  /** Left out where devices cannot sum without the host. @throws {ExecutorError} `device` where the library for that is missing. */
  readonly collectives?: () => Collectives;
}
