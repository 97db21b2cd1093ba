import type { DagTensors } from '@dag/tensorize';
import type { Backend, DagFields, DagSpec, Device, Storage, Target } from '../backend.js';
import { HostStorage } from '../backends/host.js';
import { backendOf } from '../devices.js';
import { ExecutorError } from '../error.js';

export interface ExecuteOptions {
  /** Default: the fastest that loads. */
  readonly backend?: Device;
  /** Largest log sum of a step before `exp`; default: none. */
  readonly maxLog?: number;
}

export interface ExecuteGradientOptions<
  Out extends Partial<DagGradients> = DagGradients,
> extends ExecuteOptions {
  /** (N) gradient of each value; default: 1. */
  readonly upstream?: ArrayLike<number>;
  /** Arrays of an earlier result, to be overwritten; what is left out here is not computed. Default: new ones, all of them. */
  readonly out?: Out;
}

/** Values and the gradients of Σ upstream·value with respect to each field, in the shape of that field. */
export interface DagGradients {
  /** (N) */
  readonly values: Float64Array;
  readonly V_mag: Float64Array;
  readonly V_sign: Float64Array;
  readonly O: Float64Array;
  readonly G: Float64Array;
}

/**
 * Executes every graph → (N) values, the last node of each. Exact for hard plans: the same bits as evaluating the
 * expression in IEEE double where its operations have two operands.
 *
 * @param options.out (N) array that receives the values and is returned; default: a new one.
 * @throws {ExecutorError} `shape` where a field has not the length that `depth` and `size` ask for.
 * @example execute(tensorize('2.5 * 3.0 + 1.0', { depth: 4 })) // Float64Array [8.5]
 */
export function execute(
  tensors: DagTensors,
  options: ExecuteOptions & { readonly out?: Float64Array } = {},
): Float64Array {
  const spec = checked('execute', tensors, options.maxLog);
  const backend = backendOf(options.backend);
  const { out } = options;
  if (out) checkLength('execute', 'out', out, spec.size, tensors);
  const values = out ?? newArray(backend, spec.size);
  const storage = outputOf(backend, values);
  backend.dag(spec, inputsOf(backend, tensors), storage);
  finish(backend, storage, values);
  return values;
}

/**
 * Executes every graph and differentiates: the gradient with respect to V_mag, V_sign (initial nodes; 0 elsewhere),
 * O and G. Those of a shared plan are sums over the rows. No gradient is NaN.
 *
 * With large batches most of the time goes into memory: `out` of an earlier result saves taking new arrays, and one with
 * fewer fields saves what nobody reads.
 *
 * @throws {ExecutorError} `shape` where a field, `upstream` or an array of `out` has another length than asked for.
 * @example
 * const out = { values: new Float64Array(N), V_mag: new Float64Array(N * 2 * D) };
 * executeWithGradients(tensors, { out }); // → out; the gradients by V_sign, O and G are not computed
 */
export function executeWithGradients<Out extends Partial<DagGradients> = DagGradients>(
  tensors: DagTensors,
  options: ExecuteGradientOptions<Out> = {},
): Out {
  const spec = checked('executeWithGradients', tensors, options.maxLog);
  const backend = backendOf(options.backend);
  const { upstream } = options;
  if (upstream) checkLength('executeWithGradients', 'upstream', upstream, spec.size, tensors);
  const out = options.out ? checkedOut(options.out, tensors) : newGradients(backend, tensors);
  const { values, V_mag, V_sign, O, G } = out;
  const stored = (array: Float64Array | undefined) => (array ? outputOf(backend, array) : null);
  const target = (array: Float64Array | undefined): Target | null =>
    array ? { storage: outputOf(backend, array), accumulate: false } : null;
  const valueStorage = stored(values);
  const gradients = { V_mag: target(V_mag), V_sign: target(V_sign), O: target(O), G: target(G) };
  const up = upstream ? inputOf(backend, upstream) : null;
  backend.dagBackward(spec, inputsOf(backend, tensors), up, valueStorage, gradients);
  finish(backend, valueStorage, values);
  for (const field of FIELDS) finish(backend, gradients[field]?.storage ?? null, out[field]);
  return out as Out;
}

const FIELDS = ['V_mag', 'V_sign', 'O', 'G'] as const;

/** Results up to this many elements together lie in one buffer: taking five takes longer than executing a small graph. */
const SMALL = 1024;

function newGradients(backend: Backend, { size, V_mag, V_sign, O, G }: DagTensors): DagGradients {
  const total = size + V_mag.length + V_sign.length + O.length + G.length;
  const buffer = total <= SMALL ? new ArrayBuffer(total * Float64Array.BYTES_PER_ELEMENT) : null;
  let begin = 0;
  const take = (length: number): Float64Array => {
    if (!buffer) return newArray(backend, length);
    const array = new Float64Array(buffer, begin, length);
    begin += length * Float64Array.BYTES_PER_ELEMENT;
    return array;
  };
  return {
    values: take(size),
    V_mag: take(V_mag.length),
    V_sign: take(V_sign.length),
    O: take(O.length),
    G: take(G.length),
  };
}

/** An array in memory as the device likes it, where that is JavaScript's: a large one in huge pages. */
function newArray(backend: Backend, length: number): Float64Array {
  const storage = length > SMALL ? backend.allocate('f64', length) : null;
  return storage instanceof HostStorage ? (storage.data as Float64Array) : new Float64Array(length);
}

function checkedOut(out: Partial<DagGradients>, tensors: DagTensors): Partial<DagGradients> {
  if (out.values) checkLength('executeWithGradients', 'out.values', out.values, tensors.size, tensors);
  for (const field of FIELDS) {
    const array = out[field];
    if (array) checkLength('executeWithGradients', `out.${field}`, array, tensors[field].length, tensors);
  }
  return out;
}

function checkLength(
  op: string,
  name: string,
  { length }: ArrayLike<number>,
  expected: number,
  { size, depth }: DagTensors,
): void {
  if (length !== expected)
    throw new ExecutorError(
      'shape',
      `${op}: ${name} has ${length} values for ${size} graphs of depth ${depth}, expected ${expected}`,
    );
}

function inputsOf(backend: Backend, { V_mag, V_sign, O, G }: DagTensors): DagFields<Storage> {
  return {
    V_mag: inputOf(backend, V_mag),
    V_sign: inputOf(backend, V_sign),
    O: inputOf(backend, O),
    G: inputOf(backend, G),
  };
}

/** The array itself where the device can read it, else a copy. */
function inputOf(backend: Backend, data: ArrayLike<number>): Storage {
  const shared = data instanceof Float64Array ? backend.share(data) : null;
  if (shared) return shared;
  const storage = backend.allocate('f64', data.length);
  backend.write(storage, data);
  return storage;
}

/** The array itself where the device can write it, else memory that `finish` copies to it. */
function outputOf(backend: Backend, array: Float64Array): Storage {
  return backend.share(array) ?? backend.allocate('f64', array.length);
}

/** Brings the results home where the device does not write to `array` itself. */
function finish(backend: Backend, storage: Storage | null, array: Float64Array | undefined): void {
  if (storage && array && !backend.share(array)) array.set(backend.readSync(storage) as Float64Array);
}

/** Depth, size and whether the plan is shared, with every length checked against them. */
function checked(op: string, { depth, size, V_mag, V_sign, O, G }: DagTensors, maxLog = Infinity): DagSpec {
  if (!Number.isInteger(depth) || depth < 1 || !Number.isInteger(size) || size < 0)
    throw new ExecutorError(
      'shape',
      `${op}: depth is a whole number from 1 and size from 0, given ${depth} and ${size}`,
    );
  if (!(maxLog > 0)) throw new ExecutorError('value', `${op}: maxLog is above 0, given ${maxLog}`);
  const plan = 2 * depth * depth;
  const shared = O.length === plan && G.length === depth;
  const whole = O.length === size * plan && G.length === size * depth;
  if (V_mag.length !== size * 2 * depth || V_sign.length !== V_mag.length || !(shared || whole))
    throw new ExecutorError(
      'shape',
      `${op}: V_mag ${V_mag.length}, V_sign ${V_sign.length}, O ${O.length}, G ${G.length} values; for size ${size} and depth ` +
        `${depth} they are ${size * 2 * depth}, ${size * 2 * depth}, ${size * plan}, ${size * depth} (or O ${plan}, G ${depth}: one plan for all)`,
    );
  return { depth, size, shared: shared && size !== 1, maxLog };
}
