import { ABOVE_0, checkNumber, checkObject, checkOptions } from '../arguments.js';
import type { DagSpec } from '../backend.js';
import { ExecutorError } from '../error.js';
import { show } from '../shape.js';
import { record } from '../tape.js';
import { commonBackend, commonDType, empty, wantedGradOf, type Tensor } from '../tensor.js';

/** The DAG tensor format as tensors. A leading shape `(…)` may be any, such as (B, T). */
export interface DagTensorFields {
  /** (…, 2D) */
  readonly V_mag: Tensor;
  /** (…, 2D) */
  readonly V_sign: Tensor;
  /** (…, D, 2D), or (D, 2D): one plan for all rows. */
  readonly O: Tensor;
  /** (…, D), or (D). */
  readonly G: Tensor;
}

/**
 * Executes the graphs: (…) values of dtype f64, differentiable with respect to all four fields. See dag/step.ts
 * for the mathematics. Arithmetic is f64 for f32 fields too.
 *
 * @param options.maxLog Largest log sum of a step before `exp` (training: 100); default: none.
 * @throws {ExecutorError} `shape` that names all four shapes.
 */
export function executeDag(fields: DagTensorFields, options: { maxLog?: number } = {}): Tensor {
  checkObject('executeDag', 'the graph', fields);
  checkOptions('executeDag', options, ['maxLog']);
  const { V_mag, V_sign, O, G } = fields;
  const backend = commonBackend('executeDag', [V_mag, V_sign, O, G]);
  commonDType('executeDag', [V_mag, V_sign, O, G]);
  const { maxLog = Infinity } = options;
  checkNumber('executeDag', 'maxLog', maxLog, ABOVE_0);
  const spec = specOf({ V_mag, V_sign, O, G }, maxLog);
  const values = empty(V_mag.shape.slice(0, -1), 'f64', backend);
  backend.dag(
    spec,
    { V_mag: V_mag.storage, V_sign: V_sign.storage, O: O.storage, G: G.storage },
    values.storage,
  );
  const inputs = [V_mag, V_sign, O, G];
  return record('executeDag', values, inputs, { V_mag, V_sign, O, G }, (upstream, saved) =>
    backend.dagBackward(spec, saved, upstream, null, {
      V_mag: wantedGradOf(V_mag),
      V_sign: wantedGradOf(V_sign),
      O: wantedGradOf(O),
      G: wantedGradOf(G),
    }),
  );
}

function specOf({ V_mag, V_sign, O, G }: DagTensorFields, maxLog: number): DagSpec {
  const leading = V_mag.shape.slice(0, -1);
  const depth = (V_mag.shape[leading.length] ?? 0) / 2;
  const size = V_mag.size / (2 * depth);
  const plan = [depth, 2 * depth];
  const shared = O.shape.length === 2 && leading.length > 0;
  const expectO = shared ? plan : [...leading, ...plan];
  const expectG = shared ? [depth] : [...leading, depth];
  const fits =
    Number.isInteger(depth) &&
    depth > 0 &&
    V_sign.shape.join() === V_mag.shape.join() &&
    O.shape.join() === expectO.join() &&
    G.shape.join() === expectG.join();
  if (!fits)
    throw new ExecutorError(
      'shape',
      `executeDag: V_mag ${show(V_mag.shape)}, V_sign ${show(V_sign.shape)}, O ${show(O.shape)}, G ${show(G.shape)}; ` +
        'expected (…, 2D), (…, 2D), (…, D, 2D), (…, D), or (D, 2D) and (D) for one shared plan',
    );
  return { depth, size, shared, maxLog, inference: false };
}
