import type { DagTensors } from '@dag/tensorize';
import type { Backend, DagFields, DagSpec, Device, Storage, Target } from '../backend.js';
import { backendOf } from '../devices.js';
import { ExecutorError } from '../error.js';

export interface ExecuteOptions {
  /** Default: the fastest that loads. */
  readonly backend?: Device;
  /** Largest log sum of a step before `exp`; default: none. */
  readonly maxLog?: number;
}

export interface ExecuteGradientOptions extends ExecuteOptions {
  /** (N) gradient of each value; default: 1. */
  readonly upstream?: ArrayLike<number>;
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
 * @throws {ExecutorError} `shape` where a field has not the length that `depth` and `size` ask for.
 * @example execute(tensorize('2.5 * 3.0 + 1.0', { depth: 4 })) // Float64Array [8.5]
 */
export function execute(tensors: DagTensors, options: ExecuteOptions = {}): Float64Array {
  const run = start(tensors, options);
  return lastNodes(run.backend.readSync(run.nodes), run.spec);
}

/**
 * Executes every graph and differentiates: the gradient with respect to V_mag, V_sign (initial nodes; 0 elsewhere),
 * O and G. Those of a shared plan are sums over the rows. No gradient is NaN.
 */
export function executeWithGradients(
  tensors: DagTensors,
  options: ExecuteGradientOptions = {},
): DagGradients {
  const { backend, spec, fields, nodes } = start(tensors, options);
  const { upstream } = options;
  if (upstream && upstream.length !== spec.size)
    throw new ExecutorError(
      'shape',
      `executeWithGradients: upstream has ${upstream.length} values for ${spec.size} graphs`,
    );
  const gradValues = backend.allocate('f64', spec.size);
  if (upstream) backend.write(gradValues, upstream);
  else backend.fill(gradValues, 1);
  const target = (s: Storage): Target => ({
    storage: backend.allocate('f64', s.length),
    accumulate: false,
  });
  const gradients = {
    V_mag: target(fields.V_mag),
    V_sign: target(fields.V_sign),
    O: target(fields.O),
    G: target(fields.G),
  };
  backend.dagBackward(spec, fields, nodes, gradValues, gradients);
  const read = ({ storage }: Target) => backend.readSync(storage) as Float64Array;
  return {
    values: lastNodes(backend.readSync(nodes), spec),
    V_mag: read(gradients.V_mag),
    V_sign: read(gradients.V_sign),
    O: read(gradients.O),
    G: read(gradients.G),
  };
}

interface Run {
  readonly backend: Backend;
  readonly spec: DagSpec;
  readonly fields: DagFields<Storage>;
  readonly nodes: Storage;
}

function start(tensors: DagTensors, { backend: device, maxLog = Infinity }: ExecuteOptions): Run {
  const spec = { ...checked(tensors), maxLog };
  if (!(maxLog > 0)) throw new ExecutorError('value', `execute: maxLog is above 0, given ${maxLog}`);
  const backend = backendOf(device);
  const upload = (data: Float64Array): Storage => {
    const storage = backend.allocate('f64', data.length);
    backend.write(storage, data);
    return storage;
  };
  const { V_mag, V_sign, O, G } = tensors;
  const fields = { V_mag: upload(V_mag), V_sign: upload(V_sign), O: upload(O), G: upload(G) };
  const nodes = backend.allocate('f64', spec.size * 2 * spec.depth);
  backend.dag(spec, fields, nodes);
  return { backend, spec, fields, nodes };
}

/** Depth, size and whether the plan is shared, with every length checked against them. */
function checked({ depth, size, V_mag, V_sign, O, G }: DagTensors): Omit<DagSpec, 'maxLog'> {
  if (!Number.isInteger(depth) || depth < 1 || !Number.isInteger(size) || size < 0)
    throw new ExecutorError(
      'shape',
      `execute: depth is a whole number from 1 and size from 0, given ${depth} and ${size}`,
    );
  const plan = 2 * depth * depth;
  const shared = O.length === plan && G.length === depth;
  const whole = O.length === size * plan && G.length === size * depth;
  if (V_mag.length !== size * 2 * depth || V_sign.length !== V_mag.length || !(shared || whole))
    throw new ExecutorError(
      'shape',
      `execute: V_mag ${V_mag.length}, V_sign ${V_sign.length}, O ${O.length}, G ${G.length} values; for size ${size} and depth ` +
        `${depth} they are ${size * 2 * depth}, ${size * 2 * depth}, ${size * plan}, ${size * depth} (or O ${plan}, G ${depth}: one plan for all)`,
    );
  return { depth, size, shared: shared && size !== 1 };
}

function lastNodes(nodes: ArrayLike<number>, { size, depth }: DagSpec): Float64Array {
  return Float64Array.from({ length: size }, (_, row) => nodes[(row + 1) * 2 * depth - 1]!);
}
