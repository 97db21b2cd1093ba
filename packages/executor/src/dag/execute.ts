import type { DagTensors } from '@dag/tensorize';
import type { Backend, DagFields, DagSpec, Device, Storage, Target } from '../backend.js';
import { copyOf, HostStorage } from '../backends/host.js';
import { backendOf } from '../devices.js';
import { ABOVE_0, checkNumber, checkOptions, named, suggestion } from '../arguments.js';
import { ExecutorError } from '../error.js';
import { bufferOf, overlap, plainDoubles, typeOf } from '../typed-array.js';
import { watching } from '../watch.js';

/** Options of `execute`. */
export interface ExecuteOptions {
  /** Default: that of `setDefaultDevice`, else the fastest that loads of `cpu`, `wasm` and `reference`. */
  readonly backend?: Device;
  /** Largest Σ O·ln m of a step before `exp`, above 0. Default: no limit. */
  readonly maxLog?: number;
}

/** Options of `executeWithGradients`. */
export interface ExecuteGradientOptions<
  Out extends Partial<DagGradients> = DagGradients,
> extends ExecuteOptions {
  /** (N) gradient with respect to each value. Default: 1. */
  readonly upstream?: ArrayLike<number>;
  /** Arrays that receive the results; a field that is left out is not computed. Default: new arrays for all fields. */
  readonly out?: Out;
}

/** Values, and the gradients of Σ upstream·value with respect to each field, in the shape of that field. */
export interface DagGradients {
  /** (N) */
  readonly values: Float64Array;
  readonly V_mag: Float64Array;
  readonly V_sign: Float64Array;
  readonly O: Float64Array;
  readonly G: Float64Array;
}

/**
 * Executes N graphs → (N) values, the last node of each. Hard plans are exact: where every step has two operands, the values have the
 * bits of the expression in IEEE double.
 *
 * @param options.out (N) array that receives the values and is returned; default: a new one.
 * @throws {ExecutorError} `shape` where the length of a field or of `out` does not follow from `depth` and `size`; `dtype` where one is no
 *   `Float64Array`; `value` where `out` shares memory with a field; `recording` inside a recorded step.
 * @example execute(tensorize('2.5 * 3.0 + 1.0', { depth: 4 })) // Float64Array [8.5]
 */
export function execute(
  tensors: DagTensors,
  options: ExecuteOptions & { readonly out?: Float64Array } = {},
): Float64Array {
  const op = 'execute';
  checkOptions(op, options, ['backend', 'maxLog', 'out']);
  const { out: given, maxLog, backend: device } = options;
  const { spec, fields } = checked(op, read(op, tensors), maxLog);
  if (watching) refuseInStep(op);
  const backend = backendOf(device);
  const out = given === undefined ? undefined : arrayOfLength(op, 'out', given, spec.size, spec);
  if (out) checkApart(op, { values: out }, fields, null);
  const values = out ?? newArray(backend, spec.size);
  if (backend.few?.holds(spec.size, fields)) {
    backend.few.dag(spec, fields, values);
    return given ?? values;
  }
  const storage = outputOf(backend, values);
  const inputs = inputsOf(backend, fields);
  backend.dag(spec, inputs, storage);
  finish(backend, storage, values);
  freeCopies(backend, inputs);
  return given ?? values;
}

/**
 * Executes N graphs → their values and the gradients with respect to V_mag and V_sign (initial nodes; 0 for the others), O and G. The
 * gradients of a shared plan are sums over the rows. A gradient is NaN only where the value or its upstream is.
 *
 * New arrays take much of the time, in large batches most of it: pass `out` to reuse arrays, with only the fields that are needed.
 *
 * @throws {ExecutorError} `shape` where a field, `upstream` or an array of `out` has the wrong length; `dtype` where a field or an array of
 *   `out` is no `Float64Array`; `value` where an array of `out` shares memory with another array, or `out` has an unknown field or none;
 *   `recording` inside a recorded step. An overlap is not seen where a SharedArrayBuffer came back from another thread, since it
 *   is then a new object over the same memory.
 * @example
 * const out = { values: new Float64Array(N), V_mag: new Float64Array(N * 2 * D) };
 * executeWithGradients(tensors, { out }); // → out; the gradients by V_sign, O and G are not computed
 */
export function executeWithGradients(
  tensors: DagTensors,
  options?: ExecuteGradientOptions & { readonly out?: never },
): DagGradients;
export function executeWithGradients<Out extends Partial<DagGradients>>(
  tensors: DagTensors,
  options: ExecuteGradientOptions<Out>,
): Out;
export function executeWithGradients<Out extends Partial<DagGradients>>(
  tensors: DagTensors,
  options: ExecuteGradientOptions<Out> = {},
): Out {
  const op = 'executeWithGradients';
  checkOptions(op, options, ['backend', 'maxLog', 'upstream', 'out']);
  const { out: given, upstream, maxLog, backend: device } = options;
  // Read everything before the checks: a getter of the caller may detach or shrink an array.
  const graphs = read(op, tensors);
  const arrays = given === undefined ? null : readOut(op, given);
  const rows = upstream === undefined ? null : readUpstream(op, upstream, graphs);
  const { spec, fields } = checked(op, graphs, maxLog);
  if (watching) refuseInStep(op);
  const backend = backendOf(device);
  const up = rows && arrayOfLength(op, 'upstream', rows, spec.size, spec);
  const out = arrays ? checkedOut(op, arrays, spec, fields) : newGradients(backend, spec, fields);
  if (arrays) checkApart(op, out, fields, up);
  if (backend.few?.holds(spec.size, fields)) {
    backend.few.dagBackward(spec, fields, up, out);
    return (given ?? out) as Out;
  }
  const { values, V_mag, V_sign, O, G } = out;
  const stored = (array: Float64Array | undefined) => (array ? outputOf(backend, array) : null);
  const target = (array: Float64Array | undefined): Target | null =>
    array ? { storage: outputOf(backend, array), accumulate: false } : null;
  const valueStorage = stored(values);
  const gradients = { V_mag: target(V_mag), V_sign: target(V_sign), O: target(O), G: target(G) };
  const inputs = inputsOf(backend, fields);
  const upstreamStorage = up && inputOf(backend, up);
  backend.dagBackward(spec, inputs, upstreamStorage, valueStorage, gradients);
  finish(backend, valueStorage, values);
  for (const field of FIELDS) finish(backend, gradients[field]?.storage ?? null, out[field]);
  freeCopies(backend, inputs);
  if (upstreamStorage) freeCopy(backend, upstreamStorage);
  return (given ?? out) as Out;
}

function refuseInStep(op: string): never {
  throw new ExecutorError(
    'recording',
    `${op}: its values are read inside the step, which is repeated without JavaScript; executeDag gives a tensor`,
  );
}

const FIELDS = ['V_mag', 'V_sign', 'O', 'G'] as const;

/** V8 allocates arrays of more elements outside of its heap, which takes ten times as long. */
const ON_HEAP = 8;
/** The gradients of one call share a buffer where they have up to this many elements and more than O is outside V8's heap. */
const SMALL = 1024;

function newGradients(
  backend: Backend,
  { size }: DagSpec,
  { V_mag, V_sign, O, G }: DagFields<Float64Array>,
): DagGradients {
  const values = newArray(backend, size);
  const length = V_mag.length + V_sign.length + O.length + G.length;
  if (V_mag.length <= ON_HEAP || length > SMALL)
    return {
      values,
      V_mag: newArray(backend, V_mag.length),
      V_sign: newArray(backend, V_sign.length),
      O: newArray(backend, O.length),
      G: newArray(backend, G.length),
    };
  const buffer = new ArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT);
  let end = 0;
  const take = ({ length }: Float64Array): Float64Array => {
    const array = new Float64Array(buffer, end, length);
    end += array.byteLength;
    return array;
  };
  return { values, V_mag: take(V_mag), V_sign: take(V_sign), O: take(O), G: take(G) };
}

/** A new array; a large one in memory that the backend allocates (`cpu`: huge pages), where JavaScript can read it. */
function newArray(backend: Backend, length: number): Float64Array {
  const storage = length > SMALL ? backend.allocate('f64', length) : null;
  return storage instanceof HostStorage ? (storage.data as Float64Array) : new Float64Array(length);
}

/** The arrays of `out`, each read once. */
function readOut(op: string, out: Partial<DagGradients>): Readonly<Record<keyof DagGradients, unknown>> {
  for (const key in objectOf(op, 'out', out))
    if (!OUTPUTS.includes(key as keyof DagGradients))
      throw new ExecutorError(
        'value',
        `${op}: out has no field ${named(key)}${suggestion(key, OUTPUTS)} Fields are ${OUTPUTS.join(', ')}`,
      );
  const { values, V_mag, V_sign, O, G } = out;
  const isEmpty =
    values === undefined && V_mag === undefined && V_sign === undefined && O === undefined && G === undefined;
  if (isEmpty)
    throw new ExecutorError('value', `${op}: out has one of ${OUTPUTS.join(', ')} or more, given none`);
  return { values, V_mag, V_sign, O, G };
}

function checkedOut(
  op: string,
  given: Readonly<Record<keyof DagGradients, unknown>>,
  spec: DagSpec,
  fields: DagFields<Float64Array>,
): Readonly<Record<keyof DagGradients, Float64Array | undefined>> {
  const check = (name: keyof DagGradients, length: number): Float64Array | undefined =>
    given[name] === undefined ? undefined : arrayOfLength(op, `out.${name}`, given[name], length, spec);
  return {
    values: check('values', spec.size),
    V_mag: check('V_mag', fields.V_mag.length),
    V_sign: check('V_sign', fields.V_sign.length),
    O: check('O', fields.O.length),
    G: check('G', fields.G.length),
  };
}

/** @throws {ExecutorError} `value` where an output overlaps an input, which kernels read meanwhile, or another output. */
function checkApart(
  op: string,
  { values, V_mag, V_sign, O, G }: { readonly [K in keyof DagGradients]?: Float64Array | undefined },
  fields: DagFields<Float64Array>,
  upstream: Float64Array | null,
): void {
  const outputs = [values, V_mag, V_sign, O, G];
  const inputs = [fields.V_mag, fields.V_sign, fields.O, fields.G, upstream];
  const arrays: Float64Array[] = [];
  const buffers: ArrayBufferLike[] = [];
  const names: string[] = [];
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i];
    if (!input) continue;
    arrays.push(input);
    buffers.push(bufferOf(input));
    names.push(INPUTS[i]!);
  }
  for (let o = 0; o < outputs.length; o++) {
    const output = outputs[o];
    if (!output) continue;
    const buffer = bufferOf(output);
    for (let i = 0; i < arrays.length; i++)
      if (buffers[i] === buffer && overlap(arrays[i]!, output))
        throw new ExecutorError(
          'value',
          `${op}: the output ${OUTPUTS[o]} shares memory with ${names[i]}; give it memory of its own`,
        );
    arrays.push(output);
    buffers.push(buffer);
    names.push(OUTPUTS[o]!);
  }
}

const INPUTS = ['V_mag', 'V_sign', 'O', 'G', 'upstream'] as const;
const OUTPUTS = ['values', 'V_mag', 'V_sign', 'O', 'G'] as const;

function objectOf<T extends object>(op: string, name: string, given: T): T {
  if (typeof given === 'object' && (given as T | null) !== null) return given;
  throw new ExecutorError('value', `${op}: ${name} is an object, given ${named(given)}`);
}

function doubles(op: string, name: string, array: unknown): Float64Array {
  const plain = plainDoubles(array);
  if (plain) return plain;
  throw new ExecutorError('dtype', `${op}: ${name} is a Float64Array, given ${named(array)}`);
}

function arrayOfLength(
  op: string,
  name: string,
  given: unknown,
  length: number,
  spec: DagSpec,
): Float64Array {
  const array = doubles(op, name, given);
  checkLength(op, name, array.length, length, spec);
  return array;
}

function checkLength(
  op: string,
  name: string,
  length: unknown,
  expected: number,
  { size, depth }: Pick<DagSpec, 'size' | 'depth'>,
): void {
  if (length !== expected)
    throw new ExecutorError(
      'shape',
      `${op}: ${name} has ${named(length)} values for ${size} graphs of depth ${depth}, expected ${expected}`,
    );
}

/** The gradients of the values; copies anything but a Float64Array, whose length is checked later. */
function readUpstream(op: string, given: ArrayLike<number>, graphs: DagTensors): Float64Array {
  if (typeOf(given) === 'Float64Array') return given as Float64Array;
  const { length } = objectOf(op, 'upstream', given);
  checkLength(op, 'upstream', length, graphs.size, graphs);
  return Float64Array.from({ length: graphs.size }, (_, row) => {
    const x: unknown = given[row];
    if (typeof x === 'number') return x;
    throw new ExecutorError('value', `${op}: upstream holds numbers, given ${named(x)} for graph ${row}`);
  });
}

function mapFields<A, B>(fields: DagFields<A>, f: (field: A) => B): DagFields<B> {
  return { V_mag: f(fields.V_mag), V_sign: f(fields.V_sign), O: f(fields.O), G: f(fields.G) };
}

function inputsOf(backend: Backend, fields: DagFields<Float64Array>): DagFields<Storage> {
  return mapFields(fields, (field) => inputOf(backend, field));
}

/** The array itself where the device can read it, else a copy. */
function inputOf(backend: Backend, data: Float64Array): Storage {
  const shared = backend.share(data);
  if (shared) return shared;
  const storage = backend.allocate('f64', data.length);
  backend.write(storage, data);
  return storage;
}

/** The array itself where the device can write it, else memory that `finish` copies to it. */
function outputOf(backend: Backend, array: Float64Array): Storage {
  return backend.share(array) ?? backend.allocate('f64', array.length);
}

/** Copies results to `array` where the device could not write to it directly. */
function finish(backend: Backend, storage: Storage | null, array: Float64Array | undefined): void {
  if (!storage || !array || storage instanceof HostStorage) return;
  copyOf(backend.readSync(storage), array);
  backend.free(storage);
}

function freeCopies(backend: Backend, { V_mag, V_sign, O, G }: DagFields<Storage>): void {
  for (const storage of [V_mag, V_sign, O, G]) freeCopy(backend, storage);
}

/** Frees device memory now: in a loop of calls the garbage collector does not run in time. */
function freeCopy(backend: Backend, storage: Storage): void {
  if (!(storage instanceof HostStorage)) backend.free(storage);
}

/** The fields of the graphs, each read once: a getter may return something else the next time. */
function read(op: string, tensors: DagTensors): DagTensors {
  const { depth, size, V_mag, V_sign, O, G } = objectOf(op, 'graph', tensors);
  if (!Number.isSafeInteger(depth) || depth < 1 || !Number.isSafeInteger(size) || size < 0)
    throw new ExecutorError(
      'shape',
      `${op}: depth is a whole number from 1 and size from 0, given ${named(depth)} and ${named(size)}`,
    );
  return { depth, size, V_mag, V_sign, O, G };
}

/** Checks dtypes and lengths; → depth, size, whether the plan is shared, and the fields. */
function checked(
  op: string,
  given: DagTensors,
  maxLog: number | undefined = Infinity,
): { spec: DagSpec; fields: DagFields<Float64Array> } {
  const { depth, size } = given;
  checkNumber(op, 'maxLog', maxLog, ABOVE_0);
  const fields = {
    V_mag: doubles(op, 'V_mag', given.V_mag),
    V_sign: doubles(op, 'V_sign', given.V_sign),
    O: doubles(op, 'O', given.O),
    G: doubles(op, 'G', given.G),
  };
  const { V_mag, V_sign, O, G } = fields;
  const plan = 2 * depth * depth;
  const shared = O.length === plan && G.length === depth;
  const whole = O.length === size * plan && G.length === size * depth;
  if (V_mag.length !== size * 2 * depth || V_sign.length !== V_mag.length || !(shared || whole))
    throw new ExecutorError(
      'shape',
      `${op}: V_mag ${V_mag.length}, V_sign ${V_sign.length}, O ${O.length}, G ${G.length} values; for size ${size} and depth ` +
        `${depth} they are ${size * 2 * depth}, ${size * 2 * depth}, ${size * plan}, ${size * depth} (or O ${plan}, G ${depth}: one plan for all)`,
    );
  return { spec: { depth, size, shared: shared && size !== 1, maxLog, inference: true }, fields };
}
