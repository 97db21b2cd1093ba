import { ABOVE_0, checkNumber, checkObject, checkOptions } from '../arguments.js';
import type { DagSpec } from '../backend.js';
import { ExecutorError } from '../error.js';
import { show } from '../shape.js';
import { record } from '../tape.js';
import { commonBackend, commonDType, empty, wantedGradOf, type Tensor } from '../tensor.js';

/** The DAG tensor format as tensors, all f32 or all f64. The leading shape (…) is free, for example (B, T). */
export interface DagTensorFields {
  /** (…, 2D) magnitudes of the nodes. */
  readonly V_mag: Tensor;
  /** (…, 2D) signs of the nodes, in [−1, 1]. */
  readonly V_sign: Tensor;
  /** (…, D, 2D) operand coefficients, or (D, 2D): one plan for all rows. */
  readonly O: Tensor;
  /** (…, D) gates, or (D) with one plan: 1 linear, 0 log. */
  readonly G: Tensor;
}

/**
 * Executes the graphs → (…) values in f64, differentiable with respect to all four fields. The arithmetic is f64 for f32 fields too; see
 * dag/step.ts for the mathematics.
 *
 * @param options.maxLog Largest Σ O·ln m of a step before `exp`, above 0 (training: 100). Default: no limit.
 * @throws {ExecutorError} `shape`, `dtype` or `device` where the fields do not go together.
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
